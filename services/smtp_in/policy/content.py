"""The checks of every content: mail loops (RFC 5321 §6.3) and the size of the header block."""

from __future__ import annotations

from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply


class HeaderLimits(Policy):
    """Refuses 554 5.4.6 beyond `hops` Received fields, 552 5.3.4 beyond `header_octets` of header."""

    def __init__(self, hops: int, header_octets: int) -> None:
        self._hops = hops
        self._header_octets = header_octets

    async def on_content(self, received: Received) -> Reply | None:
        """Never waits."""
        if received.header.octets > self._header_octets:
            return replies.HEADER_TOO_BIG
        if received.header.received > self._hops:
            return replies.LOOP
        return None
