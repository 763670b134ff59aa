"""Evaluates search keys: on the view's columns where that is enough, on decoded text where it is not.

Pure. RFC 3501 §6.4.4: substrings match without regard to case; here also without regard to width (NFKC), so that a search in any
input method finds what was written in another. Dates disregard time and zone. RFC 7162 §3.1.5 (MODSEQ).

Where Dovecot answers otherwise, on purpose:
- HTML is searched as the text that a reader sees: its tags and styles match nothing.
- BODY also looks at the headers of parts and of the messages inside: the name of an attachment is found.
- A message without a Date that can be read matches no SENT... key (there it was sent in 1970).
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Final

import attrs

from services.imap.candidates import Answer, Answers
from services.imap.protocol.arguments import (
    Comparison,
    DateField,
    KeyAll,
    KeyAnd,
    KeyDate,
    KeyFlag,
    KeyHeader,
    KeyKeyword,
    KeyModSeq,
    KeyNot,
    KeyNumbers,
    KeyOr,
    KeySize,
    KeyText,
    KeyUids,
    SearchFlag,
    SearchKey,
)
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.updates import Selected
from shared.mail.date import parse_date
from shared.mail.encoded_word import decode_words
from shared.mail.header import get_all
from shared.mail.parts import Part
from shared.mail.search_text import body_text, fold, header_lines
from shared.model.flags import FIRST_KEYWORD_BIT, SystemFlag
from shared.model.packed import U32

DAY_SECONDS: Final = 86400

_BITS: Final = {
    SearchFlag.ANSWERED: SystemFlag.ANSWERED.value,
    SearchFlag.DELETED: SystemFlag.DELETED.value,
    SearchFlag.DRAFT: SystemFlag.DRAFT.value,
    SearchFlag.FLAGGED: SystemFlag.FLAGGED.value,
    SearchFlag.SEEN: SystemFlag.SEEN.value,
}


class Need:
    """What a key looks at beyond the columns; the larger includes the smaller."""

    NOTHING: Final = 0
    HEADER: Final = 1
    TEXT: Final = 2


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
        case KeyDate(DateField.SENT):
            return Need.HEADER
        case KeyText():
            return Need.TEXT
    return Need.NOTHING


@attrs.frozen(eq=False)
class Snapshot:
    """The told messages that are there, in columns of the same length; fixed while a search runs."""

    numbers: Sequence[int]
    uids: "array[int]"
    flags: Sequence[int]
    modseqs: Sequence[int]
    sizes: Sequence[int]
    dates: Sequence[int]
    keywords: tuple[str, ...]
    first_recent_uid: int
    told_uids: "array[int]"


def take_snapshot(selected: Selected) -> Snapshot:
    """Copies of the columns: at memory speed when the session is in step with the view."""
    columns = selected.columns
    told = selected.told
    if selected.in_step:
        count = len(told)
        return Snapshot(
            range(1, count + 1),
            told,
            columns.flags[:],
            columns.modseqs[:],
            *columns.lend(),
            columns.keywords,
            selected.first_recent_uid,
            told,
        )
    numbers: list[int] = []
    positions: list[int] = []
    for number, uid in enumerate(told, 1):
        position = columns.position(uid)
        if position >= 0:
            numbers.append(number)
            positions.append(position)
    return Snapshot(
        numbers,
        array(U32, [columns.uids[position] for position in positions]),
        [columns.flags[position] for position in positions],
        [columns.modseqs[position] for position in positions],
        [columns.sizes[position] for position in positions],
        [columns.dates[position] for position in positions],
        columns.keywords,
        selected.first_recent_uid,
        told,
    )


class Message:
    """What was read of one message, decoded when it is first asked for."""

    def __init__(self, header: bytes, parts: Sequence[tuple[Part, bytes]] = (), more_headers: bytes = b"") -> None:
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

    def sent_day(self) -> int | None:
        """The day of the Date field as written there."""
        for value in get_all(self._header, 0, len(self._header), b"date")[:1]:
            sent = parse_date(value)
            if sent is not None:
                return (sent.seconds + sent.offset_minutes * 60) // DAY_SECONDS
        return None

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
        self._slots = {keyword.lower(): slot for slot, keyword in enumerate(snapshot.keywords)}

    def narrow(self, key: SearchKey) -> tuple[list[int], SearchKey | None]:
        """Indexes that pass all conditions on columns, and what is left to be tested with messages (None: nothing)."""
        keys = key.keys if isinstance(key, KeyAnd) else (key,)
        candidates: Iterable[int] = range(len(self._snapshot.uids))
        rest: list[SearchKey] = []
        for each in keys:
            if need_of(each) == Need.NOTHING:
                test = self.test(each)
                candidates = [index for index in candidates if test(index, None)]
            else:
                rest.append(each)
        # header before text: what the cheaper key excludes is not read for the dearer one
        rest.sort(key=need_of)
        found = candidates if isinstance(candidates, list) else list(candidates)
        if not rest:
            return found, None
        return found, rest[0] if len(rest) == 1 else KeyAnd(tuple(rest))

    def test(self, key: SearchKey) -> Test:
        """A key as a function."""
        answer = self._answers.get(key)
        if answer is None:
            return self._test(key)
        return _answered_test(answer, self._snapshot.uids, self._test(key))

    def _test(self, key: SearchKey) -> Test:  # noqa: C901 - one case for each kind of key
        snapshot = self._snapshot
        match key:
            case KeyAll():
                return lambda index, message: True
            case KeyFlag(SearchFlag.RECENT):
                uids, first = snapshot.uids, snapshot.first_recent_uid
                return lambda index, message: uids[index] >= first
            case KeyFlag(flag):
                return self._flag_test(_BITS[flag])
            case KeyKeyword(keyword):
                slot = self._slots.get(keyword.lower())
                return self._flag_test(0 if slot is None else 1 << (FIRST_KEYWORD_BIT + slot))
            case KeyNumbers(messages):
                return self._number_test(messages)
            case KeyUids(messages):
                largest = snapshot.told_uids[-1] if snapshot.told_uids else 0
                return _span_test(messages.spans(largest), snapshot.uids)
            case KeySize(larger, octets):
                sizes = snapshot.sizes
                if larger:
                    return lambda index, message: sizes[index] > octets
                return lambda index, message: sizes[index] < octets
            case KeyModSeq(modseq):
                modseqs = snapshot.modseqs
                return lambda index, message: modseqs[index] >= modseq
            case KeyDate():
                return self._date_test(key)
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

    def _flag_test(self, bit: int) -> Test:
        flags = self._snapshot.flags
        return lambda index, message: flags[index] & bit != 0

    def _number_test(self, messages: SequenceSet) -> Test:
        """The caller has checked that the numbers are in the mailbox."""
        return _span_test(messages.spans(len(self._snapshot.told_uids)), self._snapshot.numbers)

    def _date_test(self, key: KeyDate) -> Test:
        day = key.day
        compare: Callable[[int], bool]
        match key.comparison:
            case Comparison.BEFORE:
                compare = day.__gt__
            case Comparison.ON:
                compare = day.__eq__
            case Comparison.SINCE:
                compare = day.__le__
        if key.field is DateField.INTERNAL:
            dates = self._snapshot.dates
            return lambda index, message: compare(dates[index] // DAY_SECONDS)

        def sent(index: int, message: Message | None) -> bool:
            found = message.sent_day() if message is not None else None
            return found is not None and compare(found)

        return sent


def _span_test(spans: Sequence[tuple[int, int]], numbers: Sequence[int]) -> Test:
    starts = [low for low, _ in spans]

    def test(index: int, message: Message | None) -> bool:
        number = numbers[index]
        at = bisect_right(starts, number) - 1
        return at >= 0 and number <= spans[at][1]

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
