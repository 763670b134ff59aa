"""Who wants to know what: watches per connection, told after the commit, coalesced.

A peer that does not read is not told again and again: its changes wait here, one number per watch, until there is room.
"""

import time
from collections.abc import Iterable
from typing import Final

import trio

from services.store.account_log import EVERYBODY, AccountLogs
from services.store.news import Changes
from shared.contract.events import CHANGED
from shared.errors import LimitExceeded
from shared.rpc.server import Peer

WATCHES_PER_PEER: Final = 20_000
"""One imap process watches each selected mailbox once; a home has thousands at the very most."""
BACKLOG_OCTETS: Final = 256 * 1024
RETRY_SECONDS: Final = 0.1

Key = tuple[str, int]
QUEUE: Final[Key] = ("queue", 0)


class _Watcher:
    """A peer's watches."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.keys: dict[int, Key] = {}
        self.pending: dict[int, int] = {}


class Notifier:
    """Watches of all peers. Used in the trio thread only."""

    def __init__(self) -> None:
        self._watchers: dict[int, _Watcher] = {}
        self._by_key: dict[Key, dict[tuple[int, int], None]] = {}
        self._late = trio.Event()
        self.commits = int(time.time() * 1_000_000)
        """Numbers the commits: the modseq of account watches. It begins at the clock, so that it ascends over restarts."""
        self.logs = AccountLogs()
        self.sent = 0

    def statistics(self) -> dict[str, int]:
        return {
            "watches": sum(len(watcher.keys) for watcher in self._watchers.values()),
            "pending": sum(len(watcher.pending) for watcher in self._watchers.values()),
            "sent": self.sent,
        }

    def watch(self, peer: Peer, number: int, key: Key) -> None:
        """Watch something under a number of the peer's choice; a number that is in use is given the new thing.

        Raises LimitExceeded.
        """
        watcher = self._watchers.get(peer.number)
        if watcher is None:
            watcher = self._watchers[peer.number] = _Watcher(peer)
            peer.on_close(lambda: self._peer_closed(peer.number))
        if number in watcher.keys:
            self.unwatch(peer, number)
        if len(watcher.keys) >= WATCHES_PER_PEER:
            raise LimitExceeded("watches")
        watcher.keys[number] = key
        self._by_key.setdefault(key, {})[peer.number, number] = None
        if key[0] == "account":
            self.logs.begin(key[1], self.commits)

    def unwatch(self, peer: Peer, number: int) -> None:
        watcher = self._watchers.get(peer.number)
        key = watcher.keys.pop(number, None) if watcher is not None else None
        if watcher is None or key is None:
            return
        watcher.pending.pop(number, None)
        self._forget(key, peer.number, number)

    def _forget(self, key: Key, peer_number: int, number: int) -> None:
        watches = self._by_key.get(key)
        if watches is not None:
            watches.pop((peer_number, number), None)
            if not watches:
                del self._by_key[key]
                if key[0] == "account":
                    self.logs.end(key[1])

    def _peer_closed(self, peer_number: int) -> None:
        watcher = self._watchers.pop(peer_number, None)
        if watcher is not None:
            for number, key in watcher.keys.items():
                self._forget(key, peer_number, number)

    def committed(self, changes: Changes) -> None:
        """Tell everybody who watches something that a commit changed."""
        self.commits += 1
        self.logs.record(changes, self.commits)
        touched: set[int] = set()
        for mailbox_id, modseq in changes.mailboxes.items():
            self._changed(("mailbox", mailbox_id), modseq, touched)
        accounts = changes.accounts
        if EVERYBODY in accounts or any(whose == EVERYBODY for whose, _, _ in changes.annotations):
            accounts = accounts.union(self.logs.watched)
        for account_id in accounts:
            self._changed(("account", account_id), self.commits, touched)
        if changes.queue:
            self._changed(QUEUE, 0, touched)
        if touched:
            self._send(touched)

    def _changed(self, key: Key, modseq: int, touched: set[int]) -> None:
        for peer_number, number in self._by_key.get(key, ()):
            pending = self._watchers[peer_number].pending
            pending[number] = max(modseq, pending.get(number, 0))
            touched.add(peer_number)

    def _send(self, peers: Iterable[int]) -> None:
        for peer_number in peers:
            watcher = self._watchers[peer_number]
            if watcher.peer.backlog_octets > BACKLOG_OCTETS:
                self._late.set()
                continue
            pending, watcher.pending = watcher.pending, {}
            for number, modseq in pending.items():
                watcher.peer.notify(CHANGED, [number, modseq])
            self.sent += len(pending)

    async def run(self) -> None:
        """Serve peers that were too slow to be told at once; until cancelled."""
        while True:
            await self._late.wait()
            await trio.sleep(RETRY_SECONDS)
            self._late = trio.Event()
            self._send([number for number, watcher in self._watchers.items() if watcher.pending])
