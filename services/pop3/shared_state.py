"""What all sessions of the process share: settings, store, log, metrics, certificates, the table of open maildrops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from services.pop3.read_ahead import Budget
from shared.config.schema import MaildropLock, Settings
from shared.model.ids import AccountId
from shared.net.configure import watch_clients
from shared.net.tls import ServerTls
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.rpc.store_client import StoreClient

READ_AHEAD_OCTETS: Final = 32 * 1024 * 1024
"""Contents that all sessions together hold before they are asked for."""


Which = tuple[AccountId, str]
"""A maildrop: whose, and the mailbox's name as the store gives it."""


class Drains(Protocol):
    """What can be told to end."""

    def drain(self) -> None:
        """Finish what is under way, then end."""


class Shared:
    """One per process."""

    def __init__(
        self, settings: Settings, store: StoreClient, log: Logger, metrics: Metrics, tls: ServerTls, hostname: str
    ) -> None:
        """`hostname` is the name in the greeting."""
        self.settings = settings
        self.store = store
        self.log = log
        self.tls = tls
        self.hostname = hostname
        self.clients = watch_clients(metrics)
        self.plaintext_networks = self.clients.trusted(settings.auth.plaintext_networks)
        self.budget = Budget(READ_AHEAD_OCTETS)
        self.commands = metrics.counter("pop3_commands_total", "Commands by verb.", ("verb",))
        self.logins = metrics.counter("pop3_logins_total", "Attempts to log in.", ("result",))
        self.retrieved = metrics.counter("pop3_messages_retrieved_total", "Messages sent whole.")
        self.retrieved_octets = metrics.counter("pop3_octets_retrieved_total", "Octets of messages sent whole.")
        self.removed = metrics.counter("pop3_messages_removed_total", "Messages removed at QUIT.")
        metrics.gauge("pop3_read_ahead_octets", "Contents held before they are asked for.").read_from(
            lambda: READ_AHEAD_OCTETS - self.budget.left
        )
        self._exclusive = settings.pop3.maildrop_lock is MaildropLock.EXCLUSIVE
        self._open: set[Which] = set()
        self._sessions: set[Drains] = set()
        self._draining = False

    def acquire(self, which: Which) -> bool:
        """Opens a maildrop for one more session; False when the setting says that one is enough."""
        if not self._exclusive:
            return True
        if which in self._open:
            return False
        self._open.add(which)
        return True

    def release(self, which: Which | None) -> None:
        """Takes back one successful `acquire`."""
        if which is not None:
            self._open.discard(which)

    @contextmanager
    def registered(self, session: Drains) -> Iterator[None]:
        """While it runs, `drain` reaches the session."""
        self._sessions.add(session)
        try:
            if self._draining:
                session.drain()
            yield
        finally:
            self._sessions.discard(session)

    def drain(self) -> None:
        """Tells all sessions to end, and those that are just beginning."""
        self._draining = True
        for session in tuple(self._sessions):
            session.drain()
