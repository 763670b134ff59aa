"""Greylisting: who was never seen with this sender and this recipient is asked to come back later, which most spam never does.

Laws:
- A triplet (the client's network, the sender, the recipient) is deferred until `delay_seconds` after it was first seen, and welcome from
  then on for `keep_seconds` after its last use. One that never came back is forgotten after RETRY_SECONDS.
- Nobody waits whose SPF passes or whom an allow list has: such a client is answerable for what it sends. Nor does a sender to whom an
  account wrote within a year, or who writes to the postmaster.
- Trouble with the book is never a delay: the mail is taken.
- Mailing lists write another sender each time: numbers and what stands behind "+" in its local part make no difference.

RFC 6647 §2.4, §4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from typing import Final, Protocol

import trio
from attrs import frozen

from services.smtp_in.policy.authenticity import spf_identity
from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.policy.dns_lists import is_postmaster
from services.smtp_in.policy.strangers import Strangers
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
from shared.dns.drive import look_up
from shared.dns.resolver import Resolver
from shared.mailauth.spf import SpfResult, check_host
from shared.net.networks import IPV6_CLIENT_PREFIX, parse_address
from shared.observe.log import Logger

RETRY_SECONDS: Final = 2 * 86_400.0
"""Servers try for five days (RFC 5321 §4.5.4.1), but the first attempts come within hours."""
CORRESPONDENT_SECONDS: Final = 365 * 86_400.0
_DIGITS: Final = str.maketrans("0123456789", "##########")


@frozen
class GreylistRule:
    """From the settings; seconds."""

    delay_seconds: float
    keep_seconds: float

    def see(self, seen: Seen | None, now: float) -> tuple[Seen, float]:
        """What is to be remembered of a triplet that comes now, and for how many seconds it is deferred (0: welcome)."""
        if seen is None or seen.until <= now or seen.first > now:  # the last: the clock was set back
            return Seen(now, now + max(RETRY_SECONDS, self.delay_seconds)), self.delay_seconds
        left = seen.first + self.delay_seconds - now
        if left > 0:
            return seen, left
        return Seen(seen.first, now + self.keep_seconds), 0.0


@frozen
class Seen:
    """Of a triplet: wall-clock seconds when it came first, and until when that counts."""

    first: float
    until: float


class Book(Protocol):
    """Where triplets are remembered; called in threads."""

    def see(self, key: bytes, correspondent: bytes, rule: GreylistRule, now: float) -> float:
        """Apply the rule to the triplet and remember it; how long it is deferred: not at all for a correspondent. Raises OSError."""

    def know(self, correspondents: Sequence[bytes], now: float, until: float) -> None:
        """Remember to whom our accounts wrote. Raises OSError."""


def triplet(ip: str, sender: str, recipient: str) -> bytes:
    """The key of 16 octets: nobody's addresses are written down. Raises ValueError for what is no address."""
    version, number = parse_address(ip)
    network = number >> (8 if version == 4 else 128 - IPV6_CLIENT_PREFIX)
    local_part, at, domain = sender.lower().rpartition("@")
    sender = f"{local_part.partition('+')[0].translate(_DIGITS)}{at}{domain}"
    return blake2b("\0".join((f"{version}:{network:x}", sender, recipient.lower())).encode(), digest_size=16).digest()


def correspondent(address: str) -> bytes:
    """The key of somebody to whom our accounts write."""
    return blake2b(address.lower().encode(), digest_size=16, person=b"correspondent").digest()


class Correspondents(Policy):
    """Notes to whom accounts write, before the message is committed: an answer must not be put off."""

    def __init__(self, book: Book, clock: Callable[[], float], log: Logger) -> None:
        self._book = book
        self._clock = clock
        self._log = log
        self._one_at_a_time = trio.CapacityLimiter(1)

    async def on_content(self, received: Received) -> Reply | None:
        """Waits for the book's file; has no objection."""
        transaction = received.transaction
        if transaction.client.account is not None and transaction.remote:
            keys = [correspondent(remote.address) for remote in transaction.remote.values()]
            now = self._clock()
            try:
                await trio.to_thread.run_sync(
                    self._book.know, keys, now, now + CORRESPONDENT_SECONDS, limiter=self._one_at_a_time
                )
            except OSError as error:
                self._log.warning("greylist not writable", error=str(error))
        return None


class Greylist(Policy):
    """Asked about recipients that are known; refuses 451 4.7.1."""

    def __init__(
        self,
        rule: GreylistRule,
        book: Book,
        strangers: Strangers,
        resolver: Resolver,
        hostname: str,
        spf_seconds: float,
        count: Callable[[str], None],
        clock: Callable[[], float],
        log: Logger,
    ) -> None:
        """`clock`: wall-clock seconds."""
        self._rule = rule
        self._book = book
        self._strangers = strangers
        self._resolver = resolver
        self._hostname = hostname
        self._spf_seconds = spf_seconds
        self._count = count
        self._clock = clock
        self._log = log
        self._one_at_a_time = trio.CapacityLimiter(1)

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """Waits for the book's file, and where it would defer for the DNS, for at most the seconds of the settings."""
        client = transaction.client
        if self._strangers.key(client) is None or is_postmaster(recipient):
            return None
        if client.standing is not None and client.standing.allowed:
            return None
        key = triplet(client.ip, transaction.sender, recipient.address)
        left = await self._see(key, correspondent(transaction.sender))
        if left <= 0 or await self._spf_passes(transaction):
            return None
        self._count("greylisted")
        return replies.greylisted(left)

    async def _see(self, key: bytes, sender: bytes) -> float:
        try:
            return await trio.to_thread.run_sync(
                self._book.see, key, sender, self._rule, self._clock(), limiter=self._one_at_a_time
            )
        except OSError as error:
            self._log.warning("greylist not readable", error=str(error))
            return 0.0

    async def _spf_passes(self, transaction: Transaction) -> bool:
        if transaction.spf_passed is None:
            transaction.spf_passed = False
            domain, sender = spf_identity(transaction)
            client = transaction.client
            evaluation = check_host(ip_address(client.ip), domain, sender, client.helo, receiver=self._hostname)
            with trio.move_on_after(self._spf_seconds):
                verdict = await look_up(evaluation, self._resolver)
                transaction.spf_passed = verdict.result is SpfResult.PASS
        return transaction.spf_passed
