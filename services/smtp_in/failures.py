"""What a client is told when a call of the store failed: one table from error to reply. The detail goes to the log only.

Law: whatever might pass is answered with 4xx, so that the client keeps the message and comes back (RFC 5321 §4.2.1).
"""

from __future__ import annotations

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from shared import errors
from shared.errors import StoreError

_REPLIES: dict[type[StoreError], Reply] = {
    errors.OutOfSpace: replies.OUT_OF_SPACE,
    errors.TooLarge: replies.MESSAGE_TOO_BIG,
    errors.RecipientForbidden: replies.NOT_FOR_DEVICE,
    errors.MessagesReached: replies.MESSAGES_REACHED,
    errors.NewRecipientsReached: replies.NEW_RECIPIENTS_REACHED,
    errors.GrantExpired: replies.LOGIN_EXPIRED,
    # The account went between RCPT and the end of DATA: at the next attempt RCPT says so.
    errors.NotFound: replies.LOCAL_ERROR,
}


def reply_for(error: StoreError, full: Reply = replies.MAILBOX_FULL) -> Reply:
    """The reply for an error in MAIL, RCPT or after the content; ``full`` is that for a mailbox over its quota."""
    if isinstance(error, errors.OverQuota):
        return full
    return _REPLIES.get(type(error), replies.STORE_UNAVAILABLE if error.temporary else replies.LOCAL_ERROR)
