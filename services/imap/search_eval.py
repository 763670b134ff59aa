"""Evaluates search keys: on the view's columns where that is enough, on decoded text where it is not.

Pure. RFC 3501 §6.4.4: substrings match without regard to case; here also without regard to width (NFKC), so that a search in any
input method finds what was written in another. Dates disregard time and zone. RFC 7162 §3.1.5 (MODSEQ).

Where Dovecot answers otherwise, on purpose:
- HTML is searched as the text that a reader sees: its tags and styles match nothing.
- BODY also looks at the headers of parts and of the messages inside: the name of an attachment is found.
- A message without a Date that can be read matches no SENT... key (there it was sent in 1970).
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

from services.imap.candidates import Answer, Answers
from services.imap.cards import Card
from services.imap.protocol.search_keys import (
    Comparison,
    DateField,
    KeyAnd,
    KeyDate,
    KeyHeader,
    KeyNot,
    KeyObject,
    KeyOr,
    KeyText,
    SearchKey,
)
from services.imap.search_columns import DAY_SECONDS, ColumnKeys, Snapshot
from shared.contract.types import IndexField, IndexRow
from shared.mail.encoded_word import decode_words
from shared.mail.header import get_all
from shared.mail.parts import Part
from shared.mail.search_text import body_text, fold, header_lines


class Need:
    """What a key looks at beyond the columns; the larger includes the smaller."""

    NOTHING: Final = 0
    ROW: Final = 1
    """The store's row about it: its card, its ids."""
    HEADER: Final = 2
    TEXT: Final = 3


def need_of(key: SearchKey, answers: Answers = MappingProxyType({})) -> int:
    """What must be read of a message to evaluate a key, where the index has answered some."""
    if key in answers:
        return Need.NOTHING
    match key:
        case KeyAnd(keys):
            return max((need_of(each, answers) for each in keys), default=Need.NOTHING)
        case KeyOr(left, right):
            return max(need_of(left, answers), need_of(right, answers))
        case KeyNot(inner):
            return need_of(inner, answers)
        case KeyHeader():
            return Need.HEADER
        case KeyDate(DateField.SENT | DateField.SAVED) | KeyObject():
            return Need.ROW
        case KeyText():
            return Need.TEXT
    return Need.NOTHING


def row_fields(key: SearchKey) -> IndexField:
    """Which columns of the store's rows a key looks at, cards apart."""
    match key:
        case KeyAnd(keys):
            fields = IndexField(0)
            for each in keys:
                fields |= row_fields(each)
            return fields
        case KeyOr(left, right):
            return row_fields(left) | row_fields(right)
        case KeyNot(inner):
            return row_fields(inner)
        case KeyDate(DateField.SAVED):
            return IndexField.SAVED_DATE
        case KeyObject():
            return IndexField.EMAIL_ID
    return IndexField(0)


def uses_cards(key: SearchKey) -> bool:
    """Whether a key looks at a card."""
    match key:
        case KeyAnd(keys):
            return any(map(uses_cards, keys))
        case KeyOr(left, right):
            return uses_cards(left) or uses_cards(right)
        case KeyNot(inner):
            return uses_cards(inner)
        case KeyDate(DateField.SENT):
            return True
    return False


class Message:
    """What was read of one message, decoded when it is first asked for."""

    def __init__(
        self,
        header: bytes,
        parts: Sequence[tuple[Part, bytes]] = (),
        more_headers: bytes = b"",
        *,
        row: IndexRow | None = None,
        card: Card | None = None,
    ) -> None:
        self.row = row
        self.card = card
        self._header = header
        self._parts = parts
        self._more_headers = more_headers
        self._fields: dict[str, list[str]] = {}
        self._header_text: str | None = None
        self._body_text: str | None = None

    def values(self, field: str) -> list[str]:
        """Folded texts of a header field, decoded."""
        found = self._fields.get(field)
        if found is None:
            raw = get_all(self._header, 0, len(self._header), field.encode("latin-1", "replace"))
            found = self._fields[field] = [fold(decode_words(value)) for value in raw]
        return found

    def header_text(self) -> str:
        """The whole header, a line for each field."""
        if self._header_text is None:
            self._header_text = header_lines(self._header)
        return self._header_text

    def body_text(self) -> str:
        """Text of all text parts, and the headers of parts."""
        if self._body_text is None:
            self._body_text = body_text(self._parts, self._more_headers)
        return self._body_text


Test = Callable[[int, Message | None], bool]
"""Whether the message at an index of the snapshot matches; the Message is there where the key needs one."""


class Evaluator:
    """One search over one snapshot; keys that the index has answered are tested on messages only where these are unindexed."""

    def __init__(self, snapshot: Snapshot, answers: Answers = MappingProxyType({})) -> None:
        self._snapshot = snapshot
        self._answers = answers
        self._columns = ColumnKeys(snapshot)

    def test(self, key: SearchKey) -> Test:
        """A key as a function."""
        answer = self._answers.get(key)
        if answer is None:
            return self._test(key)
        return _answered_test(answer, self._snapshot.uids, self._test(key))

    def _test(self, key: SearchKey) -> Test:
        if need_of(key) == Need.NOTHING:
            there = self._columns.test(key)
            return lambda index, message: bool(there(index))
        match key:
            case KeyDate():
                return _date_test(key)
            case KeyObject():
                return _object_test(key)
            case KeyHeader(field, text):
                wanted = fold(text)
                return lambda index, message: (
                    message is not None and any(wanted in value for value in message.values(field))
                )
            case KeyText(text, header_too):
                return _text_test(fold(text), header_too=header_too)
            case KeyNot(inner):
                negated = self.test(inner)
                return lambda index, message: not negated(index, message)
            case KeyOr(left, right):
                first_test, second_test = self.test(left), self.test(right)
                return lambda index, message: first_test(index, message) or second_test(index, message)
            case KeyAnd(keys):
                tests = [self.test(each) for each in keys]
                return lambda index, message: all(each(index, message) for each in tests)
        raise TypeError(f"{type(key).__name__} is not evaluated")


def _date_test(key: KeyDate) -> Test:
    """SENT and SAVED keys."""
    day = key.day
    compare: Callable[[int], bool]
    match key.comparison:
        case Comparison.BEFORE:
            compare = day.__gt__
        case Comparison.ON:
            compare = day.__eq__
        case Comparison.SINCE:
            compare = day.__le__

    def saved(index: int, message: Message | None) -> bool:
        return message is not None and message.row is not None and compare(message.row.saved_date // DAY_SECONDS)

    def sent(index: int, message: Message | None) -> bool:
        found = message.card.sent_day if message is not None and message.card is not None else None
        return found is not None and compare(found)

    return saved if key.field is DateField.SAVED else sent


def _object_test(key: KeyObject) -> Test:
    """RFC 8474 §5: identifiers are compared octet for octet. No message has a THREADID, as FETCH says."""
    name, thread = key.name, key.thread

    def test(index: int, message: Message | None) -> bool:
        row = message.row if message is not None else None
        return row is not None and not thread and name == row.email_id

    return test


def _text_test(wanted: str, *, header_too: bool) -> Test:
    def test(index: int, message: Message | None) -> bool:
        if message is None:
            return False
        return (header_too and wanted in message.header_text()) or wanted in message.body_text()

    return test


def _answered_test(answer: Answer, uids: Sequence[int], otherwise: Test) -> Test:
    matched, unindexed = answer.matched, answer.unindexed

    def test(index: int, message: Message | None) -> bool:
        uid = uids[index]
        return uid in matched or (uid in unindexed and otherwise(index, message))

    return test
