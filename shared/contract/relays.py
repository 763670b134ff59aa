"""Relays (smart hosts) that outgoing mail may take, and what is known of the ways to destinations."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.relay_types import LearnedWay, RelayConfig, RelayInfo, RelayPlan, RelayRule, RelayTable
from shared.model.ids import EntryId


class RelaysApi(Protocol):
    @call(Role.SMTP_OUT)
    async def plan(self) -> RelayPlan:
        """Relays with their passwords, rules, learned ways. The only call that gives a password."""
        ...

    @call(Role.SMTP_OUT, write=True)
    async def reserve(self, name: str, recipients: int) -> int:
        """Count recipients that are about to be sent through a relay today; as many as its cap allows. Raises NotFound, BadRequest."""
        ...

    @call(Role.SMTP_OUT, write=True)
    async def give_back(self, name: str, recipients: int) -> None:
        """Of those that were reserved today, so many were not taken. A relay that is gone is passed over. Raises BadRequest."""
        ...

    @call(Role.SMTP_OUT, write=True)
    async def tested(self, name: str, passed: bool, text: str) -> None:
        """The result of the test that was asked for. A relay that is gone is passed over."""
        ...

    @call(Role.SMTP_OUT, write=True)
    async def learn(self, way: LearnedWay) -> None:
        """Remember a way, over restarts; beyond MAX_WAYS the oldest is forgotten. Raises BadRequest."""
        ...

    @call(Role.SMTP_OUT, Role.ADMIN, write=True)
    async def unlearn(self, destinations: tuple[str, ...]) -> int:
        """Forget ways (all when none is named); how many."""
        ...

    @call(Role.ADMIN)
    async def ways(self) -> tuple[LearnedWay, ...]:
        """What is remembered, by destination."""
        ...

    @call(Role.ADMIN)
    async def list(self) -> RelayTable: ...

    @call(Role.ADMIN, write=True)
    async def add(self, name: str, config: RelayConfig, password: str) -> RelayInfo:
        """Raises AlreadyExists, BadRequest, LimitExceeded."""
        ...

    @call(Role.ADMIN, write=True)
    async def set(self, name: str, config: RelayConfig, password: str | None) -> RelayInfo:
        """``password`` None: as it is; empty: none. Raises NotFound, BadRequest."""
        ...

    @call(Role.ADMIN, write=True)
    async def remove(self, name: str) -> None:
        """With what was learned of it; entries that were given to it go by the rules. Raises NotFound, BadRequest (a rule names it)."""
        ...

    @call(Role.ADMIN, write=True)
    async def use(self, rule: RelayRule) -> RelayRule:
        """Set the rule of its two domains; as stored. Raises NotFound (relay), BadRequest, LimitExceeded."""
        ...

    @call(Role.ADMIN, write=True)
    async def unuse(self, sender_domain: str, recipient_domain: str) -> None:
        """Take a rule away. Raises NotFound, BadRequest."""
        ...

    @call(Role.ADMIN, write=True)
    async def ask_test(self, name: str) -> RelayInfo:
        """Have smtp_out log in at a relay; ``list`` tells the result. As it is before. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def reroute(self, entries: tuple[EntryId, ...], route: str) -> int:
        """Give queue entries a route: a relay, ``DIRECT``, or ``BY_RULES``; they are due at once; how many. Raises NotFound, BadRequest."""
        ...
