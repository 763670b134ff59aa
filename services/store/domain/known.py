"""Where accounts logged in from lately: there they are never locked out.

Laws: at most ``per_account`` addresses of each account, the longest unused go first; one that was not used for ``days`` counts no more.
"""

from collections.abc import Iterable
from typing import Final

from services.store.domain.places import Net

DAY_SECONDS: Final = 86400.0
NOTE_SECONDS: Final = 3600.0
"""A login is written down when the last one from there was noted at least this long ago."""


class KnownAddresses:
    """By account. Times are seconds since the epoch."""

    def __init__(self, per_account: int, days: float) -> None:
        """``days`` 0: nothing is remembered."""
        self._most = per_account
        self._seconds = days * DAY_SECONDS
        self._seen: dict[str, dict[Net, float]] = {}

    def load(self, rows: Iterable[tuple[str, Net, float]]) -> None:
        """What was written down: account, address, when."""
        for name, address, at in sorted(rows, key=lambda row: row[2]):
            self._note(name, address, at)

    def knows(self, name: str, address: Net, now: float) -> bool:
        """Whether the account logged in from there lately."""
        seen = self._seen.get(name)
        return seen is not None and (at := seen.get(address)) is not None and at > now - self._seconds

    def any(self, name: str, now: float) -> bool:
        """Whether there is any such address."""
        return any(at > now - self._seconds for at in self._seen.get(name, {}).values())

    def is_news(self, name: str, address: Net, now: float) -> bool:
        """Whether a login from there now is worth noting."""
        if not self._seconds:
            return False
        seen = self._seen.get(name)
        at = None if seen is None else seen.get(address)
        return at is None or not at <= now < at + NOTE_SECONDS

    def note(self, name: str, address: Net, now: float) -> Net | None:
        """A login; the address that gives way to it, if any."""
        return self._note(name, address, now)

    def forget(self, name: str) -> None:
        """After the password was changed or the account removed."""
        self._seen.pop(name, None)

    def statistics(self) -> dict[str, int]:
        """Accounts, and addresses of all of them."""
        return {"accounts": len(self._seen), "addresses": sum(map(len, self._seen.values()))}

    def _note(self, name: str, address: Net, at: float) -> Net | None:
        seen = self._seen.setdefault(name, {})
        seen.pop(address, None)
        gone = None
        if len(seen) >= self._most:
            gone = next(iter(seen))
            del seen[gone]
        seen[address] = at
        return gone
