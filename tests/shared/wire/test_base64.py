"""Strict, bounded base64 whose errors never repeat the input."""

import base64 as reference

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.base64 import InvalidBase64, decode, encode


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_round_trip(data: bytes) -> None:
    assert encode(data) == reference.b64encode(data)
    assert decode(encode(data), 300) == data


@pytest.mark.parametrize(
    "text", [b"QQ", b"QQ=", b"QQ==x", b"Q Q=", b"QQ==\r\n", b"Q?==", b"====", b"=", b"QQ==QQ==", b"\xff\xff=="]
)
def test_refused(text: bytes) -> None:
    with pytest.raises(InvalidBase64):
        decode(text, 100)


def test_bound() -> None:
    assert decode(encode(b"x" * 10), 10) == b"x" * 10
    for size in (11, 12, 13, 1000):
        with pytest.raises(InvalidBase64):
            decode(encode(b"x" * size), 10)


def test_error_does_not_repeat_the_secret() -> None:
    with pytest.raises(InvalidBase64) as caught:
        decode(b"c2VjcmV0!", 100)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None
