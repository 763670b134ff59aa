"""The nouns of a session: the client, the account behind it, and the envelope of the transaction under way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from attrs import define, evolve, field, frozen

from services.smtp_in.protocol.commands import Mail, Rcpt
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.xclient import XClient
from shared.contract.device_types import LoginDevice
from shared.contract.sending_types import SendingAllowance
from shared.contract.types import LocalRecipient, RemoteRecipient, Resolution
from shared.mail.dsn import DsnAction
from shared.mail.received import protocol_name
from shared.model.ids import AccountId, Grant
from shared.model.notify import merged, wants_success, without_success

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


@frozen
class Standing:
    """What DNS lists say of a client's address."""

    allowed: bool = False
    listed_by: str = ""
    """The zone of a block list; "" without."""


@define
class Client:
    """The other end of a connection, as far as it is known by now."""

    ip: str
    submission: bool
    """It came to a submission port."""
    lmtp: bool = False
    """A program of this machine, on the LMTP socket."""
    device_port: bool = False
    """It came to the port of scanners and cameras."""
    unlimited: bool = False
    """It came from a network to which limits do not apply."""
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    """Version and cipher, "" without TLS."""
    account: Account | None = None
    announced: XClient | None = None
    """What the peer said of the client that it speaks for; its words stand before those of EHLO and HELO."""
    wait_spoken: Callable[[], Awaitable[bool]] | None = field(default=None, repr=False, eq=False)
    """Before the greeting: until the client has sent something (True) or is gone (False)."""
    stranger: bool | None = None
    """Whom the checks at the door concern, once they have looked; for the whole connection."""
    standing: Standing | None = None
    """Once it was asked for."""

    def said(self, helo: str, *, esmtp: bool) -> None:
        """EHLO or HELO came."""
        told = self.announced or XClient()
        self.helo = told.helo or helo
        self.esmtp = esmtp if told.esmtp is None else told.esmtp

    def replaced_by(self, told: XClient) -> Client | None:
        """The client that XCLIENT announces; None where its address was never told. Who logged in is forgotten."""
        before = self.announced or XClient()
        if told.ip not in (None, before.ip):
            before = XClient()  # another client: nothing that was said of the last one is true of it
        ip = told.ip or before.ip
        if ip is None:
            return None
        esmtp = before.esmtp if told.esmtp is None else told.esmtp
        return Client(ip, self.submission, tls=self.tls, announced=XClient(ip, told.helo or before.helo, esmtp))

    @property
    def described(self) -> str:
        """Address and HELO name, for the administrator."""
        return f"[{self.ip}] {self.helo}" if self.ip else f"local {self.helo}"


@frozen
class Receipt:
    """A recipient of whom the sender is told at once."""

    address: str
    action: DsnAction
    orcpt: str


@frozen
class Vouched:
    """Domains that stand for the message: SPF of the envelope, or DMARC of From, passed."""

    domains: frozenset[str]
    """In A-labels, lower case."""
    unsure: bool = False
    """The DNS owes an answer."""


@define
class DailyTally:
    """What of the account's daily allowance the recipients so far may take."""

    allowance: SendingAllowance
    """As it was at the first recipient elsewhere."""
    unasked: list[str] = field(factory=list)
    """Recipients that may be new, as long as all of them might be."""
    new: int = 0
    """Recipients that are new, as the store says."""
    told: bool = False
    """The store knows that a recipient was refused."""


@define
class Transaction:
    """One mail transaction: the envelope so far. Recipients that are the same mailbox or address are kept once."""

    trace: str
    client: Client
    mail: Mail
    started: float = field(factory=time.monotonic)
    local: dict[AccountId, LocalRecipient] = field(factory=dict)
    remote: dict[str, RemoteRecipient] = field(factory=dict)
    rcpt: Rcpt | None = None
    """The RCPT that was asked last; `accept` takes its parameters."""
    receipts: dict[str, Receipt] = field(factory=dict)
    """By address: whom the sender wants to be told of, and what is done with the commit already."""
    accepted: int = 0
    """RCPTs that were answered with 250, duplicates counted."""
    only_recipient: str = ""
    """The recipient's address while there is exactly one."""
    front_octets: int = 0
    """What we put in front of the client's content."""
    authentication: bytes = b""
    """The Authentication-Results field, once the checks have run; it goes behind Return-Path."""
    verdicts: str = ""
    """What the checks found, in words, for the history."""
    tally: DailyTally | None = None
    """Set by the first recipient elsewhere of a submission."""
    junk: bool = False
    """Local copies go to Junk."""
    vouched: Vouched | None = None
    """Once the checks have run; None: this client's mail is not checked."""
    groups: list[str] = field(factory=list)
    """Recipients that take mail from few, and from this sender if it is true."""
    spf_passed: bool | None = None
    """Once greylisting asked for it."""

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
            lmtp=client.lmtp,
        )

    def copies(self) -> tuple[LocalRecipient, ...]:
        """The local copies, each for its mailbox."""
        if not self.junk:
            return tuple(self.local.values())
        return tuple(evolve(copy, mailbox=JUNK) for copy in self.local.values())

    def not_yet_taken(self, remotes: Sequence[RemoteRecipient]) -> tuple[RemoteRecipient, ...]:
        """Those whose address is not among the recipients."""
        by_address = {_same_address(remote.address): remote for remote in remotes}
        return tuple(remote for address, remote in by_address.items() if address not in self.remote)

    def accept(self, recipient: Mailbox, resolution: Resolution) -> None:
        """Take a recipient with those who stand behind it."""
        address = recipient.address
        self.accepted += 1
        self.only_recipient = address if self.accepted == 1 else ""
        notify, orcpt = self._asked()
        targets = len(resolution.accounts) + len(resolution.remotes)
        if targets > 1:
            # RFC 3461 §5.2.7.3 (c)
            self._tell(address, notify, DsnAction.EXPANDED, orcpt)
            notify = without_success(notify)
        elif resolution.accounts:
            # RFC 3461 §5.2.3
            self._tell(address, notify, DsnAction.DELIVERED, orcpt)
        for account_id in resolution.accounts:
            self._add_local(LocalRecipient(account_id, address, notify=notify, orcpt=orcpt))
        for remote in resolution.remotes:
            self._add_remote(RemoteRecipient(remote, address, notify, orcpt))

    def accept_remote(self, recipient: Mailbox) -> None:
        """Take a recipient elsewhere, for an authenticated client."""
        address = recipient.address
        self.accepted += 1
        self.only_recipient = address if self.accepted == 1 else ""
        notify, orcpt = self._asked()
        self._add_remote(RemoteRecipient(address, notify=notify, orcpt=orcpt))

    def _asked(self) -> tuple[int, str]:
        return (self.rcpt.notify, self.rcpt.orcpt) if self.rcpt is not None else (0, "")

    def _tell(self, address: str, notify: int, action: DsnAction, orcpt: str) -> None:
        if wants_success(notify):
            self.receipts.setdefault(_same_address(address), Receipt(address, action, orcpt))

    def _add_local(self, recipient: LocalRecipient) -> None:
        known = self.local.get(recipient.account_id)
        if known is not None:
            recipient = evolve(known, notify=merged(known.notify, recipient.notify))
        self.local[recipient.account_id] = recipient

    def _add_remote(self, recipient: RemoteRecipient) -> None:
        key = _same_address(recipient.address)
        known = self.remote.get(key)
        if known is not None:
            recipient = evolve(known, notify=merged(known.notify, recipient.notify))
        self.remote[key] = recipient


def _same_address(address: str) -> str:
    """Domains compare without case, local parts elsewhere do not (RFC 5321 §2.4)."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{domain.lower()}"
