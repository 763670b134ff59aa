"""Header blocks: their end, their fields with offsets, and subsets of them octet for octet."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.header import field_values, get_all, header_end, iter_fields, select_fields, unfold

HEAD = b"From: a@b\r\nSubject : two\r\n\tlines\r\ngarbage\r\nFROM:c@d\r\nX-Empty:\r\nTo: e@f\r\n\r\n"


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (b"", 0),
        (b"\r\n", 2),
        (b"\n", 1),
        (b"\r\nA: b\r\n\r\n", 2),
        (b"A: b\r\n\r\nbody", 8),
        (b"A: b\n\nbody", 6),
        (b"A: b\n\r\nbody", 7),
        (b"A: b\r\n\nbody\r\n\r\n", 7),
        (b"A: b\r\n \r\nbody", 13),
        (b"A: b", 4),
        (b"A: b\r\n", 6),
        (b"A: b\n\nx\r\n\r\n", 6),
    ],
)
def test_end(content: bytes, end: int) -> None:
    assert header_end(content, 0, len(content)) == end
    assert header_end(b"xx\n" + content + b"\r\n\r\n", 3, 3 + len(content)) == end + 3


def test_fields_and_offsets() -> None:
    content = b"junk\n" + HEAD + b"body: no\r\n"
    fields = list(iter_fields(content, 5, 5 + len(HEAD)))
    assert [(field.name, field.value) for field in fields] == [
        (b"from", b"a@b"),
        (b"subject", b"two\r\n\tlines"),
        (b"from", b"c@d"),
        (b"x-empty", b""),
        (b"to", b"e@f"),
    ]
    assert [content[field.start : field.end] for field in fields] == [
        *(b"From: a@b\r\n", b"Subject : two\r\n\tlines\r\n", b"FROM:c@d\r\n", b"X-Empty:\r\n", b"To: e@f\r\n"),
    ]
    assert get_all(content, 5, 5 + len(HEAD), b"From") == [b"a@b", b"c@d"]
    assert get_all(content, 5, 5 + len(HEAD), b"SUBJECT") == [b"two\tlines"]
    assert field_values(HEAD, frozenset({b"to", b"from"}), 4) == {b"from": [b"a@b", b"c@d"]}


# RFC 3501 §6.4.5
@pytest.mark.parametrize(
    ("names", "exclude", "expected"),
    [
        ([b"from"], False, b"From: a@b\r\nFROM:c@d\r\n\r\n"),
        ([b"TO", b"Subject"], False, b"Subject : two\r\n\tlines\r\nTo: e@f\r\n\r\n"),
        ([b"nobody"], False, b"\r\n"),
        ([], False, b"\r\n"),
        ([b"From", b"x-empty"], True, b"Subject : two\r\n\tlines\r\ngarbage\r\nTo: e@f\r\n\r\n"),
        ([], True, HEAD),
        ([b"fro"], False, b"\r\n"),
        ([b"fr.m"], False, b"\r\n"),
    ],
)
def test_select_fields(names: list[bytes], exclude: bool, expected: bytes) -> None:
    content = b"x\n" + HEAD + b"From: body\r\n"
    assert select_fields(content, 2, 2 + len(HEAD), names, exclude) == expected


def test_select_fields_without_an_empty_line() -> None:
    assert select_fields(b"A: b\r\nC: d", 0, 10, [b"c"], False) == b"C: d"
    assert select_fields(b"A: b\r\nC: d\r\n", 0, 12, [b"a"], False) == b"A: b\r\n"
    assert select_fields(b"A: b\n\n", 0, 6, [b"a"], False) == b"A: b\n\n"
    assert select_fields(b"", 0, 0, [b"a"], False) == b""


@given(st.lists(st.sampled_from([b"A: b\r\n", b"B:\r\n c\r\n", b"a : d\n", b"no field\r\n", b" cont\r\n", b":\r\n"])))
def test_both_halves_are_the_whole(lines: list[bytes]) -> None:
    block = b"".join(lines)
    chosen = select_fields(block, 0, len(block), [b"a"], False)
    others = select_fields(block, 0, len(block), [b"a"], True)
    assert len(chosen) + len(others) == len(block)
    assert all(field.name == b"a" for field in iter_fields(chosen, 0, len(chosen)))
    assert all(field.name != b"a" for field in iter_fields(others, 0, len(others)))


def test_field_name_characters() -> None:
    """RFC 5322 §2.2: ftext is %d33-57 / %d59-126."""
    for octet in range(256):
        block = b"X" + bytes([octet]) + b"Y: v\r\n"
        names = [field.name for field in iter_fields(block, 0, len(block))]
        if 33 <= octet <= 126 and octet != 58:
            assert names == [b"x" + bytes([octet]).lower() + b"y"]
        else:
            assert b"x" + bytes([octet]) + b"y" not in names


@given(st.binary(max_size=200))
def test_any_block(block: bytes) -> None:
    end = header_end(block, 0, len(block))
    assert 0 <= end <= len(block)
    last = 0
    for field in iter_fields(block, 0, end):
        assert last <= field.start < field.end <= end
        last = field.end
        assert not re.search(rb"^\S", field.value.partition(b"\n")[2], re.MULTILINE)


def test_unfold() -> None:
    assert unfold(b" a\r\n b\n\tc \r\n") == b"a b\tc"
