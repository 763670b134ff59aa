"""Search keys on what a view holds in columns: flags, UIDs, modseqs, sizes, internal dates.

Pure. The keys become one Python expression, evaluated by one comprehension over slices of the columns: some 40 ns for a message and
key. Nothing of a client's text is in it: constants are integers, and sets are names bound to functions.
RFC 3501 §6.4.4, RFC 7162 §3.1.5 (MODSEQ), RFC 5032 §3 (OLDER, YOUNGER).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, Final

import attrs

from services.imap.protocol.search_keys import (
    Comparison,
    DateField,
    KeyAll,
    KeyAnd,
    KeyArrived,
    KeyDate,
    KeyFlag,
    KeyKeyword,
    KeyModSeq,
    KeyNot,
    KeyOr,
    KeySize,
    KeyUids,
    SearchFlag,
    SearchKey,
)
from services.imap.updates import NEVER_RECENT, Selected
from services.imap.view import Columns, low_octets
from shared.model.flags import FIRST_KEYWORD_BIT, SystemFlag
from shared.model.packed import U32, U64

DAY_SECONDS: Final = 86400
SLICE_MESSAGES: Final = 20_000
"""Looked at without giving others a turn: a few milliseconds."""

_BITS: Final = {
    SearchFlag.ANSWERED: SystemFlag.ANSWERED.value,
    SearchFlag.DELETED: SystemFlag.DELETED.value,
    SearchFlag.DRAFT: SystemFlag.DRAFT.value,
    SearchFlag.FLAGGED: SystemFlag.FLAGGED.value,
    SearchFlag.SEEN: SystemFlag.SEEN.value,
}


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

    def indexes(self, messages: KeyUids) -> list[tuple[int, int]]:
        """Half-open ranges of the snapshot's indexes that a set of UIDs names."""
        uids = self.uids
        pairs = ((bisect_left(uids, low), bisect_right(uids, high)) for low, high in messages.uids.ranges)
        return [(start, stop) for start, stop in pairs if start < stop]


def take_snapshot(selected: Selected) -> Snapshot:
    """Copies of the columns: at memory speed when the session is in step with the view."""
    columns, told = selected.columns, selected.told
    if selected.in_step:
        return snapshot_of(columns, selected.first_recent_uid)
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
    )


def snapshot_of(columns: Columns, first_recent_uid: int = NEVER_RECENT) -> Snapshot:
    """Of a whole mailbox."""
    return Snapshot(
        range(1, len(columns.uids) + 1),
        columns.uids,
        columns.flags[:],
        columns.modseqs[:],
        *columns.lend(),
        columns.keywords,
        first_recent_uid,
    )


def snapshot_of_some(columns: Columns, uids: Sequence[int], first_recent_uid: int) -> Snapshot:
    """Of those of some messages (ascending) that are there; without sequence numbers."""
    positions = [position for position in map(columns.position, uids) if position >= 0]
    return Snapshot(
        (),
        array(U32, [columns.uids[position] for position in positions]),
        [columns.flags[position] for position in positions],
        [columns.modseqs[position] for position in positions],
        [columns.sizes[position] for position in positions],
        [columns.dates[position] for position in positions],
        columns.keywords,
        first_recent_uid,
    )


Filter = Callable[[int, int], list[int]]
"""Indexes that match, of those from a start to a stop."""


class ColumnKeys:
    """Evaluates keys on columns over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._slots = {keyword.lower(): slot for slot, keyword in enumerate(snapshot.keywords)}
        self._columns: dict[str, Sequence[int]] = {
            "u": snapshot.uids,
            "f": snapshot.flags,
            "m": snapshot.modseqs,
            "z": snapshot.sizes,
            "d": snapshot.dates,
        }
        self._bound: dict[str, object] = {}

    def slices(self, keys: Sequence[SearchKey]) -> Iterator["array[int] | range"]:
        """Indexes that match all keys, ascending, slice by slice; whoever takes them lets others have a turn in between."""
        ranges = [(0, len(self._snapshot.uids))] if len(self._snapshot.uids) else []
        tested: list[SearchKey] = []
        for key in keys:
            if isinstance(key, KeyUids):
                # what is not named is not even looked at
                ranges = _intersect(ranges, self._snapshot.indexes(key))
            elif not isinstance(key, KeyAll):
                tested.append(key)
        chosen = self._filter(tested) if tested else None
        for first, last in ranges:
            if chosen is None:
                yield range(first, last)
                continue
            for start in range(first, last, SLICE_MESSAGES):
                yield array(U32, chosen(start, min(start + SLICE_MESSAGES, last)))

    def test(self, key: SearchKey) -> Callable[[int], bool]:
        """Whether the message at an index matches a key."""
        source = self._source(key)
        names = [name for name in self._columns if _uses(source, name)]
        row = "".join(f"{name.upper()}[i], " for name in names)
        text = f"lambda i: [1 for {', '.join(names)}, in (({row}),) if {source}]" if names else f"lambda i: {source}"
        test: Callable[[int], bool] = self._evaluate(text)
        return test

    def _filter(self, keys: Sequence[SearchKey]) -> Filter:
        wanted = _mask_of(keys)
        if wanted is None:
            return self._compile_filter(" and ".join(map(self._source, keys)))
        mask, value = wanted
        marks = bytes(octet & mask == value for octet in range(256))
        flags = self._snapshot.flags
        packed = flags if isinstance(flags, array) else array(U64, flags)
        return lambda start, stop: list(
            compress(range(start, stop), low_octets(packed[start:stop]).translate(marks))
        )

    def _compile_filter(self, source: str) -> Filter:
        names = [name for name in self._columns if _uses(source, name)]
        text = f"lambda start, stop: [i for i in range(start, stop) if {source}]"
        if names:
            columns = ", ".join(f"{name.upper()}[start:stop]" for name in names)
            row = ", ".join(["i", *names])
            text = f"lambda start, stop: [i for {row} in zip(range(start, stop), {columns}) if {source}]"
        compiled: Filter = self._evaluate(text)
        return compiled

    def _evaluate(self, text: str) -> Any:
        """The function; its text is made of constants of ours, integers and names (see the module)."""
        columns = {name.upper(): values for name, values in self._columns.items()}
        return eval(text, {"__builtins__": {"range": range, "zip": zip}, **columns, **self._bound})  # noqa: S307 - see above

    def _source(self, key: SearchKey) -> str:  # noqa: C901 - one case for each kind of key
        match key:
            case KeyAll():
                return "True"
            case KeyFlag(SearchFlag.RECENT):
                return f"u >= {self._snapshot.first_recent_uid}"
            case KeyFlag(flag):
                return f"f & {_BITS[flag]}"
            case KeyKeyword(keyword):
                slot = self._slots.get(keyword.lower())
                return "False" if slot is None else f"f & {1 << (FIRST_KEYWORD_BIT + slot)}"
            case KeyUids():
                return self._named(key)
            case KeySize(larger, octets):
                return f"z {'>' if larger else '<'} {octets}"
            case KeyModSeq(modseq):
                return f"m >= {modseq}"
            case KeyArrived(older, instant):
                return f"d {'<=' if older else '>'} {instant}"
            case KeyDate(DateField.INTERNAL, comparison, day):
                start, end = day * DAY_SECONDS, (day + 1) * DAY_SECONDS
                match comparison:
                    case Comparison.BEFORE:
                        return f"d < {start}"
                    case Comparison.ON:
                        return f"{start} <= d < {end}"
                    case Comparison.SINCE:
                        return f"d >= {start}"
            case KeyNot(inner):
                return f"not ({self._source(inner)})"
            case KeyOr(left, right):
                return f"({self._source(left)} or {self._source(right)})"
            case KeyAnd(keys):
                return f"({' and '.join(map(self._source, keys))})"
        raise TypeError(f"{type(key).__name__} is not on columns")

    def _named(self, key: KeyUids) -> str:
        spans = key.uids.ranges
        if not spans:
            return "False"
        if len(spans) == 1:
            return f"{spans[0][0]} <= u <= {spans[0][1]}"
        name = f"s{len(self._bound)}"
        self._bound[name] = span_test(spans)
        return f"{name}(u)"


def _mask_of(keys: Sequence[SearchKey]) -> tuple[int, int] | None:
    """Which bits of the flags must have which value, when all keys are about system flags: then one octet of each message decides."""
    mask = value = 0
    for key in keys:
        flag = key.key if isinstance(key, KeyNot) else key
        if not isinstance(flag, KeyFlag) or flag.flag is SearchFlag.RECENT:
            return None
        bit = _BITS[flag.flag]
        set_ = 0 if isinstance(key, KeyNot) else bit
        if mask & bit and value & bit != set_:
            return None  # both at once: nothing, as the other way finds
        mask |= bit
        value |= set_
    return mask, value


def _uses(source: str, name: str) -> bool:
    """Whether a column is named in an expression, whose other names are longer or none of the columns'."""
    padded = f" {source} ".replace("(", " ").replace(")", " ")
    return f" {name} " in padded


def span_test(spans: Sequence[tuple[int, int]]) -> Callable[[int], bool]:
    """Whether a number is in ranges (inclusive, ascending, apart)."""
    starts = [low for low, _ in spans]

    def test(number: int) -> bool:
        at = bisect_right(starts, number) - 1
        return at >= 0 and number <= spans[at][1]

    return test


def _intersect(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open ranges that are in both; each ascending, apart."""
    found: list[tuple[int, int]] = []
    left = right = 0
    while left < len(ours) and right < len(theirs):
        start, stop = max(ours[left][0], theirs[right][0]), min(ours[left][1], theirs[right][1])
        if start < stop:
            found.append((start, stop))
        if ours[left][1] < theirs[right][1]:
            left += 1
        else:
            right += 1
    return found
