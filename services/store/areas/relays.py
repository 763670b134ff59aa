"""Relays and the ways to destinations."""

from collections.abc import Callable
from typing import Any

from services.store.core import Core
from services.store.reads import relays as reads
from services.store.writer import Command
from services.store.writes import relays as writes
from shared.contract.relay_types import LearnedWay, RelayConfig, RelayInfo, RelayPlan, RelayRule, RelayTable
from shared.model.ids import EntryId
from shared.rpc.server import Call


class RelaysArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def _write(self, call: Call, method: str, run: Callable[..., Any], *arguments: object) -> Any:
        return await self._core.writer.submit(Command(f"relays.{method}", call.op_id, run, arguments))

    def _note(self, action: str, subject: str) -> None:
        """Never with a password."""
        self._core.log.info("administration", action=f"relay_{action}", subject=subject)

    async def plan(self, call: Call) -> RelayPlan:
        return await self._core.readers.run(reads.plan)

    async def reserve(self, call: Call, name: str, recipients: int) -> int:
        count: int = await self._write(call, "reserve", writes.reserve, name, recipients)
        return count

    async def give_back(self, call: Call, name: str, recipients: int) -> None:
        await self._write(call, "give_back", writes.give_back, name, recipients)

    async def tested(self, call: Call, name: str, passed: bool, text: str) -> None:
        await self._write(call, "tested", writes.tested, name, passed, text)

    async def learn(self, call: Call, way: LearnedWay) -> None:
        await self._write(call, "learn", writes.learn, way)

    async def unlearn(self, call: Call, destinations: tuple[str, ...]) -> int:
        count: int = await self._write(call, "unlearn", writes.unlearn, destinations)
        return count

    async def ways(self, call: Call) -> tuple[LearnedWay, ...]:
        return await self._core.readers.run(reads.ways)

    async def list(self, call: Call) -> RelayTable:
        return await self._core.readers.run(reads.table)

    async def add(self, call: Call, name: str, config: RelayConfig, password: str) -> RelayInfo:
        added: RelayInfo = await self._write(call, "add", writes.add, name, config, password)
        self._note("add", name)
        return added

    async def set(self, call: Call, name: str, config: RelayConfig, password: str | None) -> RelayInfo:
        changed: RelayInfo = await self._write(call, "set", writes.change, name, config, password)
        self._note("set", name)
        return changed

    async def remove(self, call: Call, name: str) -> None:
        await self._write(call, "remove", writes.remove, name)
        self._note("remove", name)

    async def use(self, call: Call, rule: RelayRule) -> RelayRule:
        stored: RelayRule = await self._write(call, "use", writes.use, rule)
        self._note("use", f"{rule.relay}, from {rule.sender_domain or 'any'}, to {rule.recipient_domain or 'any'}"[:1000])
        return stored

    async def unuse(self, call: Call, sender_domain: str, recipient_domain: str) -> None:
        await self._write(call, "unuse", writes.unuse, sender_domain, recipient_domain)
        self._note("unuse", f"from {sender_domain or 'any'}, to {recipient_domain or 'any'}"[:1000])

    async def ask_test(self, call: Call, name: str) -> RelayInfo:
        before: RelayInfo = await self._write(call, "ask_test", writes.ask_test, name)
        return before

    async def reroute(self, call: Call, entries: tuple[EntryId, ...], route: str) -> int:
        count: int = await self._write(call, "reroute", writes.reroute, entries, route)
        self._note("reroute", f"{count} entries to {route}"[:200])
        return count
