"""What the areas work with: the parts of the running store in one place."""

import attrs
import trio

from services.store.backup.keeper import BackupTests
from services.store.checkpoint import Checkpointer
from services.store.compaction import Compactor
from services.store.devices import Devices
from services.store.directory_cache import DirectoryCache
from services.store.domain.pop3_view import Meaning
from services.store.domain.queue import QueueTimes
from services.store.grants import Grants
from services.store.guard import Guard
from services.store.news import Changes
from services.store.notify import Notifier
from services.store.passwords import Passwords
from services.store.quota_warnings import QuotaWarnings
from services.store.readers import Readers
from services.store.reads.directory import Rules
from services.store.scram import Scram
from services.store.search.keeper import Search
from services.store.sending import Sending
from services.store.uploads import Uploads
from services.store.verify.keeper import Verification
from services.store.wild import WildClients
from services.store.writer import Writer
from shared.config.paths import DataPaths
from shared.config.schema import Settings
from shared.model.ids import AccountId, Grant
from shared.observe.log import Logger
from shared.observe.metrics import Counter
from shared.rpc.server import Call, Peer


class QueueChanged:
    """Wakes whoever waits for a change of the queue."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def arm(self) -> trio.Event:
        """Set with the next change."""
        self._event = trio.Event()
        return self._event

    def tell(self) -> None:
        self._event.set()


@attrs.frozen
class Core:
    """One running store."""

    settings: Settings
    paths: DataPaths
    log: Logger
    readers: Readers
    writer: Writer
    checkpointer: Checkpointer
    notifier: Notifier
    uploads: Uploads
    search: Search
    verification: Verification
    backup_tests: BackupTests
    compactor: Compactor
    grants: Grants
    passwords: Passwords
    scram: Scram
    guard: Guard
    devices: Devices
    sending: Sending
    quota_warnings: QuotaWarnings
    wild: WildClients
    directory: DirectoryCache
    deliveries: Counter
    started_at: float
    rules: Rules
    queue_changed: QueueChanged
    connections: list[dict[int, Peer]] = attrs.field(factory=list)
    """The peers of each listener."""

    @property
    def queue_times(self) -> QueueTimes:
        out = self.settings.smtp_out
        return QueueTimes(out.expire_seconds, out.delay_warning_seconds)

    def account_of(self, call: Call, grant: Grant) -> AccountId:
        """Raises Forbidden, GrantExpired."""
        return self.grants.check(grant, call.role)

    @property
    def pop3_meaning(self) -> Meaning:
        """What DELE means for accounts that say nothing themselves."""
        pop3 = self.settings.pop3
        return Meaning(pop3.dele, pop3.keep_days)


class Committed:
    """What happens in the trio thread after a commit: caches are brought up to date, then the watchers are told."""

    def __init__(
        self,
        notifier: Notifier,
        directory: DirectoryCache,
        warnings: QuotaWarnings,
        passwords: Passwords,
        search: Search,
        guard: Guard,
        wild: WildClients,
        queue_changed: QueueChanged,
    ) -> None:
        self._queue_changed = queue_changed
        self._notifier = notifier
        self._search = search
        self._directory = directory
        self._warnings = warnings
        self._passwords = passwords
        self._guard = guard
        self._wild = wild

    def __call__(self, changes: Changes) -> None:
        if changes.directory:
            self._directory.changed(changes.added_accounts, changes.removed_accounts)
            self._directory.quotas.forget(changes.removed_domains, changes.removed_accounts)
            self._directory.devices_changed(changes.added_devices, changes.removed_devices)
        if changes.usage or changes.quotas or changes.domain_quotas:
            self._warnings.look(self._directory.quotas.counted(changes))
        for address in changes.passwords:
            self._passwords.forget(address)
            self._guard.forget(address)
        if changes.deleted:
            self._wild.noted(changes.deleted)
        if changes.queue:
            self._queue_changed.tell()
        self._notifier.committed(changes)
        self._search.changed()
