"""What one session has told its client about its mailbox, and what is still to be told.

Laws:
- A message sequence number means what the client was last told; ``told`` is that mapping and changes only as responses are rendered.
- EXPUNGE is rendered only where the caller says that it may be (``state.COMMANDS``); what must wait is kept and never lost.
- A message that vanished before it was told is never mentioned.
- EXPUNGEs go from the largest number down: then none of them shifts another.
- How something is told is the session's dialect (``Dialect``): what a client has not enabled it never sees.
- Telling a few changes costs in proportion to them, not to the mailbox: once nothing is held back, ``told`` is the view's own array.
- ``safe_modseq`` never lies: everything up to it was told. Where a MODSEQ above it may have been told while an expunge was held back, the
  client hears it as HIGHESTMODSEQ (RFC 7162 §3.2), so that a lost connection loses no change.

RFC 3501 §5.2, §5.5, §7.3.1 (EXISTS), §7.3.2 (RECENT), §7.4.1 (EXPUNGE), §7.4.2 (FETCH); RFC 7162 §3.2 (MODSEQ in FETCH), §3.2.10
(VANISHED); RFC 9051 §7.4.1; RFC 9586 §3 (UIDFETCH).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from services.imap.protocol.responses import build_flags, build_untagged, vanished_lines
from services.imap.protocol.sequence_set import (
    NO_MESSAGES,
    SequenceSet,
    positions_of_numbers,
    positions_of_uids,
    ranges_of,
)
from services.imap.view import Columns
from shared.model.flags import SYSTEM_FLAG_NAMES

NEVER_RECENT: Final = 2**32
"""Above every UID."""


@attrs.frozen
class Dialect:
    """What the client has enabled, as far as it changes how a mailbox is told."""

    modseq: bool = False
    """RFC 7162 §3.1: MODSEQ in every FETCH."""
    vanished: bool = False
    """RFC 7162 §3.2.10, RFC 9586 §3: VANISHED instead of EXPUNGE."""
    by_uid: bool = False
    """RFC 9586 §3: UIDFETCH instead of FETCH; no message sequence number anywhere."""
    recent: bool = True
    """RFC 9051 appendix E has no \\Recent and no RECENT."""
    resyncs: bool = False
    """RFC 7162 §3.2: the client keeps HIGHESTMODSEQ, so that it must never be told one that skips something."""


PLAIN: Final = Dialect()


class Selected:
    """A session's selected mailbox. The view may run ahead of it; ``render`` catches up."""

    def __init__(self, columns: Columns, *, read_only: bool, first_recent_uid: int, dialect: Dialect = PLAIN) -> None:
        self.columns = columns
        self.read_only = read_only
        self.first_recent_uid = first_recent_uid if dialect.recent else NEVER_RECENT
        self.dialect = dialect
        self.told: array[int] = columns.uids
        self._largest_told = columns.uids[-1] if columns.uids else 0
        self._generation = columns.generation
        self._told_modseq: int = columns.highest_modseq
        self._pending_flags: dict[int, None] = {}
        self._pending_vanished: set[int] = set()
        self._told_recent = self.recent()
        self._told_keywords = columns.keywords
        self._held_back = False
        self._owes_modseq = False
        self.numbers_in_use = False
        """Whether the command that runs has named messages by their numbers."""
        self.name = ""
        """What the mailbox was called when it was selected."""
        self.saved = NO_MESSAGES
        """RFC 5182 §2.1: the saved search result, as ranges of UIDs between which every message that was there is in it. So it is
        short, and what is expunged leaves it by itself."""

    def speak(self, dialect: Dialect) -> None:
        """The client has enabled something while the mailbox is selected."""
        # RFC 7162 §3.1: the first enabling command is answered with HIGHESTMODSEQ of the selected mailbox
        self._owes_modseq |= dialect.modseq and not self.dialect.modseq
        self.dialect = dialect
        if not dialect.recent:
            self.first_recent_uid = NEVER_RECENT
            self._told_recent = 0

    # --- the mapping ---

    def recent(self) -> int:
        """How many of the told messages are \\Recent for this session."""
        return len(self.told) - bisect_left(self.told, self.first_recent_uid)

    def number_of(self, uid: int) -> int:
        """The message sequence number of a UID, 0 when it was not told."""
        position = bisect_left(self.told, uid)
        return position + 1 if position < len(self.told) and self.told[position] == uid else 0

    def resolve(self, messages: SequenceSet, *, by_uid: bool) -> list[tuple[int, int]]:
        """Half-open ranges of positions in ``told``. Raises InvalidSet."""
        if messages.saved:
            # RFC 5182 §2.1: the same messages, whether the command names them by number or by UID
            return positions_of_uids(self.saved, self.told)
        if by_uid:
            return positions_of_uids(messages, self.told)
        self.numbers_in_use = True
        return positions_of_numbers(messages, len(self.told))

    def uids_of(self, ranges: Sequence[tuple[int, int]]) -> "array[int]":
        """The UIDs at positions."""
        if len(ranges) == 1:
            return self.told[ranges[0][0] : ranges[0][1]]
        uids: array[int] = array(self.told.typecode)
        for start, stop in ranges:
            uids.extend(self.told[start:stop])
        return uids

    @property
    def in_step(self) -> bool:
        """Whether positions in ``told`` are positions in the view's columns."""
        return self.told is self.columns.uids

    # --- catching up ---

    def anything_new(self) -> bool:
        """Whether ``render`` could have something to tell."""
        uids = self.columns.uids
        return (
            self._generation != self.columns.generation
            or bool(self._pending_flags or self._pending_vanished)
            or self._told_keywords is not self.columns.keywords
            or (len(uids) > 0 and uids[-1] > self._largest_told)
        )

    def _collect(self) -> None:
        """Take over what the view recorded since the last time."""
        columns = self.columns
        if self._generation == columns.generation:
            return
        changes = columns.changes_since(self._generation)
        if changes is None:
            self._compare()
        else:
            for change in changes:
                if change.teller is self:
                    for uid in change.also_for_teller:
                        self._pending_flags[uid] = None
                else:
                    self._pending_flags.update(dict.fromkeys(change.flagged))
                # what came and went untold is never mentioned
                last = self._largest_told
                self._pending_vanished.update(uid for uid in change.vanished if uid <= last)
        self._generation = columns.generation

    def _compare(self) -> None:
        """Too far behind for the log: look at the columns themselves."""
        columns = self.columns
        there = columns.uids
        if there is not self.told:
            self._pending_vanished.update(missing(self.told, there))
        self._pending_flags.update(dict.fromkeys(columns.changed_after(self._told_modseq)))

    @property
    def largest_told(self) -> int:
        """Everything with a higher UID is new to the client."""
        return self._largest_told

    def render(self, *, expunge: bool, say_modseq: bool = True, new: bool = True, flags: bool = True) -> bytes:
        """Everything that may be told now, as untagged responses; the mapping moves on with it.

        ``say_modseq`` False: the caller says itself up to which modseq everything has been told, if that is to be said.
        ``new``, ``flags`` False: new messages, changed flags are not told now (RFC 5465 §3.1); they wait.
        """
        pieces: list[bytes] = []
        gone = False
        if self.anything_new():
            self._collect()
            pieces.append(self.render_keywords())
            gone = expunge and self._render_expunges(pieces)
            if flags and self._pending_flags:
                self._render_flags(pieces)
            if new:
                self._render_exists(pieces)
            if new and not self._pending_vanished:
                # nothing is held back, so these are the same messages: share the view's array
                self.told = self.columns.uids
        if not self._pending_vanished and (new or not self._untold) and not (self._pending_flags and not flags):
            self._told_modseq = max(self._told_modseq, self.columns.highest_modseq)
        needed = self.dialect.resyncs and self._modseq_is_needed(gone=gone) and say_modseq
        if needed or self._owes_modseq:
            self._owes_modseq = False
            pieces.append(self.render_modseq())
        return b"".join(pieces)

    @property
    def _untold(self) -> bool:
        """Whether there are messages that the client has not been told of."""
        uids = self.columns.uids
        return len(uids) > 0 and uids[-1] > self._largest_told

    @property
    def safe_modseq(self) -> int:
        """Everything that happened up to this modseq has been told; at least 1 (RFC 7162 §7: mod-sequence-value)."""
        return max(1, self._told_modseq)

    def _modseq_is_needed(self, *, gone: bool) -> bool:
        """RFC 7162 §3.2: whether HIGHESTMODSEQ must be told.

        It holds the client back where a higher MODSEQ may have been told while something below it has not; and it moves the client on
        after that, and after expunges, which carry no MODSEQ of their own.
        """
        before = self._held_back
        self._held_back = self.columns.largest_modseq > self._told_modseq
        return self._held_back or before or gone

    def render_modseq(self) -> bytes:
        """``* OK [HIGHESTMODSEQ n]``: up to where the client knows everything."""
        return build_untagged("OK", "Told up to here", f"HIGHESTMODSEQ {self.safe_modseq}")

    def render_keywords(self) -> bytes:
        """FLAGS, when the mailbox has new keywords: it goes before the first FETCH that uses them (RFC 3501 §7.2.6)."""
        keywords = self.columns.keywords
        if keywords == self._told_keywords:
            self._told_keywords = keywords
            return b""
        self._told_keywords = keywords
        return build_flags([*SYSTEM_FLAG_NAMES, *keywords])

    def _render_expunges(self, pieces: list[bytes]) -> bool:
        """Whether there were any."""
        if not self._pending_vanished:
            return False
        told = self.told
        positions = []
        for uid in self._pending_vanished:
            position = bisect_left(told, uid)
            if position < len(told) and told[position] == uid:
                positions.append(position)
        self._pending_vanished.clear()
        if not positions:
            return False
        positions.sort()
        if self.dialect.vanished:
            pieces.extend(vanished_lines(ranges_of(told[position] for position in positions)))
        else:
            pieces.extend(b"* %d EXPUNGE\r\n" % (position + 1) for position in reversed(positions))
        # nothing is held back: of the view's array, what was announced
        uids = self.columns.uids
        announced = bisect_right(uids, self._largest_told)
        self.told = uids if announced == len(uids) else uids[:announced]
        self._told_recent = self.recent()
        return True

    def _render_flags(self, pieces: list[bytes]) -> None:
        pieces.append(self.flags_lines(array(self.told.typecode, sorted(self._pending_flags))))
        self._pending_flags.clear()

    def flags_line(self, number: int, uid: int, position: int, *, flags: bool = True) -> bytes:
        """``* 3 FETCH (UID 7 FLAGS (\\Seen))``; the UID is always there: it costs little and no client minds.

        Empty where there is nothing to say: neither flags nor modseq.
        """
        columns, dialect = self.columns, self.dialect
        items = []
        if flags:
            items.append(b"FLAGS " + columns.render_flags(columns.flags[position], uid >= self.first_recent_uid))
        if dialect.modseq:
            items.append(b"MODSEQ (%d)" % columns.modseqs[position])
        if not items:
            return b""
        text = b" ".join(items)
        if dialect.by_uid:
            return b"* %d UIDFETCH (%b)\r\n" % (uid, text)
        return b"* %d FETCH (UID %d %b)\r\n" % (number, uid, text)

    def flags_lines(self, uids: Sequence[int], *, flags: bool = True) -> bytes:
        """``flags_line`` for many messages, those that were told; neighbours cost little."""
        columns, dialect = self.columns, self.dialect
        first = columns.run_of(uids) if self.in_step and (flags or dialect.modseq) else -1
        if first < 0 or (flags and uids[-1] >= self.first_recent_uid):
            pieces = []
            for uid in uids:
                number, position = self.number_of(uid), columns.position(uid)
                if number and position >= 0:
                    pieces.append(self.flags_line(number, uid, position, flags=flags))
            return b"".join(pieces)
        end = first + len(uids)
        values: list[Iterable[object]] = [] if dialect.by_uid else [range(first + 1, end + 1)]
        values.append(uids)
        items = []
        if flags:
            bits = columns.flags[first:end]
            texts = {each: columns.render_flags(each, False) for each in set(bits)}
            values.append(map(texts.__getitem__, bits))
            items.append(b"FLAGS %b")
        if dialect.modseq:
            values.append(columns.modseqs[first:end])
            items.append(b"MODSEQ (%d)")
        head = b"* %d UIDFETCH (" if dialect.by_uid else b"* %d FETCH (UID %d "
        line = head + b" ".join(items) + b")\r\n"
        return b"".join([line % row for row in zip(*values, strict=True)])

    def _render_exists(self, pieces: list[bytes]) -> None:
        uids = self.columns.uids
        first_new = bisect_right(uids, self._largest_told)
        if first_new == len(uids):
            return
        # while an expunge is held back the mapping is an array of its own; else it is the view's
        self.told = self.told + uids[first_new:] if self._pending_vanished else uids
        self._largest_told = uids[-1]
        pieces.append(b"* %d EXISTS\r\n" % len(self.told))
        recent = self.recent()
        if recent != self._told_recent:
            self._told_recent = recent
            pieces.append(b"* %d RECENT\r\n" % recent)

    def pending_flags(self) -> frozenset[int]:
        """UIDs of messages whose flags the client is still to be told."""
        self._collect()
        return frozenset(self._pending_flags)

    def forget_pending_flags(self, uids: Sequence[int]) -> None:
        """The running command tells these itself."""
        self._collect()
        if self._pending_flags:
            for uid in uids:
                self._pending_flags.pop(uid, None)


def missing(told: Sequence[int], there: Sequence[int]) -> list[int]:
    """UIDs of ``told`` that are not in ``there``, ascending; both ascend, and up to told's end ``there`` holds nothing else.

    Equal numbers of UIDs in a span mean equal UIDs, so that whole spans are passed over: the cost follows what is missing.
    """
    found: list[int] = []
    spans = [(0, len(told))]
    while spans:
        start, stop = spans.pop()
        if start >= stop:
            continue
        low, high = bisect_left(there, told[start]), bisect_right(there, told[stop - 1])
        if high - low == stop - start:
            continue
        if low == high:
            found.extend(told[start:stop])
        elif stop - start <= 32:
            kept = set(there[low:high])
            found.extend(uid for uid in told[start:stop] if uid not in kept)
        else:
            middle = (start + stop) // 2
            # the left half on top: spans are taken in ascending order
            spans += [(middle, stop), (start, middle)]
    return found
