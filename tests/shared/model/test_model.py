"""Flags and packed columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.flags import SYSTEM_FLAG_NAMES, flag_names, split_flag_names, system_bit
from shared.model.packed import pack_i64, pack_u32, pack_u64, unpack_i64, unpack_u32, unpack_u64


@given(
    st.lists(st.integers(0, 2**32 - 1)), st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(-(2**63), 2**63 - 1))
)
def test_columns_come_back(small: list[int], large: list[int], signed: list[int]) -> None:
    assert list(unpack_u32(pack_u32(small))) == small
    assert list(unpack_u64(pack_u64(large))) == large
    assert list(unpack_i64(pack_i64(signed))) == signed


def test_columns_are_little_endian() -> None:
    assert pack_u32([1, 258]) == b"\x01\0\0\0\x02\x01\0\0"
    with pytest.raises(OverflowError):
        pack_u32([2**32])
    with pytest.raises(ValueError, match="multiple"):
        unpack_u32(b"abc")


def test_flag_names_go_both_ways() -> None:
    bits, keywords = split_flag_names(["\\seen", "$Forwarded", "\\DELETED", "$forwarded", "\\Strange", "work"])
    assert bits == 1 | 8
    assert keywords == ["$Forwarded", "work"]
    assert flag_names(bits | 1 << 9, ["$Forwarded", "work"]) == ["\\Seen", "\\Deleted", "work"]
    assert flag_names(1 << 60, []) == []
    for name, bit in SYSTEM_FLAG_NAMES.items():
        assert system_bit(name.upper()) == bit
    assert system_bit("$Junk") is None
