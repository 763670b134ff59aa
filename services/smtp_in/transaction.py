"""The nouns of a session: the client, the account behind it, and the envelope of the transaction under way."""

from __future__ import annotations

import time

from attrs import define, evolve, field, frozen

from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.grammar import Mailbox
from shared.contract.device_types import LoginDevice
from shared.contract.types import LocalRecipient, RemoteRecipient, Resolution
from shared.mail.received import protocol_name
from shared.model.ids import AccountId, Grant

JUNK = "Junk"
"""The mailbox of every account for what is not trusted; where it is gone, the store files into INBOX."""


@frozen
class Account:
    """Who logged in."""

    account_id: AccountId
    address: str
    grant: Grant = field(repr=False)
    device: LoginDevice | None = None
    """Whose password it was; None: the account's own."""


@define
class Client:
    """The other end of a connection, as far as it is known by now."""

    ip: str
    submission: bool
    """It came to a submission port."""
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    """Version and cipher, "" without TLS."""
    account: Account | None = None

    @property
    def described(self) -> str:
        """Address and HELO name, for the administrator."""
        return f"[{self.ip}] {self.helo}"


@define
class Transaction:
    """One mail transaction: the envelope so far. Recipients that are the same mailbox or address are kept once."""

    trace: str
    client: Client
    mail: Mail
    started: float = field(factory=time.monotonic)
    local: dict[AccountId, LocalRecipient] = field(factory=dict)
    remote: dict[str, RemoteRecipient] = field(factory=dict)
    accepted: int = 0
    """RCPTs that were answered with 250, duplicates counted."""
    only_recipient: str = ""
    """The recipient's address while there is exactly one."""
    front_octets: int = 0
    """What we put in front of the client's content."""
    authentication: bytes = b""
    """The Authentication-Results field, once the checks have run; it goes behind Return-Path."""
    junk: bool = False
    """Local copies go to Junk."""

    @property
    def sender(self) -> str:
        """The reverse-path's address, "" for the null reverse-path."""
        return self.mail.sender.address if self.mail.sender else ""

    @property
    def protocol(self) -> str:
        """The word after "with" in Received."""
        client = self.client
        return protocol_name(
            esmtp=client.esmtp,
            tls=bool(client.tls),
            authenticated=client.account is not None,
            smtputf8=self.mail.smtputf8,
        )

    def copies(self) -> tuple[LocalRecipient, ...]:
        """The local copies, each for its mailbox."""
        if not self.junk:
            return tuple(self.local.values())
        return tuple(evolve(copy, mailbox=JUNK) for copy in self.local.values())

    def accept(self, recipient: Mailbox, resolution: Resolution) -> None:
        """Take a recipient with those who stand behind it."""
        address = recipient.address
        self.accepted += 1
        self.only_recipient = address if self.accepted == 1 else ""
        for account_id in resolution.accounts:
            self.local.setdefault(account_id, LocalRecipient(account_id, address))
        for remote in resolution.remotes:
            self.remote.setdefault(_same_address(remote), RemoteRecipient(remote, address))

    def accept_remote(self, recipient: Mailbox) -> None:
        """Take a recipient elsewhere, for an authenticated client."""
        address = recipient.address
        self.accepted += 1
        self.only_recipient = address if self.accepted == 1 else ""
        self.remote.setdefault(_same_address(address), RemoteRecipient(address))


def _same_address(address: str) -> str:
    """Domains compare without case, local parts elsewhere do not (RFC 5321 §2.4)."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{domain.lower()}"
