"""Clients that run wild: a warning in the log, and a mail to the owner, once a day for each mailbox.

The writer notes what clients delete (``news.Changes.deleted``); here it is judged after the commit, in the trio thread. The day on
which an owner was told is written with the mail.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio

from services.store.domain.sending import day_of
from services.store.domain.wild import Deleted, Deletions, RanWild, WildLimits
from services.store.readers import Readers
from services.store.reads import sending as reads
from services.store.wild_notice import build_wild_notice
from services.store.writer import Command, Writer
from services.store.writes import filing
from services.store.writes.filing import Incoming
from services.store.writes.telling import warn_owner
from shared.errors import StoreError
from shared.mail.index import build_index
from shared.model.message_index import MessageIndex
from shared.observe.log import Logger

WAITING_MAX: Final = 1000
"""Owners that are still to be told; beyond that there is only the log."""


@attrs.define
class WildClients:
    """One per store; used in the trio thread."""

    limits: WildLimits
    undo_days: float
    hostname: str
    log: Logger
    clock: Callable[[], float] = time.time
    _deletions: Deletions = attrs.field(init=False)
    _told: dict[int, int] = attrs.field(factory=dict, init=False)
    """The day on which it was last noticed, by mailbox; of today only."""
    _waiting: deque[RanWild] = attrs.field(factory=lambda: deque(maxlen=WAITING_MAX), init=False)
    _came: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._deletions = Deletions(self.limits)

    def noted(self, deleted: list[Deleted]) -> None:
        """After a commit."""
        now = self.clock()
        for each in deleted:
            wild = self._deletions.note(each, now)
            if wild is not None and self._told.get(each.mailbox_id) != day_of(now):
                self._told = {mailbox: day for mailbox, day in self._told.items() if day == day_of(now)}
                self._told[each.mailbox_id] = day_of(now)
                self._waiting.append(wild)
                self._came.set()

    async def run(self, readers: Readers, writer: Writer) -> None:
        """Tell owners, until cancelled."""
        while True:
            await self._came.wait()
            self._came = trio.Event()
            while self._waiting:
                wild = self._waiting.popleft()
                try:
                    await self._tell(readers, writer, wild)
                except StoreError as error:
                    self.log.warning("an owner was not told of a client that ran wild", error=str(error))

    async def _tell(self, readers: Readers, writer: Writer, wild: RanWild) -> None:
        """Raises StoreError."""
        deleted, now = wild.deleted, self.clock()
        account = await readers.run(reads.account, deleted.account_id)
        self.log.warning(
            "a client ran wild",
            account=account.address,
            mailbox=deleted.mailbox[:320],
            deleted=wild.messages,
            of=wild.of,
            since=wild.since,
        )
        unique = secrets.token_hex(12)
        content, index = await trio.to_thread.run_sync(self._build, account.address, wild, unique)
        arguments = ((Incoming(None, content),), index, deleted.account_id, deleted.mailbox_id, day_of(now), unique)
        await writer.submit(Command("", None, warn_owner, arguments, prepare=filing.prepare_contents))

    def _build(self, address: str, wild: RanWild, unique: str) -> tuple[bytes, MessageIndex]:
        content = build_wild_notice(
            address, wild, self.undo_days, hostname=self.hostname, seconds=self.clock(), unique=unique
        )
        return content, build_index(content)
