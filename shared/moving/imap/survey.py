"""A mailbox of the old server beside ours: what is to be done, and what is remembered when it is done.

A message is known again by its UIDL, which says mailbox and UID there; see ``shared.moving.plan``. A mailbox that has the numbers that
it had when the last import was through is not looked at again, and of others that tell it (RFC 7162) only what has changed since.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from shared.contract.types import MailboxState
from shared.errors import LimitExceeded, TooLarge
from shared.moving.account import Account
from shared.moving.arrive import Outcome, Survey, survey
from shared.moving.imap.choose import Chosen
from shared.moving.imap.framing import ServerViolation
from shared.moving.imap.remembered import EVERYTHING, Remembered, decode, encode, touched_text
from shared.moving.imap.responses import Data, FetchedRow, FolderStatus, Status, parse_row
from shared.moving.imap.session import ImapConnection
from shared.moving.imap.uidls import Pop3Uidls
from shared.moving.plan import Plan, Source
from shared.moving.uidl import UidlFormat, is_uidl
from shared.moving.worker import Kind
from shared.moving.workers import Wanted

MAX_MESSAGES: Final = 5_000_000
GMAIL: Final = "X-GM-EXT-1"


@attrs.define
class Looked:
    """A mailbox of theirs."""

    chosen: Chosen
    there: FolderStatus
    before: Remembered | None
    """None: no import was through with it yet."""
    survey: Survey
    outcome: Outcome
    gone: list[int]
    """UIDs here of messages that are gone there."""
    entry: str
    """What the annotation is called."""


@attrs.define
class Surveyor:
    """Looks at one mailbox after the other."""

    account: Account
    uidl_format: UidlFormat
    new_uids: bool = False
    sync_deletions: bool = False
    copies: set[int] = attrs.field(factory=set)
    """X-GM-MSGIDs that were seen."""
    names: set[str] = attrs.field(factory=set)
    """Ours that something goes into already."""

    async def look(
        self, connection: ImapConnection, chosen: Chosen, entry: str, pop3_uidls: Pop3Uidls | None = None
    ) -> Looked:
        """Raises Refused, ConnectionLost, ServerViolation; StoreError."""
        state = await self.account.state(chosen.name)
        there = await connection.examine(chosen.wire)
        before = None
        if state is not None:
            before = decode(await self.account.annotation(chosen.name, entry))
            if before is not None and before.there.uidvalidity != there.uidvalidity:
                before = None
        if before is not None and there == before.there and there.modseq and there.uidvalidity and not self.sync_deletions:
            return self._unchanged(chosen, there, before, state, entry)
        gmail = GMAIL in connection.capabilities
        pop3 = pop3_uidls if chosen.wire.upper() == b"INBOX" else None
        since = 0
        # copies, deletions and the maildrop are matched with all of a mailbox
        if before is not None and there.modseq and connection.knows_changes and not gmail and not self.sync_deletions and pop3 is None:
            since = before.there.modseq
        rows = await fetch_rows(connection, since, copies=gmail) if there.messages else []
        if gmail:
            rows = self._without_copies(chosen, rows)
        known = await pop3.match(connection, rows) if pop3 is not None else {}
        looked = await self._beside(chosen, there, before, state, rows, known, entry)
        if before is not None and since:
            _leave_out_unchanged(looked, before, len(rows))
        return looked

    def _unchanged(
        self, chosen: Chosen, there: FolderStatus, before: Remembered, state: MailboxState | None, entry: str
    ) -> Looked:
        keeps = state is not None and state.uidvalidity == there.uidvalidity
        plan = Plan([], [], {}, there.messages, 0, {})
        surveyed = Survey(chosen.name, (), (), (), plan, state, 0, 0, Kind.IMAP, keeps)
        self.names.add(chosen.name.casefold())
        return Looked(chosen, there, before, surveyed, Outcome(chosen.name, there.messages, keeps_uids=keeps), [], entry)

    def _without_copies(self, chosen: Chosen, rows: list[FetchedRow]) -> list[FetchedRow]:
        if chosen.shows_all:
            rows = [row for row in rows if row.same_everywhere not in self.copies]
        self.copies.update(row.same_everywhere for row in rows)
        return rows

    async def _beside(
        self,
        chosen: Chosen,
        there: FolderStatus,
        before: Remembered | None,
        state: MailboxState | None,
        rows: list[FetchedRow],
        pop3_uidls: Mapping[int, str],
        entry: str,
    ) -> Looked:
        touched = await self._touched(before, state)
        sources = self._sources(rows, there, before, pop3_uidls)
        first = chosen.name.casefold() not in self.names
        self.names.add(chosen.name.casefold())
        keeps = first and not self.new_uids
        surveyed = await survey(
            self.account,
            chosen.name,
            sources,
            [Wanted(chosen.wire, row.octets, row.uid) for row in rows],
            # a message without a date has its own, as far as it has one
            dates=[row.came for row in rows],
            uidvalidity=there.uidvalidity if keeps else 0,
            uid_next=there.uid_next if keeps else 0,
            kind=Kind.IMAP,
            touched=touched,
        )
        gone = await self._gone(there, rows, state, touched) if self.sync_deletions and before is not None else []
        outcome = Outcome(chosen.name, len(rows), keeps_uids=surveyed.keeps_uids)
        return Looked(chosen, there, before, surveyed, outcome, gone, entry)

    def _sources(
        self, rows: list[FetchedRow], there: FolderStatus, before: Remembered | None, pop3_uidls: Mapping[int, str]
    ) -> list[Source]:
        sources: list[Source] = []
        used: set[str] = set(pop3_uidls.values())
        taken_below = before.there.uid_next if before is not None else 0
        exact = before is None or before.exact
        for place, row in enumerate(rows):
            uidl = pop3_uidls.get(row.uid, "")
            if not uidl and there.uidvalidity:
                uidl = self.uidl_format.of(row.uid, there.uidvalidity, b"", "")
                uidl = "" if uidl in used or not is_uidl(uidl) else uidl
                used.add(uidl)
            octets = row.octets if exact else 0
            sources.append(Source(row.uid, uidl, row.flags, place, row.came, octets, taken=row.uid < taken_below))
        return sources

    async def _touched(self, before: Remembered | None, state: MailboxState | None) -> frozenset[int]:
        """UIDs here that somebody has changed since the import before."""
        if before is None or state is None:
            return frozenset()
        if before.touched == EVERYTHING:
            return frozenset(range(1, before.here_next))
        changed = await self.account.changed_since(state.mailbox_id, before.here_modseq)
        return frozenset(before.touched_uids()) | {uid for uid in changed if uid < before.here_next}

    async def _gone(
        self, there: FolderStatus, rows: list[FetchedRow], state: MailboxState | None, touched: frozenset[int]
    ) -> list[int]:
        if state is None or not there.uidvalidity:
            return []
        theirs = {row.uid for row in rows}
        here, _ = await self.account.here(state)
        gone = []
        for message in here:
            uid = self.uidl_format.uid_of(message.uidl, there.uidvalidity)
            if 0 < uid < there.uid_next and uid not in theirs and message.uid not in touched:
                gone.append(message.uid)
        return gone


def _leave_out_unchanged(looked: Looked, before: Remembered, rows: int) -> None:
    """The server has told only what has changed."""
    plan, outcome = looked.survey.plan, looked.outcome
    unchanged = max(looked.there.messages - rows, 0)
    plan.same += unchanged
    outcome.messages += unchanged
    # what was here then belongs to messages that it did not tell of
    for digest, known in list(plan.unpaired.items()):
        plan.unpaired[digest] = [each for each in known if each.uid >= before.here_next]


async def fetch_rows(connection: ImapConnection, since: int, *, copies: bool) -> list[FetchedRow]:
    """Messages of the open mailbox, ascending; ``since``: only those that were changed after this modseq. Raises Refused,

    ConnectionLost, ServerViolation.
    """
    rows: dict[int, FetchedRow] = {}

    def hear(response: Status | Data) -> None:
        if isinstance(response, Data) and response.kind == "FETCH":
            row = parse_row(response)
            if row is not None and row.uid:
                rows[row.uid] = row
                if len(rows) > MAX_MESSAGES:
                    raise ServerViolation(f"more than {MAX_MESSAGES} messages")

    items = b"UID FLAGS INTERNALDATE RFC822.SIZE" + (b" X-GM-MSGID" if copies else b"")
    # RFC 7162 §3.1.4.1
    modifier = b" (CHANGEDSINCE %d)" % since if since else b""
    await connection.command(b"UID FETCH 1:* (%b)%b" % (items, modifier), hear=hear)
    return [rows[uid] for uid in sorted(rows)]


async def finish(account: Account, looked: Looked, *, exact: bool) -> int:
    """All has come: follow deletions, and remember it for the next import; how many were deleted. Raises StoreError."""
    name = looked.chosen.name
    state = await account.state(name)
    if state is None:
        return 0
    if looked.gone:
        await account.expunge(state.mailbox_id, looked.gone)
    if looked.outcome.left_out:
        return len(looked.gone)
    before = looked.before
    touched: set[int] | None = set()
    if before is not None:
        ours = {uid for uids in looked.survey.plan.flags.values() for uid in uids}
        changed = await account.changed_since(state.mailbox_id, before.here_modseq)
        recent = {uid for uid in changed if uid < before.here_next} - ours - set(looked.gone)
        touched = None if before.touched == EVERYTHING else before.touched_uids() | recent
    text = EVERYTHING if touched is None else touched_text(touched)
    exact = exact and (before is None or before.exact)
    now = Remembered(looked.there, int(state.highest_modseq), int(state.uid_next), text, exact)
    if now != before:
        try:
            await account.annotate(name, looked.entry, encode(now))
        except (LimitExceeded, TooLarge):
            # a user has filled the place: the next import looks at all of the mailbox
            pass
    return len(looked.gone)
