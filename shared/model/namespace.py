"""Where the mailboxes of other accounts appear among one's own: ``shared/<address of the owner>/<mailbox>``. Pure.

RFC 2342 §5 calls it the Other Users' Namespace. The prefix is the one of Dovecot's manual, so that a client's subscriptions survive a
move from there.
"""

from typing import Final

SEPARATOR: Final = "/"
OTHERS: Final = "shared"
OTHERS_PREFIX: Final = OTHERS + SEPARATOR


def split_shared(name: str) -> tuple[str, str] | None:
    """Owner's address and the mailbox's name there; None for a name of one's own. Either may be empty."""
    if not name.startswith(OTHERS_PREFIX):
        return None
    owner, _, inner = name[len(OTHERS_PREFIX) :].partition(SEPARATOR)
    return owner, inner


def shared_name(owner: str, inner: str) -> str:
    return f"{OTHERS_PREFIX}{owner}{SEPARATOR}{inner}"


def is_reserved(name: str) -> bool:
    """Whether a name lies where other accounts' mailboxes appear."""
    return name == OTHERS or name.startswith(OTHERS_PREFIX)
