"""The accounts that sessions of this process watch by NOTIFY: one watch and one picture of each, shared by its sessions.

The store says "changed", the picture asks once for the difference and wakes its sessions. After a restart of the store it asks again;
what happened meanwhile is in the answer, because counters and names are compared with what was known. RFC 5465 §5.
"""

from typing import Final

import trio

from services.imap.account import Account
from services.imap.view import Wake
from shared.contract.types import AccountChanges
from shared.errors import GrantExpired, LimitExceeded, StoreError
from shared.model.ids import AccountId, Grant
from shared.rpc.store_client import StoreClient

MAX_MAILBOXES: Final = 20_000
"""Of a watched account, with those that others share with it; some 400 octets each."""
RETRY_SECONDS: Final = 1.0


class WatchedAccount(Account):
    """An account that keeps itself up to date."""

    def __init__(self, store: StoreClient, grant: Grant) -> None:
        super().__init__()
        self._store = store
        self.grant = grant
        self.lost: StoreError | None = None
        """Why it can no longer be kept: the login is gone, or it has too many mailboxes."""
        self.scope = trio.CancelScope()
        self._wakes: set[Wake] = set()
        self._lock = trio.Lock()

    def attach(self, wake: Wake) -> None:
        """Call ``wake`` after each change."""
        self._wakes.add(wake)

    def detach(self, wake: Wake) -> None:
        self._wakes.discard(wake)

    @property
    def watched(self) -> bool:
        """Whether any session is left."""
        return bool(self._wakes)

    def _wake_all(self) -> None:
        for wake in tuple(self._wakes):
            wake()

    async def refresh(self) -> None:
        """Return when everything that was committed before this call is in. Raises StoreError."""
        async with self._lock:
            if self.apply(await self._ask()):
                self._wake_all()

    async def _ask(self) -> list[AccountChanges]:
        """All pages of what changed since the last time. Raises StoreError."""
        events = self._store.events
        pages = [await events.account_changes(self.grant, self.number, "")]
        mailboxes = len(pages[0].mailboxes)
        while pages[-1].next_name:
            pages.append(await events.account_changes(self.grant, 0, pages[-1].next_name))
            mailboxes += len(pages[-1].mailboxes)
            _check_count(mailboxes)
        if pages[0].complete:
            # the first page's number is from before all of these were read
            after_name = ""
            while True:
                page = await events.shared_mailboxes(self.grant, after_name)
                pages.append(page)
                mailboxes += len(page.mailboxes)
                _check_count(mailboxes)
                after_name = page.next_name
                if not after_name:
                    break
        return pages

    async def run(self) -> None:
        """Watch until cancelled or lost."""
        while self.lost is None:
            grant = self.grant
            try:
                async with self._store.watch_account(grant) as watch:
                    while True:
                        await watch.wait()
                        await self.refresh()
            except StoreError as error:
                if isinstance(error, LimitExceeded) or (isinstance(error, GrantExpired) and self.grant == grant):
                    self.lost = error
                    self._wake_all()
                    return
                # Away or busy: the sessions live on, and the next watch begins with a refresh.
                await trio.sleep(RETRY_SECONDS)


def _check_count(mailboxes: int) -> None:
    if mailboxes > MAX_MAILBOXES:
        raise LimitExceeded(f"{MAX_MAILBOXES} mailboxes to be watched")


class Accounts:
    """All watched accounts of the process."""

    def __init__(self, store: StoreClient, nursery: trio.Nursery) -> None:
        self._store = store
        self._nursery = nursery
        self._accounts: dict[AccountId, WatchedAccount] = {}

    async def acquire(self, account_id: AccountId, grant: Grant, wake: Wake) -> WatchedAccount:
        """The picture of an account, up to date; ``wake`` is called when it changes. Raises StoreError."""
        account = self._accounts.get(account_id)
        if account is None or account.lost is not None:
            account = self._accounts[account_id] = WatchedAccount(self._store, grant)
            self._nursery.start_soon(self._keep, account)
        account.grant = grant
        account.attach(wake)
        try:
            await account.refresh()
        except BaseException:
            self.release(account_id, account, wake)
            raise
        return account

    def release(self, account_id: AccountId, account: WatchedAccount, wake: Wake) -> None:
        """A session does not watch any more; the last one ends it."""
        account.detach(wake)
        if not account.watched:
            account.scope.cancel()
            if self._accounts.get(account_id) is account:
                del self._accounts[account_id]

    @staticmethod
    async def _keep(account: WatchedAccount) -> None:
        with account.scope:
            await account.run()

    def statistics(self) -> dict[str, int]:
        """Accounts, and mailboxes in them."""
        return {
            "accounts": len(self._accounts),
            "mailboxes": sum(len(account.mailboxes) for account in self._accounts.values()),
        }
