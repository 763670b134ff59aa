"""What DNS lists say of a client's address: block lists refuse it, allow lists let it in, in this order of weight: allowed, blocked.

Laws:
- Asked when the first recipient is named, once per client of a connection, all lists of a kind side by side, within `seconds` together;
  what did not answer by then, and any trouble with the DNS, is "not listed". Block lists are asked only while no allow list has it.
- The reply names list and address (RFC 5782 §2.1), so that its owner can act on it.
- 127.255.255.x means that the list refuses us (open resolver, too many questions): a warning, never a verdict.
- <postmaster> can always be reached, to complain about this (RFC 5321 §4.5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address
from typing import Final

import trio

from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.strangers import Strangers
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Client, Standing, Transaction
from shared.config.dns_list import DnsList
from shared.dns.answers import DnsAnswer, DnsFailure
from shared.dns.drive import ask
from shared.dns.list_name import list_name
from shared.dns.resolver import Resolver
from shared.observe.log import Logger
from shared.observe.metrics import Counter

_REFUSES_US: Final = int(IPv4Address("127.255.255.0"))
_CLEAR: Final = Standing()


class Answer(StrEnum):
    """Of one list."""

    LISTED = "listed"
    CLEAR = "clear"
    TROUBLE = "trouble"
    REFUSED = "refused"


def judge(wanted: DnsList, reply: DnsAnswer | DnsFailure) -> Answer:
    """What the list's answer means."""
    if isinstance(reply, DnsFailure):
        return Answer.TROUBLE
    codes = [number for text in reply.records if (number := _number(text)) is not None]
    if any(code | 0xFF == _REFUSES_US | 0xFF for code in codes):
        return Answer.REFUSED
    return Answer.LISTED if any(wanted.first <= code <= wanted.last for code in codes) else Answer.CLEAR


def is_postmaster(recipient: Mailbox) -> bool:
    """Of any domain, in any case."""
    return recipient.local_part.lower() == "postmaster"


class DnsLists(Policy):
    """Refuses 550 5.7.1 who is listed."""

    def __init__(
        self,
        block: Sequence[DnsList],
        allow: Sequence[DnsList],
        resolver: Resolver,
        seconds: float,
        strangers: Strangers,
        count: Callable[[str], None],
        answers: Counter,
        log: Logger,
    ) -> None:
        """`answers`: a counter by zone and answer."""
        self._block = tuple(block)
        self._allow = tuple(allow)
        self._resolver = resolver
        self._seconds = seconds
        self._strangers = strangers
        self._count = count
        self._answers = answers
        self._log = log
        self._warned: set[str] = set()

    @property
    def may_allow(self) -> bool:
        """There is an allow list at all."""
        return bool(self._allow)

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """Waits for the DNS, for at most the seconds of the settings, once per client."""
        client = transaction.client
        if not (self._block or self._allow) or self._strangers.key(client) is None:
            return None
        if client.standing is None:
            client.standing = await self._find(client)
        if not client.standing.listed_by or is_postmaster(recipient):
            return None
        self._count("listed")
        return replies.listed(client.ip, client.standing.listed_by)

    async def allows(self, client: Client) -> bool:
        """Whether an allow list has it."""
        if self._strangers.key(client) is None:
            return False
        return bool(await self._first_that_lists(self._allow, client.ip))

    async def _find(self, client: Client) -> Standing:
        if await self.allows(client):
            return Standing(allowed=True)
        listed_by = await self._first_that_lists(self._block, client.ip)
        return Standing(listed_by=listed_by) if listed_by else _CLEAR

    async def _first_that_lists(self, lists: Sequence[DnsList], ip: str) -> str:
        """The zone of the first list, in the order of the settings, that has it; "" where none does, or says so in time."""
        found: set[DnsList] = set()

        async def look(wanted: DnsList) -> None:
            answer = judge(wanted, await ask(self._resolver, list_name(ip, wanted.zone), "A"))
            self._note(wanted.zone, answer)
            if answer is Answer.LISTED:
                found.add(wanted)

        with trio.move_on_after(self._seconds / 2):  # allow lists, then block lists
            async with trio.open_nursery() as nursery:
                for wanted in lists:
                    nursery.start_soon(look, wanted)
        return next((wanted.zone for wanted in lists if wanted in found), "")

    def _note(self, zone: str, answer: Answer) -> None:
        self._answers.inc(1, zone, answer)
        if answer is Answer.REFUSED and zone not in self._warned:
            self._warned.add(zone)
            self._log.warning(
                "a DNS list refuses us", list=zone, advice="ask it through a resolver of your own (dns.resolvers)"
            )


def _number(text: str) -> int | None:
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        return None
