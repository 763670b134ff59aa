"""POP3: words that settings, contract and services share."""

from enum import StrEnum


class Dele(StrEnum):
    """What DELE and QUIT do to a message."""

    DELETE = "delete"
    """Remove it for good, for everybody (RFC 1939 §6)."""
    TRASH = "trash"
    """Move it to the mailbox for deleted mail."""
    HIDE = "hide"
    """Show it no more to this device by POP3; IMAP and other devices keep it."""
