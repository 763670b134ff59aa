"""From and Sender of a submission: every address in them belongs to the account that logged in, as MAIL FROM does (RFC 6409 §6.1).

Laws: what cannot be read as an address belongs to nobody; two From fields are refused, because readers differ in which one they show;
display names mean nothing. Resent-From does not make another's From one's own: who sends somebody's mail on puts it inside a message.
A message without From and Sender is nobody's in particular and passes.
"""

from __future__ import annotations

from typing import Final

from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account
from shared.config.smtp import AuthorCheck
from shared.contract.directory import DirectoryApi
from shared.mail.address import parse_addresses
from shared.mail.content import as_content
from shared.mail.header import field_values, header_end
from shared.mail.mailbox_name import quote_local
from shared.observe.log import Logger

MAX_AUTHORS: Final = 20
"""Addresses that one message may name in From and Sender together: each may cost a question to the store."""
_MAX_FIELDS: Final = 10_000
_FROM: Final = b"from"
_SENDER: Final = b"sender"
_SHOWN_CHARACTERS: Final = 200


class AuthorOwnership(Policy):
    """Refuses 550 5.7.1 for an address that is not the account's."""

    def __init__(self, directory: DirectoryApi, check: AuthorCheck, log: Logger) -> None:
        self._directory = directory
        self._check = check
        self._log = log

    async def on_content(self, received: Received) -> Reply | None:
        """Raises StoreError."""
        account = received.transaction.client.account
        if account is None or self._check is AuthorCheck.OFF:
            return None
        content = as_content(received.content)
        start = received.transaction.front_octets
        objection = await self._objection(account, content[start : header_end(content, start, len(content))])
        if objection is None or self._check is AuthorCheck.ENFORCE:
            return objection
        self._log.warning("author not checked", account=account.address, would_be=str(objection))
        return None

    async def _objection(self, account: Account, header: bytes) -> Reply | None:
        values = field_values(header, frozenset({_FROM, _SENDER}), _MAX_FIELDS)
        if any(len(fields) > 1 for fields in values.values()):
            return replies.SEVERAL_AUTHORS
        addresses: dict[str, None] = {}
        for (value,) in values.values():
            named = addresses_in(value)
            if not named:
                return replies.not_your_author(_shown(value))
            addresses.update(dict.fromkeys(named))
        if len(addresses) > MAX_AUTHORS:
            return replies.TOO_MANY_AUTHORS
        for address in addresses:
            if address != account.address and not await self._directory.may_send_as(account.grant, address):
                return replies.not_your_author(_shown(address.encode()))
        return None


def addresses_in(value: bytes) -> list[str]:
    """The addresses of an unfolded From or Sender, as an envelope would spell them. What is none stays as it is: nobody's."""
    addresses = []
    for entry in parse_addresses(value, MAX_AUTHORS + 1):
        if entry.mailbox is None or entry.host is None:
            continue  # the marks of a group
        local, host = (part.decode("utf-8", "backslashreplace") for part in (entry.mailbox, entry.host))
        addresses.append(f"{quote_local(local)}@{host}")
    return addresses


def _shown(text: bytes) -> str:
    """For a reply: printable ASCII, not too long, never empty."""
    shown = "".join(chr(octet) if 0x20 <= octet < 0x7F else "?" for octet in text)
    return shown[:_SHOWN_CHARACTERS] or "no address"
