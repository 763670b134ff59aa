"""The outbound queue."""

from services.store.areas.incoming import contents
from services.store.core import Core
from services.store.reads import contents as reads
from services.store.reads import dkim as dkim_reads
from services.store.writer import Command
from services.store.writes import filing
from services.store.writes import queue as writes
from shared.contract.dkim_types import SigningKey
from shared.contract.types import Bounce, Lease, Outcome
from shared.model.ids import EntryId
from shared.rpc.server import Call


class QueueArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def lease(
        self, call: Call, worker: str, limit: int, lease_seconds: float, busy_destinations: tuple[str, ...]
    ) -> Lease:
        arguments = (worker, limit, lease_seconds, busy_destinations)
        leased: Lease = await self._core.writer.submit(Command("queue.lease", call.op_id, writes.lease, arguments))
        return leased

    async def extend(
        self, call: Call, worker: str, entries: tuple[EntryId, ...], lease_seconds: float
    ) -> tuple[EntryId, ...]:
        arguments = (worker, entries, lease_seconds)
        held: tuple[EntryId, ...] = await self._core.writer.submit(
            Command("queue.extend", call.op_id, writes.extend, arguments)
        )
        return held

    async def read_content(self, call: Call, worker: str, entry: EntryId, offset: int, octets: int) -> bytes:
        return await self._core.readers.run(reads.read_queued, worker, entry, offset, octets)

    async def signing_keys(self, call: Call, domain: str) -> tuple[SigningKey, ...]:
        return await self._core.readers.run(dkim_reads.signing_keys, domain)

    async def report(self, call: Call, worker: str, outcomes: tuple[Outcome, ...], bounces: tuple[Bounce, ...]) -> None:
        core = self._core
        async with contents(core, call, [bounce.content for bounce in bounces]) as incoming:
            arguments = (incoming, worker, outcomes, bounces, core.rules, core.queue_times)
            command = Command(
                "queue.report",
                call.op_id,
                writes.report,
                arguments,
                prepare=filing.prepare_contents,
                to_the_end=bool(bounces),
            )
            await core.writer.submit(command)
