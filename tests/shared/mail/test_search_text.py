"""What SEARCH looks at: folding, the plan of octets, and the bounds of both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail import search_text
from shared.mail.index import build_index, unpack_parts
from shared.mail.search_text import FOLDED_CHARACTERS, body_text, fold, fold_bounded, header_lines, plan_search
from shared.testing.corpus import messages
from shared.testing.mail_samples import korean_message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ABC", "abc"), ("ＡＢＣ１２", "abc12"), ("ﾃｽﾄ", "テスト"), ("Straße", "STRASSE"), ("ﬁn", "FIN"), ("검색", "검색"),
        ("É", "e\u0301"),
    ],
)  # fmt: skip
def test_case_and_width_are_nothing(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text(max_size=300), st.integers(0, 400))
def test_short_texts_are_folded_whole(text: str, most: int) -> None:
    assert fold_bounded(text, most) == fold(text)[:most]


@given(st.lists(st.text(alphabet="aÉ가ﷺ ", max_size=30), min_size=1, max_size=20))
def test_pieces_that_end_with_a_line_fold_as_the_whole(lines: list[str]) -> None:
    text = "\n".join(lines)
    before = search_text._FOLDED_AT_ONCE
    search_text._FOLDED_AT_ONCE = 40  # type: ignore[misc]  # smaller than the texts here
    try:
        assert fold_bounded(text, 10_000) == fold(text)
    finally:
        search_text._FOLDED_AT_ONCE = before  # type: ignore[misc]  # as it was


def test_characters_that_fold_to_many_are_bounded() -> None:
    content = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "ﷺ".encode() * 1_000_000
    index = build_index(content)
    plan = plan_search(index.header_octets, unpack_parts(index.parts))
    text = body_text([(part, content[start:stop]) for part, (start, stop) in plan.texts], b"")
    assert FOLDED_CHARACTERS <= len(text) <= FOLDED_CHARACTERS + 2


def test_the_plan_lies_inside_the_message() -> None:
    for name, content in [*messages().items(), ("korean", korean_message("k@x"))]:
        index = build_index(content)
        plan = plan_search(index.header_octets, unpack_parts(index.parts))
        spans = [*plan.more_headers, *(span for _, span in plan.texts), *([plan.header] if plan.header else [])]
        assert all(0 <= start < stop <= len(content) for start, stop in spans), name


def test_large_headers_and_texts_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_text, "TEXT_OCTETS", 10)
    monkeypatch.setattr(search_text, "HEADER_OCTETS", 20)
    content = (
        b'Subject: a subject that is long\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: text/plain\r\n\r\nsixteen octets..\r\n--b\r\n\r\nmore\r\n--b--\r\n"
    )
    index = build_index(content)
    plan = plan_search(index.header_octets, unpack_parts(index.parts))
    assert plan.header == (0, 20)
    assert [stop - start for start, stop in plan.more_headers] == [20]
    assert [content[start:stop] for _, (start, stop) in plan.texts] == [b"sixteen oc"]


def test_a_header_is_a_line_for_each_field() -> None:
    block = b"Subject: =?utf-8?B?6rKA7IOJ?=\r\n folded\r\nX-Odd:=?utf-8?Q?a=0Ab?=\r\nno field\r\n\r\n"
    assert header_lines(block) == "subject: 검색 folded\nx-odd: a b"
