"""Makes of a client's search key what is evaluated: nothing in it means something else a moment later.

Pure. Message sequence numbers become UIDs (RFC 5267 §4.3: they are evaluated when the command is received), ``$`` the saved result
(RFC 5182 §2.1), an age an instant (RFC 5032 §3), a fuzzy text its words (RFC 6203 §3).
"""

from collections.abc import Iterator, Sequence

import attrs

from services.imap.protocol.search_keys import (
    KeyAge,
    KeyAll,
    KeyAnd,
    KeyArrived,
    KeyFuzzy,
    KeyHeader,
    KeyNot,
    KeyNumbers,
    KeyOr,
    KeyText,
    KeyUids,
    SearchKey,
)
from services.imap.protocol.sequence_set import NO_MESSAGES, SequenceSet
from shared.mail.search_text import fold

NOTHING: SearchKey = KeyNot(KeyAll())
MAX_FUZZY_WORDS = 10
"""Of one text; it is searched for whole where it has more."""


@attrs.frozen(eq=False)
class Moment:
    """What a key means now. ``told``: UIDs by message sequence number; ``now``: seconds."""

    told: Sequence[int]
    saved: SequenceSet
    now: int


def prepare(key: SearchKey, moment: Moment) -> SearchKey:
    """A key of the same meaning that holds neither KeyNumbers, KeyAge, KeyFuzzy nor ``$``."""
    match key:
        case KeyNumbers(messages):
            if messages.saved:
                return KeyUids(moment.saved)
            return KeyUids(_uids_of(messages, moment.told))
        case KeyUids(uids):
            if uids.saved:
                return KeyUids(moment.saved)
            # * is the largest UID of this moment
            return KeyUids(SequenceSet(tuple(uids.spans(moment.told[-1] if len(moment.told) else 0))))
        case KeyAge(older, seconds):
            return KeyArrived(older, moment.now - seconds)
        case KeyFuzzy(inner):
            return prepare(_soften(inner), moment)
        case KeyNot(inner):
            return KeyNot(prepare(inner, moment))
        case KeyOr(left, right):
            return KeyOr(prepare(left, moment), prepare(right, moment))
        case KeyAnd(keys):
            return KeyAnd(tuple(_flatten(prepare(each, moment) for each in keys)))
    return key


def _flatten(keys: Iterator[SearchKey]) -> Iterator[SearchKey]:
    """Conjunctions within a conjunction are part of it."""
    for key in keys:
        if isinstance(key, KeyAnd):
            yield from key.keys
        else:
            yield key


def _uids_of(messages: SequenceSet, told: Sequence[int]) -> SequenceSet:
    """RFC 7377 §2: numbers beyond the mailbox are no error, there is just nothing."""
    count = len(told)
    if not count:
        return NO_MESSAGES
    return SequenceSet(
        tuple((told[low - 1], told[min(high, count) - 1]) for low, high in messages.spans(count) if low <= count)
    )


def _soften(key: SearchKey) -> SearchKey:
    """RFC 6203 §3: a text is found where all its words are, in any order; other keys match as ever (§5)."""
    match key:
        case KeyHeader(field, text):
            words = _words(text)
            return KeyAnd(tuple(KeyHeader(field, word) for word in words)) if len(words) > 1 else key
        case KeyText(text, header_too):
            words = _words(text)
            return KeyAnd(tuple(KeyText(word, header_too) for word in words)) if len(words) > 1 else key
        case KeyNot(inner):
            return KeyNot(_soften(inner))
        case KeyOr(left, right):
            return KeyOr(_soften(left), _soften(right))
        case KeyAnd(keys):
            return KeyAnd(tuple(map(_soften, keys)))
    return key


def _words(text: str) -> list[str]:
    words = list(dict.fromkeys(fold(text).split()))
    return words if len(words) <= MAX_FUZZY_WORDS else [text]


def fuzzy_texts(key: SearchKey) -> Iterator[KeyHeader | KeyText]:
    """The keys with a text that are matched fuzzily and not negated: what relevancy is measured by (RFC 6203 §4)."""
    waiting = [(key, False)]
    while waiting:
        one, fuzzy = waiting.pop()
        match one:
            case KeyFuzzy(inner):
                waiting.append((inner, True))
            case KeyAnd(keys):
                waiting.extend((each, fuzzy) for each in reversed(keys))
            case KeyOr(left, right):
                waiting += [(right, fuzzy), (left, fuzzy)]
            case KeyHeader() | KeyText():
                if fuzzy:
                    yield one


def names_numbers(key: SearchKey) -> bool:
    """Whether a message sequence number is in a key."""
    match key:
        case KeyNumbers(messages):
            return not messages.saved
        case KeyAnd(keys):
            return any(map(names_numbers, keys))
        case KeyOr(left, right):
            return names_numbers(left) or names_numbers(right)
        case KeyNot(inner) | KeyFuzzy(inner):
            return names_numbers(inner)
    return False
