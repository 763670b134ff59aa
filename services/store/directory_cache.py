"""Resolutions and the set of accounts in memory, so that RCPT and every call with a grant cost no trip to the disk.

Everything is dropped when the directory changes, which is rare; a resolution that was read before such a change and arrives after it
is not kept.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from shared.contract.types import Resolution

RESOLUTIONS_MAX: Final = 10_000


class DirectoryCache:
    """Used in the trio thread only."""

    def __init__(self) -> None:
        self._resolutions: OrderedDict[str, Resolution] = OrderedDict()
        self._accounts: set[int] = set()
        self.generation = 0

    def load_accounts(self, accounts: Iterable[int]) -> None:
        self._accounts.update(accounts)

    def has_account(self, account_id: int) -> bool:
        return account_id in self._accounts

    def changed(self, added: Iterable[int], removed: Iterable[int]) -> None:
        """After a commit that touched domains, accounts or aliases."""
        self.generation += 1
        self._resolutions.clear()
        self._accounts.update(added)
        self._accounts.difference_update(removed)

    def get(self, address: str) -> Resolution | None:
        found = self._resolutions.get(address)
        if found is not None:
            self._resolutions.move_to_end(address)
        return found

    def put(self, address: str, resolution: Resolution, generation: int) -> None:
        """Keep what was read when ``generation`` was the present one."""
        if generation != self.generation:
            return
        self._resolutions[address] = resolution
        while len(self._resolutions) > RESOLUTIONS_MAX:
            self._resolutions.popitem(last=False)
