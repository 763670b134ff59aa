"""Resolutions and the set of accounts in memory, so that RCPT and every call with a grant cost no trip to the disk.

Everything is dropped when the directory changes, which is rare; a resolution that was read before such a change and arrives after it
is not kept.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from services.store.reads.directory import Credentials
from shared.contract.sharing_types import Quota
from shared.contract.types import Resolution

RESOLUTIONS_MAX: Final = 10_000
CREDENTIALS_MAX: Final = 10_000


class DirectoryCache:
    """Used in the trio thread only."""

    def __init__(self) -> None:
        self._resolutions: OrderedDict[str, Resolution] = OrderedDict()
        self._credentials: OrderedDict[str, Credentials] = OrderedDict()
        self._accounts: set[int] = set()
        self._devices: set[int] = set()
        self._limited: dict[int, Quota] = {}
        self.generation = 0

    def load_quotas(self, quotas: Mapping[int, Quota]) -> None:
        """Accounts with a limit."""
        self._limited.update(quotas)

    def counted(self, quotas: Mapping[int, Quota], usage: Mapping[int, tuple[int, int]]) -> None:
        """After a commit: limits or counters that were set anew, then what accounts hold more than before."""
        for account_id, quota in quotas.items():
            if quota.most_messages is None and quota.most_octets is None:
                self._limited.pop(account_id, None)
            else:
                self._limited[account_id] = quota
        for account_id, (messages, octets) in usage.items():
            known = self._limited.get(account_id)
            if known is not None:
                self._limited[account_id] = attrs.evolve(
                    known, messages=known.messages + messages, octets=known.octets + octets
                )

    def is_limited(self, account_id: int) -> bool:
        return account_id in self._limited

    def room_octets(self, account_id: int) -> int | None:
        """What an account may still take; None: there is no limit on octets and it is not full."""
        quota = self._limited.get(account_id)
        if quota is None:
            return None
        if quota.most_messages is not None and quota.messages >= quota.most_messages:
            return 0
        return None if quota.most_octets is None else max(0, quota.most_octets - quota.octets)

    def with_room(self, found: Resolution) -> Resolution:
        """``room_octets`` where all who stand behind an address have a limit: one member who is full does not stop a group's mail."""
        if not self._limited or not found.accounts or found.remotes:
            return found
        most = 0
        for room in map(self.room_octets, found.accounts):
            if room is None:
                return found
            most = max(most, room)
        return attrs.evolve(found, room_octets=most)

    def load_accounts(self, accounts: Iterable[int]) -> None:
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

    def changed(self, added: Iterable[int], removed: Iterable[int]) -> None:
        """After a commit that touched domains, accounts or aliases."""
        self.generation += 1
        self._resolutions.clear()
        self._credentials.clear()
        self._accounts.update(added)
        for account_id in removed:
            self._accounts.discard(account_id)
            self._limited.pop(account_id, None)

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
