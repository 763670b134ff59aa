"""Hashed trigrams: a text that holds a needle has all of the needle's rows."""

from hypothesis import example, given
from hypothesis import strategies as st

from services.store.search.grams import _FACTORS, NEEDLE_ROWS, ROWS, row_numbers, rows_of, signature

CHUNK = 16 * 1024


def plain_rows(octets: bytes) -> list[int]:
    """The hash, one trigram at a time."""
    a, b, c = _FACTORS
    return [
        (octets[at] * a + octets[at + 1] * b + octets[at + 2] * c >> 10) % ROWS for at in range(len(octets) - 2)
    ]


@given(st.binary(max_size=300))
def test_lanes_hash_as_one_would(octets: bytes) -> None:
    assert list(row_numbers(octets)) == plain_rows(octets)


def test_no_trigram_is_lost_between_chunks() -> None:
    for length in (CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 2, CHUNK + 3, 2 * CHUNK + 2, 3 * CHUNK + 7):
        octets = bytes(at * 7919 % 251 for at in range(length))
        assert list(row_numbers(octets)) == plain_rows(octets), length
        present = signature(octets)
        assert {row for row in range(ROWS) if present[row]} == set(plain_rows(octets)), length


@given(st.text(max_size=200), st.integers(0, 200), st.integers(0, 60))
@example("검색어", 0, 2)
@example("xylophone", 3, 4)
def test_a_part_of_the_text_has_rows_of_the_text_only(text: str, start: int, length: int) -> None:
    needle = text[start : start + length].encode("utf-8", "surrogatepass")
    present = signature(text.encode("utf-8", "surrogatepass"))
    assert all(present[row] for row in rows_of(needle))


def test_a_needle_has_as_many_rows_as_trigrams_up_to_a_bound() -> None:
    assert rows_of(b"") == rows_of(b"ab") == []
    assert len(rows_of(b"abc")) == len(rows_of("가".encode())) == 1
    assert len(rows_of("검색".encode())) == 4
    assert len(rows_of(bytes(range(256)))) == NEEDLE_ROWS


def test_rows_are_spread() -> None:
    """Three small letters make 17,576 trigrams; a hash of nobody's making would fill 65 % of the rows with them."""
    letters = bytes(range(97, 123))
    rows = {row for a in letters for b in letters for c in letters for row in rows_of(bytes((a, b, c)))}
    assert len(rows) > ROWS * 0.6
