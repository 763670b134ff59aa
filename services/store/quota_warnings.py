"""Owners are warned before their mailboxes are full, once at each mark.

After each commit the marks of the accounts and domains that it concerns are compared with those that somebody was warned at, in
memory; where they differ, a write of its own files the warning and keeps the mark, in one transaction. So a warning that a crash prevented
comes with the next commit or start, and none comes twice.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping

import attrs
import trio

from services.store.domain.quota import Root, mark
from services.store.quota_notice import build_warning
from services.store.reads.directory import Rules
from services.store.writer import Command, Writer
from services.store.writes import filing
from services.store.writes.filing import Incoming
from services.store.writes.quota import settle_mark
from shared.contract.sharing_types import Quota
from shared.errors import NotFound, StoreError
from shared.mail.index import build_index
from shared.model.message_index import MessageIndex
from shared.observe.log import Logger


@attrs.define
class QuotaWarnings:
    """One per store; used in the trio thread."""

    marks: tuple[int, ...]
    """Percent; 0 stands for none."""
    hostname: str
    rules: Rules
    administrators: tuple[str, ...]
    """Told of a domain whose postmaster is nobody here."""
    log: Logger
    quota_of: Callable[[Root], Quota | None]
    """From memory; None: there is no limit."""
    clock: Callable[[], float] = time.time
    _warned: dict[Root, int] = attrs.field(factory=dict, init=False)
    _waiting: dict[Root, None] = attrs.field(factory=dict, init=False)
    """At most one entry per account and domain."""
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)

    def load(self, warned: Mapping[Root, int], roots: Iterable[Root]) -> None:
        """At the start: marks that were warned at, and everybody who has a limit."""
        self._warned.update(warned)
        self.look({*warned, *roots})

    def look(self, roots: Iterable[Root]) -> None:
        """After a commit: what roots hold or may hold has changed."""
        for root in roots:
            quota = self.quota_of(root)
            warned = self._warned.get(root, 0)
            if (quota is not None or warned) and self._mark(quota, warned) != warned:
                self._waiting[root] = None
        if self._waiting:
            self._wake.set()

    def _mark(self, quota: Quota | None, warned: int) -> int:
        return 0 if quota is None else mark(quota, warned, self.marks)

    async def run(self, writer: Writer) -> None:
        """Warn, one after the other, for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                root = next(iter(self._waiting))
                del self._waiting[root]
                try:
                    await self._settle(writer, root)
                except NotFound:
                    self._warned.pop(root, None)
                except StoreError as error:
                    # the next change of its counters comes here again
                    self.log.warning("nobody was warned of a quota", root=str(root.kind), id=root.id, error=str(error))

    async def _settle(self, writer: Writer, root: Root) -> None:
        """Raises StoreError."""
        warned, quota = self._warned.get(root, 0), self.quota_of(root)
        expected = self._mark(quota, warned)
        incoming: tuple[Incoming, ...] = ()
        index: MessageIndex | None = None
        if quota is not None and expected > warned:
            content, index = await trio.to_thread.run_sync(self._build, quota, expected)
            incoming = (Incoming(None, content),)
        arguments = (incoming, index, root, expected, self.marks, self.rules, self.administrators)
        command = Command("", None, settle_mark, arguments, prepare=filing.prepare_contents)
        now, told = await writer.submit(command)
        self._warned[root] = now
        if not now:
            del self._warned[root]
        if now > warned and quota is not None:
            held = {"messages": quota.messages, "octets": quota.octets}
            self.log.warning("quota nearly used", root=quota.address, percent=now, told=told, **held)
        if now != warned:
            # what was counted in the same commit was compared with the old mark
            self.look([root])

    def _build(self, quota: Quota, percent: int) -> tuple[bytes, MessageIndex]:
        unique, seconds = secrets.token_hex(12), self.clock()
        content = build_warning(quota, percent, hostname=self.hostname, seconds=seconds, unique=unique)
        return content, build_index(content)
