"""What one session has told its client about its mailbox, and what is still to be told.

Laws:
- A message sequence number means what the client was last told; ``told`` is that mapping and changes only as responses are rendered.
- EXPUNGE is rendered only where the caller says that it may be (``state.COMMANDS``); what must wait is kept and never lost.
- A message that vanished before it was told is never mentioned.
- EXPUNGEs go from the largest number down: then none of them shifts another.

RFC 3501 §5.2, §5.5, §7.3.1 (EXISTS), §7.3.2 (RECENT), §7.4.1 (EXPUNGE), §7.4.2 (FETCH); RFC 7162 §3.2 (MODSEQ in FETCH).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from services.imap.protocol.responses import build_flags
from services.imap.protocol.sequence_set import SequenceSet, positions_of_numbers, positions_of_uids
from services.imap.view import Columns
from shared.model.flags import SYSTEM_FLAG_NAMES


class Selected:
    """A session's selected mailbox. The view may run ahead of it; ``render`` catches up."""

    def __init__(self, columns: Columns, *, read_only: bool, first_recent_uid: int) -> None:
        self.columns = columns
        self.read_only = read_only
        self.first_recent_uid = first_recent_uid
        self.told: array[int] = columns.uids
        self._largest_told = columns.uids[-1] if columns.uids else 0
        self._generation = columns.generation
        self._told_modseq: int = columns.highest_modseq
        self._pending_flags: dict[int, None] = {}
        self._pending_vanished: set[int] = set()
        self._told_recent = self.recent()
        self._told_keywords = columns.keywords

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
        if by_uid:
            return positions_of_uids(messages, self.told)
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
                if change.vanished:
                    self._pending_vanished.update(change.vanished)
        self._generation = columns.generation

    def _compare(self) -> None:
        """Too far behind for the log: look at the columns themselves."""
        columns = self.columns
        there = set(columns.uids)
        self._pending_vanished.update(uid for uid in self.told if uid not in there)
        self._pending_flags.update(dict.fromkeys(columns.changed_after(self._told_modseq)))

    def render(self, *, expunge: bool, modseq: bool) -> bytes:
        """Everything that may be told now, as untagged responses; the mapping moves on with it."""
        if not self.anything_new():
            return b""
        self._collect()
        pieces: list[bytes] = [self.render_keywords()]
        if expunge:
            self._render_expunges(pieces)
        if self._pending_flags:
            self._render_flags(pieces, modseq)
        self._render_exists(pieces)
        if not self._pending_flags:
            self._told_modseq = max(self._told_modseq, self.columns.highest_modseq)
        if not self._pending_vanished and len(self.told) == len(self.columns.uids):
            # the same messages: share the view's array again
            self.told = self.columns.uids
        return b"".join(pieces)

    def render_keywords(self) -> bytes:
        """FLAGS, when the mailbox has new keywords: it goes before the first FETCH that uses them (RFC 3501 §7.2.6)."""
        keywords = self.columns.keywords
        if keywords == self._told_keywords:
            self._told_keywords = keywords
            return b""
        self._told_keywords = keywords
        return build_flags([*SYSTEM_FLAG_NAMES, *keywords])

    def _render_expunges(self, pieces: list[bytes]) -> None:
        if not self._pending_vanished:
            return
        told = self.told
        positions = []
        for uid in self._pending_vanished:
            position = bisect_left(told, uid)
            if position < len(told) and told[position] == uid:
                positions.append(position)
        self._pending_vanished.clear()
        if not positions:
            return
        positions.sort()
        pieces.extend(b"* %d EXPUNGE\r\n" % (position + 1) for position in reversed(positions))
        kept: array[int] = array(told.typecode)
        start = 0
        for position in positions:
            kept.extend(told[start:position])
            start = position + 1
        kept.extend(told[start:])
        self.told = kept
        self._told_recent = self.recent()

    def _render_flags(self, pieces: list[bytes], modseq: bool) -> None:
        columns = self.columns
        for uid in sorted(self._pending_flags):
            number = self.number_of(uid)
            position = columns.position(uid)
            if number and position >= 0:
                pieces.append(self.flags_line(number, uid, position, modseq=modseq))
        self._pending_flags.clear()

    def flags_line(self, number: int, uid: int, position: int, *, modseq: bool, flags: bool = True) -> bytes:
        """``* 3 FETCH (UID 7 FLAGS (\\Seen))``; the UID is always there: it costs little and no client minds."""
        columns = self.columns
        text = b"* %d FETCH (UID %d" % (number, uid)
        if flags:
            text += b" FLAGS " + columns.render_flags(columns.flags[position], uid >= self.first_recent_uid)
        if modseq:
            text += b" MODSEQ (%d)" % columns.modseqs[position]
        return text + b")\r\n"

    def _render_exists(self, pieces: list[bytes]) -> None:
        uids = self.columns.uids
        first_new = bisect_right(uids, self._largest_told)
        if first_new == len(uids):
            return
        self.told = self.told + uids[first_new:]
        self._largest_told = uids[-1]
        pieces.append(b"* %d EXISTS\r\n" % len(self.told))
        recent = self.recent()
        if recent != self._told_recent:
            self._told_recent = recent
            pieces.append(b"* %d RECENT\r\n" % recent)

    def forget_pending_flags(self, uids: Sequence[int]) -> None:
        """The running command tells these itself."""
        self._collect()
        if self._pending_flags:
            for uid in uids:
                self._pending_flags.pop(uid, None)
