"""How often a client may come, and with how much: connections, messages, recipients.

Laws: beyond a limit everything is temporary (421 4.7.0 for a connection, 450 4.7.1 for a message or a recipient), so a server that
has much to bring brings it later; the memory is this process's own and bounded, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from services.smtp_in.policy.allowance import Allowance
from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.strangers import ENTRIES, Strangers, network_key
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Client, Transaction

_MINUTE = 60.0
_HOUR = 3600.0


@frozen
class RateLimits:
    """From the settings; 0 is no limit."""

    connections_per_minute: int = 0
    network_connections_per_minute: int = 0
    messages_per_minute: int = 0
    recipients_per_hour: int = 0


class Rates(Policy):
    """Counts strangers by their address. `count` is told why somebody was turned away."""

    def __init__(
        self,
        limits: RateLimits,
        strangers: Strangers,
        count: Callable[[str], None],
        clock: Callable[[], float],
        entries: int = ENTRIES,
    ) -> None:
        self._strangers = strangers
        self._count = count
        self._connections = Allowance(limits.connections_per_minute, _MINUTE, entries, clock)
        self._networks = Allowance(limits.network_connections_per_minute, _MINUTE, entries, clock)
        self._messages = Allowance(limits.messages_per_minute, _MINUTE, entries, clock)
        self._recipients = Allowance(limits.recipients_per_hour, _HOUR, entries, clock)

    async def on_connect(self, client: Client) -> Reply | None:
        """Never waits."""
        key = self._strangers.key(client)
        if key is None or (self._connections.take(key) and self._networks.take(network_key(client.ip))):
            return None
        return self._turned_away("connections", replies.CONNECTION_RATE)

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        """Never waits."""
        key = self._strangers.key(transaction.client)
        if key is None or self._messages.take(key):
            return None
        return self._turned_away("messages", replies.MESSAGE_RATE)

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """Never waits."""
        key = self._strangers.key(transaction.client)
        if key is None or self._recipients.take(key):
            return None
        return self._turned_away("recipients", replies.RECIPIENT_RATE)

    def _turned_away(self, why: str, reply: Reply) -> Reply:
        self._count(why)
        return reply
