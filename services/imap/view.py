"""One view per selected mailbox and process, shared by all sessions that have it selected.

Laws:
- A view holds what the store last told, in compact columns by ascending UID: about 32 octets for each message.
- ``uids`` is a snapshot: it is replaced, never changed in place, so that sessions can keep it as their sequence numbers for free. The
  other columns change in place; who needs them to stay as they are copies or borrows them (``lend``).
- Every change (flags, new, vanished) is one entry in a bounded log; sessions read on from where they are (``updates``). A session that
  fell too far behind compares with the columns instead. Nobody rescans a mailbox for the sake of one message.
- The mailbox is watched once; the store says "changed", the view asks once for what is new, and wakes its sessions.
- Applying what a session did itself moves ``highest_modseq`` only where it is the very next one: others' changes in between are still
  asked for.

RFC 3501 §2.3.1 (UIDs ascend, are never used again), RFC 7162 §3.1 (modseq). What can fail: StoreError from the store; after
NoSuchMailbox or GrantExpired the view is ``lost`` and its sessions must end.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import attrs

from services.imap.protocol.encode import FlagRenderer
from services.imap.protocol.sequence_set import ranges_of
from shared.contract.types import ChangesPage
from shared.model.flags import SystemFlag
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.packed import I64, U32, U64, unpack_i64, unpack_u32, unpack_u64

MAX_LOG_ENTRIES: Final = 4096
MAX_AHEAD: Final = 64
"""Changes of our own sessions that are in the columns before some that are not; beyond it the store is asked for them."""
_BLOCK: Final = 1024
_LOW_OCTET: Final = 0 if sys.byteorder == "little" else 7
_WITHOUT: Final = {flag: bytes(0 if octet & flag.value else 1 for octet in range(256)) for flag in SystemFlag}
"""For ``bytes.translate``: 1 where the flag is not."""
MAX_LOG_UIDS: Final = 100_000
"""Of all entries; a session that is further behind compares with the columns."""


@attrs.frozen(eq=False)
class Change:
    """One step of a mailbox. ``teller``: the session that has told its client already, as part of its own command."""

    flagged: Sequence[int]
    vanished: Sequence[int]
    teller: object | None = None
    also_for_teller: frozenset[int] = frozenset()
    """UIDs of ``flagged`` whose flags are not what the teller's client expects."""

    @property
    def weight(self) -> int:
        return len(self.flagged) + len(self.vanished)


Wake = Callable[[], None]


def low_octets(flags: "array[int]") -> bytes:
    """The octet of each message's flags that holds the system flags."""
    return flags.tobytes()[_LOW_OCTET::8]


class Columns:
    """The columns of a mailbox and the log of their changes; pure, fed with pages of ``messages.changes``."""

    def __init__(self, mailbox_id: MailboxId, uidvalidity: int) -> None:
        self.mailbox_id = mailbox_id
        self.uidvalidity = uidvalidity
        self.uids: array[int] = array(U32)
        self.modseqs: array[int] = array(U64)
        self.flags: array[int] = array(U64)
        self.sizes: array[int] = array(U32)
        self.dates: array[int] = array(I64)
        self.keywords: tuple[str, ...] = ()
        self.render_flags = FlagRenderer()
        self.uid_next = Uid(1)
        self.highest_modseq = ModSeq(0)
        """Every change up to this is in the columns."""
        self._lent = False
        self.largest_modseq = 0
        """Of everything in the columns: what sessions did themselves may be ahead of what others did."""
        self._ahead: set[int] = set()
        """Modseqs above the highest one that are in the columns."""
        self._largest_uid = 0
        self._log: deque[Change] = deque()
        self._log_weight = 0
        self.generation = 0
        """How many changes there have been."""

    # --- looking ---

    def position(self, uid: int) -> int:
        """Where a UID is in the columns, -1 when it is not there."""
        position = bisect_left(self.uids, uid)
        return position if position < len(self.uids) and self.uids[position] == uid else -1

    def sizes_of(self, uids: "array[int]") -> Sequence[int]:
        """Octets of messages; 0 of those that are not there. Cheap for neighbours."""
        first = bisect_left(self.uids, uids[0]) if uids else 0
        if self.uids[first : first + len(uids)] == uids:
            return self.sizes[first : first + len(uids)]
        positions = map(self.position, uids)
        return [self.sizes[position] if position >= 0 else 0 for position in positions]

    def uids_with(self, flag: SystemFlag) -> "array[int]":
        """UIDs of the messages that have a system flag, ascending: a scan, at the speed of memory."""
        found: array[int] = array(U32)
        marks = low_octets(self.flags).translate(_WITHOUT[flag])
        position = marks.find(0)
        while position >= 0:
            found.append(self.uids[position])
            position = marks.find(0, position + 1)
        return found

    def changes_since(self, generation: int) -> list[Change] | None:
        """What happened after a generation; None when the log does not reach back that far."""
        missing = self.generation - generation
        if missing > len(self._log):
            return None
        return [self._log[index] for index in range(len(self._log) - missing, len(self._log))]

    def first_without(self, flag: SystemFlag) -> int:
        """The first position whose message lacks a system flag, -1 for none; at memory speed."""
        return low_octets(self.flags).translate(_WITHOUT[flag]).find(1)

    def changed_after(self, modseq: int) -> list[int]:
        """UIDs with a higher modseq, ascending: a scan, which passes over blocks without any at some 10 ns a message."""
        uids, modseqs = self.uids, self.modseqs
        found: list[int] = []
        if self.largest_modseq <= modseq:
            return found
        for start in range(0, len(uids), _BLOCK):
            block = modseqs[start : start + _BLOCK]
            if max(block) > modseq:
                found.extend(uids[at] for at, value in enumerate(block, start) if value > modseq)
        return found

    # --- feeding ---

    def note_own(self, modseq: int) -> None:
        """One of our sessions made the change of this modseq, and it is in the columns: nothing is missing if all before it are, too.

        Answers that come together are taken in in any order.
        """
        self.largest_modseq = max(self.largest_modseq, modseq)
        self._ahead = {each for each in (*self._ahead, modseq) if each > self.highest_modseq}
        while self.highest_modseq + 1 in self._ahead:
            self.highest_modseq = ModSeq(self.highest_modseq + 1)
        if len(self._ahead) > MAX_AHEAD:
            self._ahead.clear()

    def apply_page(self, page: ChangesPage) -> bool:
        """Take a page in; whether anything was new."""
        uids = unpack_u32(page.uids)
        vanished = self._remove(unpack_u32(page.vanished)) if page.vanished else ()
        keywords_changed = self._learn_keywords(page.keywords)
        known = bisect_right(uids, self._largest_uid)
        flags, modseqs = unpack_u64(page.flags), unpack_u64(page.modseqs)
        flagged = self._update(uids[:known], flags, modseqs)
        appended = len(uids) > known
        if appended:
            self.uids = self.uids + uids[known:]
            self.flags.extend(flags[known:])
            self.modseqs.extend(modseqs[known:])
            self.sizes.extend(unpack_u32(page.sizes)[known:])
            self.dates.extend(unpack_i64(page.internal_dates)[known:])
            self._largest_uid = uids[-1]
        self.uid_next = Uid(max(self.uid_next, page.uid_next))
        self.largest_modseq = max(self.largest_modseq, max(modseqs, default=0))
        if flagged or vanished or appended:
            self._record(Change(flagged, vanished))
            return True
        return keywords_changed

    def keep_only(self, uids: Iterable[int], among: "array[int]") -> bool:
        """After a listing from the beginning: of ``among`` (the UIDs when it began) those that it did not name are gone."""
        there = set(uids)
        return self.apply_vanished([uid for uid in among if uid not in there])

    def apply_flags(
        self,
        uids: Sequence[int],
        flags: Sequence[int],
        modseqs: Sequence[int],
        keywords: tuple[str, ...],
        teller: object | None,
        expected: Callable[[int], int] | None = None,
    ) -> bool:
        """Take in what one of our sessions did. ``expected``: what its client computes from the old flags (RFC 3501 §6.4.6 .SILENT)."""
        self._learn_keywords(keywords)
        surprises = frozenset[int]()
        if expected is not None and teller is not None:
            surprises = frozenset(self._surprises(uids, flags, expected))
        self.largest_modseq = max(self.largest_modseq, max(modseqs, default=0))
        flagged = self._update(uids, flags, modseqs)
        if not flagged:
            return False
        self._record(Change(flagged, (), teller, surprises))
        return True

    def apply_vanished(self, uids: Iterable[int]) -> bool:
        """Take in what one of our sessions expunged or moved."""
        vanished = self._remove(uids)
        if vanished:
            self._record(Change((), vanished))
        return bool(vanished)

    def _learn_keywords(self, keywords: tuple[str, ...]) -> bool:
        """Slots are only ever added: a shorter list is older than what a session of ours has just made, and would hide its flag."""
        if len(keywords) <= len(self.keywords):
            return False
        self.keywords = keywords
        self.render_flags.set_keywords(keywords)
        return True

    def run_of(self, uids: Sequence[int]) -> int:
        """The position of the first one where messages are neighbours here, in this order; else -1."""
        first = self.position(uids[0]) if uids else -1
        return first if first >= 0 and self.uids[first : first + len(uids)] == uids else -1

    def _surprises(self, uids: Sequence[int], flags: Sequence[int], expected: Callable[[int], int]) -> Iterable[int]:
        first = self.run_of(uids)
        if first >= 0:
            before = self.flags[first : first + len(uids)]
            # messages have few different sets of flags
            computed = {bits: expected(bits) for bits in set(before)}
            yield from (
                uid for uid, old, now in zip(uids, before, flags, strict=True) if computed[old] != now
            )
            return
        for uid, now in zip(uids, flags, strict=True):
            position = self.position(uid)
            if position >= 0 and expected(self.flags[position]) != now:
                yield uid

    def _update(self, uids: Sequence[int], flags: Sequence[int], modseqs: Sequence[int]) -> list[int]:
        """Set flags of messages that are there and whose modseq is newer; their UIDs."""
        ours, our_modseqs, our_flags = self.uids, self.modseqs, self.flags
        first = self.run_of(uids)
        end = first + len(uids)
        if first >= 0 and min(modseqs) > max(our_modseqs[first:end]):
            our_flags[first:end] = array(U64, flags[: len(uids)])
            our_modseqs[first:end] = array(U64, modseqs[: len(uids)])
            return list(uids)
        count = len(ours)
        changed: list[int] = []
        position = 0
        for index, uid in enumerate(uids):
            # mostly the next one: a run of neighbours needs no search
            if position >= count or ours[position] != uid:
                position = bisect_left(ours, uid)
                if position >= count or ours[position] != uid:
                    # Expunged meanwhile: a page that was on its way must not bring it back.
                    continue
            if modseqs[index] > our_modseqs[position]:
                our_modseqs[position] = modseqs[index]
                our_flags[position] = flags[index]
                changed.append(uid)
            position += 1
        return changed

    def _remove(self, uids: Iterable[int]) -> Sequence[int]:
        """Take messages out of the columns; those that were there, ascending."""
        positions = [position for position in map(self.position, uids) if position >= 0]
        if not positions:
            return ()
        positions = sorted(set(positions))
        removed = [self.uids[position] for position in positions]
        holes = [(first, last + 1) for first, last in ranges_of(positions)]
        self.uids = self.uids[:]
        if self._lent:
            self.sizes, self.dates = self.sizes[:], self.dates[:]
            self._lent = False
        for column in (self.uids, self.modseqs, self.flags, self.sizes, self.dates):
            _close_holes(column, holes)
        return removed

    def lend(self) -> "tuple[array[int], array[int]]":
        """Sizes and dates, for who reads them while others change the mailbox: no message that is in them now moves or goes."""
        self._lent = True
        return self.sizes, self.dates

    def _record(self, change: Change) -> None:
        self.generation += 1
        self._log.append(change)
        self._log_weight += change.weight
        while len(self._log) > MAX_LOG_ENTRIES or (self._log_weight > MAX_LOG_UIDS and len(self._log) > 1):
            self._log_weight -= self._log.popleft().weight

    def statistics(self) -> dict[str, int]:
        """Messages, octets of the columns, length of the log."""
        octets = sum(
            column.itemsize * len(column) for column in (self.uids, self.modseqs, self.flags, self.sizes, self.dates)
        )
        return {"messages": len(self.uids), "octets": octets, "log": len(self._log)}


def _close_holes(values: "array[int]", holes: Sequence[tuple[int, int]]) -> None:
    """Take half-open ranges of positions (ascending, apart) out, in place: what is before the first one is not touched."""
    with memoryview(values) as octets:
        end = holes[0][0]
        for (_, start), (stop, _) in pairwise([*holes, (len(values), 0)]):
            octets[end : end + stop - start] = octets[start:stop]
            end += stop - start
    del values[end:]
