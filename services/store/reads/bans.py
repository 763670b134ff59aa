"""What the guard remembers across a restart."""

from services.store.readers import Snapshot
from services.store.sql.statements import bans
from shared.contract.bans_types import Ban, BanKind


def all_bans(snapshot: Snapshot) -> list[Ban]:
    """Those that hold and those that did."""
    return [
        Ban(BanKind(kind), subject, since, until, failures, times, tuple(tried.split("\n")) if tried else (), bool(manual))
        for kind, subject, since, until, failures, times, tried, manual in bans.ALL.all(snapshot.cursor)
    ]


def known_addresses(snapshot: Snapshot) -> list[tuple[str, str, float]]:
    """Account, address, when."""
    return bans.ALL_KNOWN.all(snapshot.cursor)
