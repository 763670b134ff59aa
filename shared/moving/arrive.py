"""Moves the messages of a Maildir's folder, or of files, into a mailbox.

Every batch is durable when the next one is sent, in the order of the UIDs: an import that was killed is repeated, and what is here
already is known again (see ``plan``). Nothing is changed where nothing is missing.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs

from shared.contract.moving_types import UIDVALIDITY_MOST
from shared.contract.types import MailboxState
from shared.errors import BadRequest, TooLarge
from shared.model.ids import UID_MAX, MailboxId
from shared.moving.account import Account, Arriving, Batch
from shared.moving.keywords import flags_of
from shared.moving.names import arrival_key
from shared.moving.plan import Plan, Source, make_plan
from shared.moving.tree import FolderContent
from shared.moving.uidl import UidlFormat, is_uidl
from shared.moving.worker import Kind
from shared.moving.workers import Pending, Taken, Wanted, batches_of

MAX_PROBLEMS: Final = 1000


@attrs.define
class Outcome:
    """What became of a folder."""

    name: str
    messages: int = 0
    """In the folder."""
    filed: int = 0
    renewed: int = 0
    """Of those: under other UIDs than they had."""
    octets: int = 0
    """Filed."""
    same: int = 0
    flags: int = 0
    """Messages whose flags have changed."""
    deleted: int = 0
    """Not filed again: they were here, and were deleted."""
    keeps_uids: bool = False
    problems: list[str] = attrs.field(factory=list)
    left_out: int = 0

    def leave_out(self, problem: str) -> None:
        """A message that could not be filed."""
        self.left_out += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{self.name}: {problem}")


@attrs.frozen
class Survey:
    """A folder beside its mailbox."""

    name: str
    sources: tuple[Source, ...]
    wanted: tuple[Wanted, ...]
    """By ``Source.place``."""
    dates: tuple[int | None, ...]
    """By ``Source.place``; None: the file's time."""
    plan: Plan
    state: MailboxState | None
    adopts: int
    """The UIDVALIDITY that the mailbox is to be given; 0: it has it, or keeps its own."""
    uid_next: int
    """What UIDNEXT is to be at least; 0: as it comes."""
    kind: Kind
    keeps_uids: bool

    @property
    def octets(self) -> int:
        """About what is to be filed."""
        return sum(self.wanted[source.place].size for source in self.plan.wanted)


def folder_sources(
    path: bytes, content: FolderContent, uidl_format: UidlFormat
) -> tuple[list[Source], list[Wanted]]:
    """The messages of a folder: those with UIDs first, then the others as they came."""
    sources: list[Source] = []
    wanted: list[Wanted] = []
    uidls: set[str] = set()
    rest = dict(content.files)

    def add(base: bytes, uid: int, uidl: str, octets: int) -> None:
        file = rest.pop(base, None)
        if file is None:
            return
        if uidl in uidls or not is_uidl(uidl):
            uidl = ""
        uidls.add(uidl)
        octets = octets or file.parsed.octets
        size = octets or file.parsed.size or file.octets
        flags = flags_of(file.parsed.letters, content.keywords)
        sources.append(Source(uid, uidl, flags, len(wanted), file.came, octets))
        wanted.append(Wanted(os.path.join(path, file.part, file.name), size))

    uidlist = content.uidlist
    if uidlist is not None:
        for record in uidlist.records:
            made = record.uidl or uidl_format.of(record.uid, uidlist.uidvalidity, record.name, record.guid)
            add(record.name, record.uid, made, record.octets)
    for base in sorted(rest, key=arrival_key):
        add(base, 0, "", 0)
    return sources, wanted


async def survey(
    account: Account,
    name: str,
    sources: Sequence[Source],
    wanted: Sequence[Wanted],
    *,
    dates: Sequence[int | None] = (),
    uidvalidity: int = 0,
    uid_next: int = 0,
    kind: Kind = Kind.MAILDIR,
    touched: frozenset[int] | None = None,
) -> Survey:
    """What is to be done; nothing is changed. ``uidvalidity`` 0: the folder has none. ``touched``: see ``make_plan``."""
    state = await account.state(name)
    here, vanished = ([], []) if state is None else await account.here(state)
    keeps = 0 < uidvalidity <= UIDVALIDITY_MOST
    adopts = 0
    first = 1
    if state is not None and state.uidvalidity == uidvalidity:
        first = state.uid_next
    elif keeps and (state is None or not state.messages):
        adopts, vanished = uidvalidity, []
    else:
        keeps = False
    if not keeps:
        sources, vanished, uid_next = [attrs.evolve(source, uid=0) for source in sources], [], 0
    plan = make_plan(sources, here, vanished, first, touched)
    return Survey(
        name, tuple(sources), tuple(wanted), tuple(dates or [None] * len(wanted)), plan, state, adopts,
        min(uid_next, UID_MAX) if keeps and uid_next > first else 0, kind, keeps,
    )  # fmt: skip


Progress = Callable[[int, int], None]
"""Told of messages and octets that are done."""


class Reader(Protocol):
    """Reads messages ahead, each question in its own time: ``Workers``, or an IMAP server's."""

    count: int
    """Questions that are answered side by side."""

    def ask(self, batch: Sequence[Wanted], kind: Kind) -> Pending:
        """Rows in the order of the batch."""
        ...


class Arrival:
    """Carries out a survey."""

    def __init__(self, account: Account, reader: Reader, progress: Progress, *, over_quota: bool) -> None:
        self._account = account
        self._reader = reader
        self._progress = progress
        self._over_quota = over_quota

    async def run(self, surveyed: Survey, outcome: Outcome) -> None:
        """Raises StoreError, SourceFailed; what was filed before stays, and ``outcome`` tells of it."""
        plan = surveyed.plan
        state = await self._account.made(surveyed.name)
        if surveyed.adopts and await self._account.adopt(state.mailbox_id, surveyed.adopts) != surveyed.adopts:
            raise BadRequest("the mailbox has changed meanwhile; import again")
        await self._file(surveyed, plan.kept, state.mailbox_id, surveyed.uid_next, outcome)
        await self._file(surveyed, plan.renewed, state.mailbox_id, 0, outcome)
        for flags, uids in plan.flags.items():
            await self._account.set_flags(state.mailbox_id, uids, flags)
            outcome.flags += len(uids)
        outcome.same, outcome.deleted = plan.same, plan.deleted

    async def _file(
        self, surveyed: Survey, sources: Sequence[Source], mailbox_id: MailboxId, uid_next: int, outcome: Outcome
    ) -> None:
        """Read ahead, file in order. ``uid_next`` goes with the last batch."""
        asked = deque(batches_of([surveyed.wanted[source.place] for source in sources]))
        # each process has one question before it, and one that waits
        ahead = deque(self._reader.ask(asked.popleft(), surveyed.kind) for _ in range(min(2 * self._reader.count, len(asked))))
        batch = Batch()
        rest = iter(sources)
        while ahead:
            rows = await ahead.popleft().wait()
            if asked:
                ahead.append(self._reader.ask(asked.popleft(), surveyed.kind))
            # the rows are first: a source that has no row yet is not taken
            for row, source in zip(rows, rest, strict=False):
                message = self._message(surveyed, source, row, outcome)
                if message is None:
                    continue
                if not batch.has_room(message):
                    await self._flush(mailbox_id, batch, 0, outcome)
                    batch = Batch()
                batch.add(message)
        if batch.messages or uid_next:
            await self._flush(mailbox_id, batch, uid_next, outcome)

    def _message(self, surveyed: Survey, source: Source, row: Taken | str, outcome: Outcome) -> Arriving | None:
        """None: it is here already, or cannot be read."""
        size = surveyed.wanted[source.place].size
        if isinstance(row, str):
            outcome.leave_out(row)
            self._progress(1, size)
            return None
        if row.flags:
            source = attrs.evolve(source, flags=row.flags)
        if surveyed.plan.is_here(source, row.digest):
            self._progress(1, size)
            return None
        date = surveyed.dates[source.place]
        return Arriving(source.uid, source.flags, row.came if date is None else date, source.uidl, row.content, row.index)

    async def _flush(self, mailbox_id: MailboxId, batch: Batch, uid_next: int, outcome: Outcome) -> None:
        try:
            await self._account.file(mailbox_id, batch, uid_next, over_quota=self._over_quota)
        except TooLarge as error:
            await self._flush_each(mailbox_id, batch, uid_next, outcome, error)
            return
        self._filed(batch, outcome)

    async def _flush_each(
        self, mailbox_id: MailboxId, batch: Batch, uid_next: int, outcome: Outcome, error: TooLarge
    ) -> None:
        """One of them is above the server's limit: the others are filed."""
        if len(batch.messages) == 1:
            octets = len(batch.messages[0].content)
            outcome.leave_out(f"a message of {octets} octets: {error.detail or 'too large'}")
            self._progress(1, octets)
        else:
            for message in batch.messages:
                alone = Batch()
                alone.add(message)
                await self._flush(mailbox_id, alone, 0, outcome)
        if uid_next:
            await self._account.file(mailbox_id, Batch(), uid_next, over_quota=True)

    def _filed(self, batch: Batch, outcome: Outcome) -> None:
        octets = sum(len(message.content) for message in batch.messages)
        outcome.filed += len(batch.messages)
        outcome.renewed += sum(not message.uid for message in batch.messages)
        outcome.octets += octets
        self._progress(len(batch.messages), octets)

