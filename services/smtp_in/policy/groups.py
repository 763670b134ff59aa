"""Groups that take mail from their members or owners alone: asked at RCPT, and proved once the content is there.

Laws:
- An account posts as what it is, whatever its reverse-path says: that is its own (`SenderOwnership`).
- From elsewhere the reverse-path's address must be one that may post, so the null reverse-path may not. It is believed when SPF passed
  for its domain, or DMARC for the same domain in From. Where nothing is checked (unchecked networks, LMTP, `authenticity.check` off) it
  is believed.
- A message is one: where it may not go to a group, it goes to none of its recipients, and the client is told.
"""

from __future__ import annotations

from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
from shared.contract.directory import DirectoryApi
from shared.contract.types import Resolution
from shared.mailauth.authors import to_a_labels


async def posting_objection(
    directory: DirectoryApi, transaction: Transaction, recipient: Mailbox, resolution: Resolution
) -> Reply | None:
    """Whether the sender may post to a recipient that the directory knows. Raises StoreError."""
    if not resolution.restricted:
        return None
    account = transaction.client.account
    grant = account.grant if account is not None else None
    if not await directory.may_post(recipient.address, transaction.sender, grant):
        return replies.NOT_A_POSTER
    if account is None:
        transaction.groups.append(recipient.address)
    return None


class TruePoster(Policy):
    """Refuses 550 5.7.1 what is for such a group and not proved to be from its sender; 451 4.7.26 while that cannot be known."""

    async def on_content(self, received: Received) -> Reply | None:
        """Behind `Authenticity`, whose findings it reads; never waits."""
        transaction = received.transaction
        vouched, sender = transaction.vouched, transaction.mail.sender
        if not transaction.groups or vouched is None:
            return None
        if sender is not None and to_a_labels(sender.domain.encode()) in vouched.domains:
            return None
        return replies.AUTHENTICITY_UNKNOWN if vouched.unsure else replies.POSTER_NOT_PROVED
