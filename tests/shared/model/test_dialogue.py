"""Dialogues as they are kept: the same after packing, bounded, and never a danger to who reads them."""

import random
import zlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.dialogue import (
    MAX_LINE_OCTETS,
    MAX_LINES,
    MAX_OCTETS,
    MAX_PACKED_OCTETS,
    DialogueLine,
    Way,
    bounded,
    pack,
    unpack,
)


def lines(*texts: str) -> list[DialogueLine]:
    return [DialogueLine(float(number), Way.OUT, text) for number, text in enumerate(texts)]


def test_what_fits_stays() -> None:
    some = lines("EHLO x", "", "가나다")
    assert unpack(pack(some)) == tuple(some)
    assert (pack([]), unpack(b"")) == (b"", ())


@pytest.mark.parametrize("texts", [["x" * 100] * 1000, ["x"] * (MAX_LINES + 1), ["가" * 200] * 30, ["y" * 5000] * 2])
def test_a_long_one_keeps_both_ends_within_the_bounds(texts: list[str]) -> None:
    kept = bounded(lines(*texts))
    assert len(kept) <= MAX_LINES
    assert sum(len(line.text.encode()) for line in kept) <= MAX_OCTETS
    assert max(len(line.text.encode()) for line in kept) <= MAX_LINE_OCTETS
    assert (kept[0].seconds, kept[-1].seconds) == (0.0, float(len(texts) - 1))
    if len(kept) < len(texts):
        (note,) = [line for line in kept if line.way is Way.NOTE]
        assert note.text == f"({len(texts) - len(kept) + 1} lines are left out here)"


def test_what_cannot_be_compressed_stays_below_the_bound() -> None:
    rng = random.Random(1)
    texts = ["".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(13)) for _ in range(MAX_LINES)]
    assert len(pack(lines(*texts))) <= MAX_PACKED_OCTETS


@given(st.binary(max_size=300))
def test_any_octets_are_read(data: bytes) -> None:
    unpack(data)
    unpack(zlib.compress(data))


@pytest.mark.parametrize("plain", [1, [1], [[1, ">"]], [[1, "?", "x"]], [["x", ">", "x"]], {}, [[None, ">", "x"]]])
def test_what_is_no_dialogue_is_an_empty_one(plain: object) -> None:
    assert unpack(zlib.compress(msgpack.packb(plain))) == ()


def test_a_bomb_does_no_harm() -> None:
    assert unpack(zlib.compress(msgpack.packb([[0, ">", "x" * 10_000_000]]))) == ()
