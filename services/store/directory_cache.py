"""Resolutions and the set of accounts in memory, so that RCPT and every call with a grant cost no trip to the disk.

Everything is dropped when the directory changes, which is rare; a resolution that was read before such a change and arrives after it
is not kept.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from services.store.quota_cache import QuotaCache
from services.store.reads.directory import Credentials
from shared.contract.types import Resolution

RESOLUTIONS_MAX: Final = 10_000
CREDENTIALS_MAX: Final = 10_000


class DirectoryCache:
    """Used in the trio thread only."""

    def __init__(self) -> None:
        self._resolutions: OrderedDict[str, Resolution] = OrderedDict()
        self._credentials: OrderedDict[str, Credentials] = OrderedDict()
        self._accounts: dict[int, int] = {}
        self._devices: set[int] = set()
        self.quotas = QuotaCache(self._accounts.get)
        self.generation = 0

    def with_room(self, found: Resolution) -> Resolution:
        """``room_octets`` where all who stand behind an address have a limit: one member who is full does not stop a group's mail."""
        if not self.quotas.limited or not found.accounts or found.remotes:
            return found
        most = 0
        for room in map(self.quotas.room_octets, found.accounts):
            if room is None:
                return found
            most = max(most, room)
        return attrs.evolve(found, room_octets=most)

    def load_accounts(self, accounts: Mapping[int, int]) -> None:
        """With the domain of each."""
        self._accounts.update(accounts)

    def has_account(self, account_id: int) -> bool:
        return account_id in self._accounts

    def load_devices(self, devices: Iterable[int]) -> None:
        self._devices.update(devices)

    def has_device(self, device_id: int) -> bool:
        return device_id in self._devices

    def devices_changed(self, added: Iterable[int], removed: Iterable[int]) -> None:
        """After a commit that made or removed app passwords; ``changed`` is called besides."""
        self._devices.update(added)
        self._devices.difference_update(removed)

    def changed(self, added: Mapping[int, int], removed: Iterable[int]) -> None:
        """After a commit that touched domains, accounts or aliases."""
        self.generation += 1
        self._resolutions.clear()
        self._credentials.clear()
        self._accounts.update(added)
        for account_id in removed:
            self._accounts.pop(account_id, None)

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

    def credentials(self, username: str) -> Credentials | None:
        """Of a user name that logged in before; None says nothing. Only a login that succeeds may depend on it, or the clock would tell."""
        return self._credentials.get(username)

    def keep_credentials(self, username: str, credentials: Credentials, generation: int) -> None:
        """After a login, what was read when ``generation`` was the present one."""
        if generation != self.generation:
            return
        self._credentials[username] = credentials
        while len(self._credentials) > CREDENTIALS_MAX:
            self._credentials.popitem(last=False)
