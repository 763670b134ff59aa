"""The errors that travel: one class per code, never a string to match on.

``detail`` is for the log of the caller; it never holds a secret or a message's content. An edge translates the class
into its protocol's answer (SMTP 4xx/5xx, IMAP NO [CODE], POP3 -ERR [CODE]).
"""

from typing import ClassVar, Final


class StoreError(Exception):
    """Root of all errors that the storage service answers with. ``temporary``: the same call may succeed later."""

    code: ClassVar[str] = "Internal"
    temporary: ClassVar[bool] = False

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class Internal(StoreError):
    """The store failed in a way that it did not foresee; its log knows more."""

    code = "Internal"
    temporary = True


class Unavailable(StoreError):
    """The store could not be reached in time, or it is stopping."""

    code = "Unavailable"
    temporary = True


class DeadlineExceeded(StoreError):
    """The call's own deadline passed. A write may have happened; repeated with its operation id it answers the first result."""

    code = "DeadlineExceeded"
    temporary = True


class Overloaded(StoreError):
    """A bound on what may wait was reached (back-pressure)."""

    code = "Overloaded"
    temporary = True


class BadRequest(StoreError):
    """The call's shape or a value is outside the contract."""

    code = "BadRequest"


class Forbidden(StoreError):
    """The role may not call this, or the grant is not for this."""

    code = "Forbidden"


class GrantExpired(StoreError):
    """The grant's time is over, or its account or device is gone: log in again."""

    code = "GrantExpired"


class AuthenticationFailed(StoreError):
    """User unknown or password wrong; nobody learns which."""

    code = "AuthenticationFailed"


class Banned(StoreError):
    """No login is heard from this address, or at this account from there, for a time: too many failed. Nobody learns which, nor why."""

    code = "Banned"
    temporary = True


class NoSuchMailbox(StoreError):
    """There is none, or the account has no right to know of it (RFC 4314 §6)."""

    code = "NoSuchMailbox"


class NoPermission(StoreError):
    """The account may know of the mailbox, and lacks the right for this (RFC 4314 §4)."""

    code = "NoPermission"


class MailboxExists(StoreError):
    code = "MailboxExists"


class InvalidMailboxName(StoreError):
    code = "InvalidMailboxName"


class CannotChangeMailbox(StoreError):
    """INBOX cannot be deleted; a mailbox cannot move below itself."""

    code = "CannotChangeMailbox"


class NoSuchMessage(StoreError):
    """Expunged meanwhile, or never there."""

    code = "NoSuchMessage"


class NoSuchUpload(StoreError):
    """The upload is unknown (a restart of the store forgets them): begin again."""

    code = "NoSuchUpload"
    temporary = True


class OverQuota(StoreError):
    code = "OverQuota"


class LimitExceeded(StoreError):
    """A count or length bound of the settings (keywords, mailboxes, aliases, ...)."""

    code = "LimitExceeded"


class RecipientForbidden(StoreError):
    """The submitting device may not send to one of the recipients."""

    code = "RecipientForbidden"


class SendingLimitReached(StoreError):
    """An account has sent on one day what it may (root of the two below; does not travel itself)."""

    temporary = True


class MessagesReached(SendingLimitReached):
    """Recipients elsewhere beyond the account's number of messages per day."""

    code = "MessagesReached"


class NewRecipientsReached(SendingLimitReached):
    """Recipients that the account has not sent to before, beyond its number per day."""

    code = "NewRecipientsReached"


class TooLarge(StoreError):
    """A message above the size limit, or a frame above 1 MiB."""

    code = "TooLarge"


class NotFound(StoreError):
    """An account, domain, alias or queue entry that an administrator named."""

    code = "NotFound"


class AlreadyExists(StoreError):
    code = "AlreadyExists"


class OutOfSpace(StoreError):
    """The disk is full or refuses writes. Nothing was acknowledged."""

    code = "OutOfSpace"
    temporary = True


_ALL: Final[tuple[type[StoreError], ...]] = (
    Internal, Unavailable, DeadlineExceeded, Overloaded, BadRequest, Forbidden, GrantExpired, AuthenticationFailed,
    Banned, NoSuchMailbox, NoPermission, MailboxExists, InvalidMailboxName, CannotChangeMailbox, NoSuchMessage, NoSuchUpload, OverQuota,
    LimitExceeded, RecipientForbidden, MessagesReached, NewRecipientsReached, TooLarge, NotFound, AlreadyExists, OutOfSpace,
)  # fmt: skip
ERRORS: Final[dict[str, type[StoreError]]] = {error.code: error for error in _ALL}


def error_from_wire(code: str, detail: str) -> StoreError:
    """The error of a code; a code from a newer store becomes Internal."""
    return ERRORS.get(code, Internal)(detail)
