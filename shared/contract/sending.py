"""How much an account may send on one day. ``messages.deliver`` decides; what the edge asks here saves the client from a late refusal."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.sending_types import SendingAllowance, SendingLimit, SendingState
from shared.model.ids import Grant


class SendingApi(Protocol):
    @call(Role.SMTP_IN)
    async def allowance(self, grant: Grant) -> SendingAllowance:
        """What the grant's account may still send today. Raises GrantExpired."""
        ...

    @call(Role.SMTP_IN)
    async def known(self, grant: Grant, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the addresses (at most 1,000) that the account has sent to before, as given. Raises GrantExpired, BadRequest."""
        ...

    @call(Role.SMTP_IN, write=True)
    async def refused(self, grant: Grant, limit: SendingLimit) -> None:
        """A recipient was refused for a limit: the owner is told, once a day. Raises GrantExpired."""
        ...

    @call(Role.ADMIN)
    async def show(self, address: str) -> SendingState:
        """Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def set(self, address: str, messages: int | None, new_recipients: int | None) -> SendingState:
        """The account's own limits per day (0: none; None: those of the settings). Raises NotFound, BadRequest."""
        ...
