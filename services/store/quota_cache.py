"""Quotas in memory, of those that have a limit: RCPT asks for the room of an address with each recipient."""

from collections.abc import Callable, Iterable, KeysView, Mapping

import attrs

from services.store.domain.quota import Root, RootKind, is_limited, room_octets, with_more
from services.store.news import Changes
from shared.contract.sharing_types import Quota


@attrs.define
class QuotaCache:
    """Used in the trio thread only. It knows what every commit counted, so it never asks the database again."""

    domain_of: Callable[[int], int | None]
    """Of an account that is there."""
    _limited: dict[Root, Quota] = attrs.field(factory=dict, init=False)

    def load(self, quotas: Mapping[Root, Quota]) -> None:
        """Accounts and domains with a limit."""
        self._limited.update(quotas)

    @property
    def limited(self) -> KeysView[Root]:
        return self._limited.keys()

    def get(self, root: Root) -> Quota | None:
        """None: there is no limit."""
        return self._limited.get(root)

    def counted(self, changes: Changes) -> list[Root]:
        """After a commit: limits or counters that were set anew, then what is held more than before. Whom it concerns."""
        touched: list[Root] = []
        for kind, quotas, usage in (
            (RootKind.ACCOUNT, changes.quotas, changes.usage),
            (RootKind.DOMAIN, changes.domain_quotas, changes.domain_usage),
        ):
            for number, quota in quotas.items():
                touched.append(root := Root(kind, number))
                if is_limited(quota):
                    self._limited[root] = quota
                else:
                    self._limited.pop(root, None)
            if not self._limited:
                continue
            for number, more in usage.items():
                root = Root(kind, number)
                known = self._limited.get(root)
                if known is not None:
                    self._limited[root] = with_more(known, *more)
                    touched.append(root)
        return touched

    def forget(self, domains: Iterable[int], accounts: Iterable[int]) -> None:
        """Of those that were removed."""
        for domain_id in domains:
            self._limited.pop(Root(RootKind.DOMAIN, domain_id), None)
        for account_id in accounts:
            self._limited.pop(Root(RootKind.ACCOUNT, account_id), None)

    def of_account(self, account_id: int) -> list[Quota]:
        """Those that an account meets: its own, its domain's."""
        if not self._limited:
            return []
        found = [self._limited.get(Root(RootKind.ACCOUNT, account_id))]
        domain_id = self.domain_of(account_id)
        if domain_id is not None:
            found.append(self._limited.get(Root(RootKind.DOMAIN, domain_id)))
        return [quota for quota in found if quota is not None]

    def is_limited(self, account_id: int) -> bool:
        return bool(self.of_account(account_id))

    def room_octets(self, account_id: int) -> int | None:
        """What an account may still take; None: there is no limit on octets and it is not full."""
        rooms = [room for room in map(room_octets, self.of_account(account_id)) if room is not None]
        return min(rooms) if rooms else None
