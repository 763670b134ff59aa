"""Addresses: who is behind them, and who may send as them."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.types import Resolution
from shared.model.ids import Grant


class DirectoryApi(Protocol):
    @call(Role.SMTP_IN, Role.ADMIN)
    async def resolve(self, address: str) -> Resolution:
        """Follow an address (local part @ domain, Unicode or A-labels) to accounts and remote targets."""
        ...

    @call(Role.SMTP_IN)
    async def may_send_as(self, grant: Grant, address: str) -> bool:
        """Whether an address belongs to the grant's account: its own, or an alias that leads to it.

        What only a catch-all takes belongs to an account that gets all of it alone.
        """
        ...

    @call(Role.SMTP_IN)
    async def may_post(self, address: str, sender: str, grant: Grant | None) -> bool:
        """Whether a ``restricted`` address takes mail: from the grant's account, or without one from a sender who is no liar.

        ``sender`` is the reverse-path, empty for ``<>``, who may not. That it is true is for the caller to find out.
        """
        ...
