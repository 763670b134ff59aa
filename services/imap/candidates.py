"""What the store's index knows of a search, before any message is read.

Each key on text becomes a question to the store; its answer is exact for the messages that are indexed, and names those that are not.
So a whole expression, with its NOTs and ORs, is decided for an indexed message without reading it, and only the others
are read and tested.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from services.imap.protocol.search_keys import KeyAnd, KeyHeader, KeyNot, KeyOr, KeyText, SearchKey
from shared.contract.search_types import MAX_TERM_CHARACTERS, SearchScope, SearchTerm
from shared.errors import BadRequest, Internal
from shared.mail.search_text import fold
from shared.model.ids import Grant, MailboxId, Uid
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient

FEW_MESSAGES: Final = 16
"""So few are read faster than asked about."""
QUESTIONS: Final = 50
"""Of one search; keys beyond them are tested on the messages."""
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,200}", re.ASCII)


@attrs.frozen
class Answer:
    """What the index says of one key: exact for all messages but the unindexed ones."""

    matched: frozenset[int]
    unindexed: frozenset[int]


Answers = Mapping[SearchKey, Answer]


def text_keys(key: SearchKey) -> Iterable[KeyText | KeyHeader]:
    """The keys of an expression that the index can answer."""
    match key:
        case KeyAnd(keys):
            for each in keys:
                yield from text_keys(each)
        case KeyOr(left, right):
            yield from text_keys(left)
            yield from text_keys(right)
        case KeyNot(inner):
            yield from text_keys(inner)
        case KeyText() | KeyHeader():
            if term_of(key) is not None:
                yield key


def term_of(key: KeyText | KeyHeader) -> SearchTerm | None:
    """The store's words for a key; None where it has none: then the messages are read."""
    text = fold(key.text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    if len(text) > MAX_TERM_CHARACTERS:
        return None
    if isinstance(key, KeyText):
        return SearchTerm(SearchScope.TEXT if key.header_too else SearchScope.BODY, text)
    field = key.field
    return SearchTerm(SearchScope.FIELD, text, field.lower()) if _FIELD_NAME.fullmatch(field) else None


async def ask_index(
    store: StoreClient, grant: Grant, mailbox_id: MailboxId, key: SearchKey, uids: Sequence[int], found: Sequence[int]
) -> dict[SearchKey, Answer]:
    """Answers for the text keys of an expression, about the messages at the indexes ``found`` into ``uids`` (both ascending).

    None for a key that the store would not answer: it is tested on the messages. Raises StoreError.
    """
    answers: dict[SearchKey, Answer] = {}
    if len(found) <= FEW_MESSAGES:
        return answers
    span = uids[found[0]], uids[found[-1]]
    for each in dict.fromkeys(text_keys(key)):
        term = term_of(each)
        if len(answers) >= QUESTIONS or term is None:
            break
        try:
            answers[each] = await _ask(store, grant, mailbox_id, term, span)
        except (BadRequest, Internal):
            break
    return answers


async def _ask(
    store: StoreClient, grant: Grant, mailbox_id: MailboxId, term: SearchTerm, span: tuple[int, int]
) -> Answer:
    first, last = span
    matched: list[int] = []
    unindexed: list[int] = []
    while first <= last:
        answer = await store.search.find(grant, mailbox_id, term, Uid(first), Uid(last))
        matched += unpack_u32(answer.uids)
        unindexed += unpack_u32(answer.unindexed)
        first = max(first, answer.through_uid) + 1
    return Answer(frozenset(matched), frozenset(unindexed))


def narrow_by_answers(key: SearchKey, answers: Answers, uids: Sequence[int], found: list[int]) -> list[int]:
    """Of the indexes ``found`` into ``uids`` (both ascending), those that may still match: what each ANDed key leaves."""
    keys = key.keys if isinstance(key, KeyAnd) else (key,)
    for each in keys:
        answer = answers.get(each)
        if answer is None:
            continue
        among = range(len(uids)) if len(found) == len(uids) else set(found)
        narrowed = []
        for uid in sorted(answer.matched | answer.unindexed):
            index = bisect_left(uids, uid)
            if index < len(uids) and uids[index] == uid and index in among:
                narrowed.append(index)
        found = narrowed
    return found


def split_by_answers(answers: Answers, uids: Sequence[int], found: Sequence[int]) -> tuple[list[int], list[int]]:
    """The indexes whose answered keys are all decided, and the others."""
    unindexed: frozenset[int] = frozenset().union(*(answer.unindexed for answer in answers.values()))
    if not unindexed:
        return list(found), []
    decided = [index for index in found if uids[index] not in unindexed]
    return decided, [index for index in found if uids[index] in unindexed]
