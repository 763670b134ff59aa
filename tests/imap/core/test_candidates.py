"""Whole expressions by what the index knows: whatever is indexed, the answer is the one that reading every message gives."""

from array import array

import attrs
from hypothesis import given
from hypothesis import strategies as st

from services.imap import search_eval
from services.imap.candidates import (
    FEW_MESSAGES,
    Answer,
    KeyAnd,
    KeyHeader,
    KeyNot,
    KeyOr,
    KeyText,
    SearchKey,
    ask_index,
    narrow_by_answers,
    split_by_answers,
    term_of,
    text_keys,
)
from services.imap.search_eval import Evaluator, Message, Need, need_of
from shared.contract.search_types import MAX_TERM_CHARACTERS, SearchAnswer, SearchScope, SearchTerm
from shared.errors import BadRequest
from shared.model.ids import Grant, MailboxId, Uid
from shared.model.packed import pack_u32
from shared.testing import trio_test

TEXTS = ("alpha", "beta", "gamma", "alpha beta", "beta gamma", "delta")
UIDS = [3, 5, 8, 13, 21, 34]
LEAVES: list[SearchKey] = [
    *(KeyText(word, header_too=True) for word in ("alpha", "beta", "a", "none")),
    KeyHeader("subject", "gamma"),
    KeyHeader("subject", ""),
]


def trees() -> st.SearchStrategy[SearchKey]:
    return st.recursive(
        st.sampled_from(LEAVES),
        lambda inner: st.one_of(
            inner.map(KeyNot),
            st.tuples(inner, inner).map(lambda pair: KeyOr(*pair)),
            st.lists(inner, min_size=1, max_size=3).map(lambda keys: KeyAnd(tuple(keys))),
        ),
        max_leaves=6,
    )


def snapshot() -> search_eval.Snapshot:
    """Six messages, all columns empty but the UIDs."""
    known = {"uids": array("I", UIDS), "told_uids": array("I", UIDS), "keywords": (), "first_recent_uid": 1}
    names = [field.name for field in attrs.fields(search_eval.Snapshot)]
    return search_eval.Snapshot(**{name: known.get(name, array("q", [0] * len(UIDS))) for name in names})


MESSAGES = [Message(header=b"Subject: %b\r\n\r\n" % text.encode()) for text in TEXTS]


@given(trees(), st.sets(st.sampled_from(UIDS)), st.sets(st.sampled_from(LEAVES)), st.sets(st.integers(0, 5), min_size=1))
def test_any_expression_with_anything_indexed(
    key: SearchKey, indexed: set[int], answered: set[SearchKey], among: set[int]
) -> None:
    columns = snapshot()
    plain = Evaluator(columns)
    found = sorted(among)
    expected = [index for index in found if plain.test(key)(index, MESSAGES[index])]
    answers = {}
    for leaf in answered:
        test = plain.test(leaf)
        hits = frozenset(uid for index, uid in enumerate(UIDS) if uid in indexed and test(index, MESSAGES[index]))
        answers[leaf] = Answer(hits, frozenset(UIDS) - indexed)
    evaluator = Evaluator(columns, answers)
    test = evaluator.test(key)
    decided, undecided = split_by_answers(answers, columns.uids, narrow_by_answers(key, answers, columns.uids, found))
    read = need_of(key, answers) != Need.NOTHING
    matched = [index for index in decided if test(index, MESSAGES[index] if read else None)]
    matched += [index for index in undecided if test(index, MESSAGES[index])]
    assert sorted(matched) == expected


def test_what_the_index_is_asked() -> None:
    assert term_of(KeyText("ＡＢ", header_too=True)) == SearchTerm(SearchScope.TEXT, "ab")
    assert term_of(KeyText("x", header_too=False)) == SearchTerm(SearchScope.BODY, "x")
    assert term_of(KeyHeader("Subject", "É")) == SearchTerm(SearchScope.FIELD, "é", "subject")
    unasked: list[KeyText | KeyHeader] = [
        KeyText("x" * (MAX_TERM_CHARACTERS + 1), header_too=True),
        KeyText("\ud800", header_too=True),
        KeyHeader("a: b", "x"),
        KeyHeader("", "x"),
        KeyHeader("제목", "x"),
    ]
    assert [term_of(key) for key in unasked] == [None] * len(unasked)
    assert list(text_keys(KeyAnd((KeyNot(LEAVES[0]), KeyOr(LEAVES[1], KeyAnd((LEAVES[4],))))))) == [
        LEAVES[0], LEAVES[1], LEAVES[4],
    ]  # fmt: skip


class FakeStore:
    """Answers in pieces of two UIDs, and refuses some terms."""

    def __init__(self) -> None:
        self.search = self
        self.asked: list[tuple[str, int, int]] = []

    async def find(self, grant: Grant, mailbox_id: MailboxId, term: SearchTerm, first: Uid, last: Uid) -> SearchAnswer:
        self.asked.append((term.text, first, last))
        if term.text == "refused":
            raise BadRequest
        matched = [uid for uid in range(first, last + 1) if uid % 2][:2]
        return SearchAnswer(pack_u32(matched), pack_u32([]), Uid(matched[-1] if len(matched) == 2 else last))


@trio_test
async def test_answers_in_pieces_are_put_together() -> None:
    store = FakeStore()
    uids = range(1, FEW_MESSAGES + 2)
    key = KeyText("x", header_too=True)
    answers = await ask_index(store, Grant(b""), MailboxId(1), key, uids, range(len(uids)))
    assert answers == {key: Answer(frozenset(uid for uid in uids if uid % 2), frozenset())}
    assert len(store.asked) > 2
    assert await ask_index(store, Grant(b""), MailboxId(1), key, uids, range(FEW_MESSAGES)) == {}


@trio_test
async def test_a_refusal_leaves_the_rest_to_reading() -> None:
    store = FakeStore()
    uids = range(1, 100)
    first, second = KeyText("x", header_too=True), KeyText("refused", header_too=True)
    key = KeyAnd((first, second, KeyText("y", header_too=True)))
    assert set(await ask_index(store, Grant(b""), MailboxId(1), key, uids, range(99))) == {first}
