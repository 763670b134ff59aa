"""Whose turn it is in the outbound queue: fair over accounts and over destinations.

A share is what one account has for one destination, written ``12@example.org`` (0: what no account here submitted). The queue is
looked through by shares, each of which is one probe of an index, so that neither ten thousand messages of one account
nor a destination that is dead costs anything to pass over.

Laws
- Every account's share that waits longest comes before any account's second one: one account's newsletter to a
  thousand domains delays nobody else by more than one message.
- Every share gives one message before any gives a second (``choose_entries``).
"""

from collections.abc import Collection, Iterable
from typing import Final

from shared.contract.queue_types import HERE


def share_of(account_id: int | None, destination: str) -> str:
    """How a share is written."""
    return f"{account_id or 0}@{destination}"


HERE_SHARE: Final = share_of(None, HERE)
"""Of all that waits for accounts here: the store files it, nobody leases it."""


def split_share(share: str) -> tuple[str, str]:
    """The account's number as it is written, and the destination."""
    account, _, destination = share.partition("@")
    return account, destination


def is_busy(share: str, busy: Collection[str]) -> bool:
    """``busy`` names destinations, shares, and accounts (``12@``: everything of that account)."""
    account, destination = split_share(share)
    return share in busy or destination in busy or f"{account}@" in busy


def in_turn(waiting: Iterable[tuple[str, float]], busy: Collection[str]) -> list[str]:
    """Shares in the order in which they are served, from each with the time since when its oldest entry is due."""
    seen: dict[str, int] = {}
    turns = []
    for since, share in sorted((since, share) for share, since in waiting if not is_busy(share, busy)):
        account, _ = split_share(share)
        turn = seen[account] = seen.get(account, -1) + 1
        turns.append((turn, since, share))
    return [share for _, _, share in sorted(turns)]
