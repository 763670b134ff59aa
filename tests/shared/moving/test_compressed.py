"""What Dovecot's zlib plugin leaves in a Maildir."""

import bz2
import gzip
import lzma

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.moving.compressed import expanded

MESSAGE = b"Subject: x\n\n" + b"text\n" * 1000
WAYS = {
    "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zstd": zstandard.ZstdCompressor().compress,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_ways(way):
    packed = WAYS[way](MESSAGE)
    assert expanded(packed, 10_000) == MESSAGE
    assert expanded(packed, len(MESSAGE)) == MESSAGE
    # in two pieces, as it is where a message was added to
    assert expanded(packed + packed, 20_000) == MESSAGE * 2
    with pytest.raises(ValueError, match="larger than 100"):
        expanded(packed, 100)


@pytest.mark.parametrize("way", ["gzip", "bz2", "xz"])
def test_cut_off(way):
    with pytest.raises(ValueError, match="damaged"):
        expanded(WAYS[way](MESSAGE)[:-9], 10_000)


def test_plain_and_unknown():
    assert expanded(MESSAGE, 10_000) == MESSAGE
    assert expanded(b"", 0) == b""
    with pytest.raises(ValueError, match="LZ4"):
        expanded(b"Dovecot-LZ4\r\n", 100)


@given(st.sampled_from([b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b""]), st.binary(max_size=100))
def test_any_octets(begin, data):
    try:
        assert len(expanded(begin + data, 1000)) <= 1000
    except ValueError:
        pass
