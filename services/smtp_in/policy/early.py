"""Who speaks before the greeting is no mail server: software that sends spam often cannot wait (RFC 5321 §3.1, §4.3.1).

Laws: a stranger waits for its greeting once a day only: who was patient is remembered, in bounded memory of this process. Who is on a DNS
allow list does not wait longer than that list takes to say so. Nothing that the client sends is read.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from services.smtp_in.policy.allowance import Recent
from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.dns_lists import DnsLists
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.policy.strangers import ENTRIES, Strangers
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Client

PATIENT_SECONDS = 86_400.0


class EarlyTalkers(Policy):
    """Greets strangers after `seconds`, and refuses 554 5.5.1 who spoke by then."""

    def __init__(
        self,
        seconds: float,
        strangers: Strangers,
        lists: DnsLists,
        pauses: Pauses,
        count: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._strangers = strangers
        self._lists = lists
        self._pauses = pauses
        self._count = count
        self._patient = Recent(PATIENT_SECONDS, ENTRIES, clock)

    async def on_connect(self, client: Client) -> Reply | None:
        """Waits for the delay. A client that XCLIENT announces was greeted long ago."""
        if client.wait_spoken is None or client not in self._strangers:
            return None
        key = self._strangers.key(client)
        if key is not None and key in self._patient:
            return None
        spoken = await self._listen(client)
        if spoken:
            self._count("early")
            return replies.SPOKE_TOO_EARLY
        if spoken is None and key is not None and not self._pauses.ended:
            self._patient.add(key)
        return None

    async def _listen(self, client: Client) -> bool | None:
        """True: it spoke; False: it is gone; None: it was patient, or need not wait."""
        if client.wait_spoken is None or not self._lists.may_allow:
            return await self._pauses.pause(self._seconds, client.wait_spoken or trio.sleep_forever)
        spoken: bool | None = None
        async with trio.open_nursery() as nursery:

            async def let_in() -> None:
                if await self._lists.allows(client):
                    nursery.cancel_scope.cancel()

            nursery.start_soon(let_in)
            spoken = await self._pauses.pause(self._seconds, client.wait_spoken)
            nursery.cancel_scope.cancel()
        return spoken
