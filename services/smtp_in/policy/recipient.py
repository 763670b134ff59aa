"""RCPT TO: who stands behind an address, and who may have mail relayed.

Laws: the store's directory alone says what is ours; an address that is not ours is taken from an authenticated client only,
whatever its spelling (source route, percent, bang, quotes, literal: the grammar keeps them apart, the directory does not know them).
RFC 5321 §3.3, §4.5.1 (postmaster), §7.9.
"""

from __future__ import annotations

from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.daily import DailyAllowance
from services.smtp_in.policy.groups import posting_objection
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
from shared.config.smtp import OverQuotaReply
from shared.contract.directory import DirectoryApi
from shared.contract.types import RemoteRecipient, Resolution, ResolutionKind
from shared.errors import BadRequest


class KnownRecipient(Policy):
    """Accepts what the directory knows, relays for accounts, refuses the rest."""

    def __init__(
        self,
        directory: DirectoryApi,
        daily: DailyAllowance,
        hostname: str,
        over_quota: OverQuotaReply,
        deferral: Policy | None = None,
    ) -> None:
        """`deferral` is asked about each recipient that is known, before it is accepted: strangers learn of unknown ones at once."""
        self._directory = directory
        self._daily = daily
        self._hostname = hostname
        self._deferral = deferral
        permanent = over_quota is OverQuotaReply.PERMANENT
        self._full = replies.MAILBOX_FULL_FOR_GOOD if permanent else replies.MAILBOX_FULL
        self._without_room = replies.MAILBOX_WITHOUT_ROOM_FOR_GOOD if permanent else replies.MAILBOX_WITHOUT_ROOM

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """Raises StoreError."""
        try:
            resolution = await self._resolve(recipient)
        except BadRequest:
            return replies.BAD_RECIPIENT
        if resolution.kind is ResolutionKind.DELIVERABLE:
            objection = await posting_objection(self._directory, transaction, recipient, resolution)
            if objection is None:
                objection = self._room_objection(resolution.room_octets, transaction.mail.size)
            if objection is None:
                remotes = [RemoteRecipient(remote, recipient.address) for remote in resolution.remotes]
                objection = await self._daily.objection(transaction, remotes)
            if objection is not None:
                return objection
            if self._deferral is not None and (reply := await self._deferral.on_rcpt(transaction, recipient)):
                return reply
            transaction.accept(recipient, resolution)
            return replies.RECIPIENT_OK
        if resolution.kind is ResolutionKind.UNKNOWN or not recipient.domain:
            return replies.USER_UNKNOWN
        if transaction.client.account is None:
            return replies.RELAY_DENIED
        remote = RemoteRecipient(recipient.address)
        if (objection := await self._daily.objection(transaction, (remote,))) is not None:
            return objection
        transaction.accept_remote(recipient)
        return replies.RECIPIENT_OK

    def _room_objection(self, room_octets: int | None, declared_octets: int | None) -> Reply | None:
        """RFC 5321 §4.3.2 and RFC 1870 §6.2: before the content is sent, by the size that MAIL has declared."""
        if room_octets is None:
            return None
        if room_octets == 0:
            return self._full
        return self._without_room if (declared_octets or 0) > room_octets else None

    async def _resolve(self, recipient: Mailbox) -> Resolution:
        if recipient.domain:
            return await self._directory.resolve(recipient.address)
        # RFC 5321 §4.5.1: <Postmaster> without a domain is the postmaster of this host, else of the domain above it.
        resolution = await self._directory.resolve(f"{recipient.local_part}@{self._hostname}")
        parent = self._hostname.partition(".")[2]
        if resolution.kind is not ResolutionKind.DELIVERABLE and parent:
            resolution = await self._directory.resolve(f"{recipient.local_part}@{parent}")
        return resolution
