"""What happened to messages."""

from services.store.core import Core
from services.store.reads import dialogues as dialogue_reads
from services.store.reads import history as reads
from services.store.writer import Command
from services.store.writes import history as writes
from shared.contract.history_types import History, Passage
from shared.rpc.server import Call


class HistoryArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def note(self, call: Call, passages: tuple[Passage, ...]) -> None:
        await self._core.writer.submit(Command("history.note", call.op_id, writes.note, (passages,)))

    async def find(self, call: Call, query: str, stories: int) -> History:
        return await self._core.readers.run(reads.find, query, stories)

    async def sent_by(self, call: Call, account: str, query: str, stories: int) -> History:
        return await self._core.readers.run(reads.sent_by, account, query, stories)

    async def dialogues(self, call: Call, numbers: tuple[int, ...]) -> tuple[bytes, ...]:
        return await self._core.readers.run(dialogue_reads.by_number, numbers)
