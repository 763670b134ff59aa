"""The interface of a policy, and the chain of all of them.

Laws: policies are asked in the order of the chain and the first refusal stands; a policy answers with a reply or None ("no
objection"), never with text; it may wait (for the store, for DNS, for the end of a pause) but for the client only before the greeting,
and only for a bounded time. An error of the store in a policy is the session's to
answer. A policy that overrides a moment is asked at that moment only, so an empty chain costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from attrs import frozen

from services.smtp_in.protocol.data import HeaderFacts
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Client, Transaction
from shared.mail.content import Buffer

_T = TypeVar("_T")


@frozen
class Received:
    """A message whose content is complete and in good order, before anything is promised."""

    transaction: Transaction
    header: HeaderFacts
    """Of the content as the client sent it."""
    content: Buffer
    """As it will be stored: Return-Path, Received, then the client's content."""


class Policy:
    """The interface; every moment says "no objection" unless a policy overrides it."""

    async def on_connect(self, client: Client) -> Reply | None:
        """A client connected: a 5xx or 421 instead of the greeting, or None."""
        return None

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        """MAIL FROM, before it is accepted."""
        return None

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """RCPT TO. A policy that takes the recipient calls `transaction.accept` and gives the positive reply."""
        return None

    async def on_content(self, received: Received) -> Reply | None:
        """The content is there: refuse it, or None to let it be committed."""
        return None


class Chain(Policy):
    """All policies, in order."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._connect = [p.on_connect for p in policies if type(p).on_connect is not Policy.on_connect]
        self._mail = [p.on_mail for p in policies if type(p).on_mail is not Policy.on_mail]
        self._rcpt = [p.on_rcpt for p in policies if type(p).on_rcpt is not Policy.on_rcpt]
        self._content = [p.on_content for p in policies if type(p).on_content is not Policy.on_content]

    async def on_connect(self, client: Client) -> Reply | None:
        """The first objection."""
        return await _first(self._connect, client)

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        """The first objection."""
        return await _first(self._mail, transaction)

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """The first reply: an objection, or the acceptance of the policy that knows the recipient."""
        for ask in self._rcpt:
            if (reply := await ask(transaction, recipient)) is not None:
                return reply
        return None

    async def on_content(self, received: Received) -> Reply | None:
        """The first objection."""
        return await _first(self._content, received)


async def _first(asked: Sequence[Callable[[_T], Awaitable[Reply | None]]], subject: _T) -> Reply | None:
    for ask in asked:
        if (reply := await ask(subject)) is not None:
            return reply
    return None
