"""What /metrics shows of the store: the numbers that the parts keep anyway, read when somebody asks."""

from collections.abc import Callable

from services.store.core import Core
from services.store.packs.read import PackReader
from shared.observe.metrics import Metrics


def register(metrics: Metrics, core: Core, packs: PackReader) -> None:
    """Add the store's gauges."""
    writer, uploads, notifier = core.writer.statistics, core.uploads, core.notifier
    gauges: dict[str, tuple[str, Callable[[], float]]] = {
        "writer_groups": ("commits", lambda: writer.groups),
        "writer_commands": ("writes that were run", lambda: writer.commands),
        "writer_repeated": ("writes that had been done before", lambda: writer.repeated),
        "writer_failed": ("writes that failed or were refused", lambda: writer.failed),
        "writer_largest_group": ("most writes that shared a commit", lambda: writer.largest_group),
        "writer_busy_seconds": ("time in transactions", lambda: writer.busy_seconds),
        "writer_waiting": ("writes that wait for their commit", lambda: core.writer.waiting),
        "reader_reads": ("reads that were served", lambda: core.readers.reads),
        "reader_waiting": ("reads that wait", lambda: core.readers.waiting),
        "uploads": ("uploads under way", lambda: uploads.statistics()["uploads"]),
        "uploads_octets": ("disk that uploads take", lambda: uploads.statistics()["octets"]),
        "watches": ("watches of all connections", lambda: notifier.statistics()["watches"]),
        "notifications": ("changes that were told", lambda: notifier.sent),
        "search_indexed": ("contents in the search index", lambda: core.search.indexed),
        "search_tail": ("contents that the search index does not have yet", lambda: core.search.tail),
        "search_octets": ("disk that the search index takes", lambda: core.search.octets),
        "search_runs": ("runs of the indexer", lambda: core.search.runs),
        "verified_at": ("when the store was last verified, in seconds since 1970", lambda: core.verification.result.finished_at),
        "damages": ("damages that the last verification found", lambda: core.verification.result.findings.count),
        "backup_tested_at": ("when a restore was last tried, in seconds since 1970", lambda: core.backup_tests.tried.at),
        "backup_failed": ("1: the backup failed its last test", lambda: bool(core.backup_tests.tried.failure)),
        "searches": ("searches by the index", lambda: core.search.searches),
        "bans": ("bans of logins that hold", lambda: core.guard.statistics()["bans"]),
        "logins_delayed": ("answers to failed logins that are held back", lambda: core.guard.statistics()["delayed"]),
        "known_addresses": ("addresses that accounts logged in from", lambda: core.guard.statistics()["known_addresses"]),
        "compaction_moved_octets": ("copied out of packs that were mostly dead", lambda: core.compactor.moved_octets),
        "compaction_given_back_octets": ("of packs that were removed", lambda: core.compactor.given_back_octets),
        "connections": ("services that are connected", lambda: sum(map(len, core.connections))),
        "pack_cache_octets": ("decompressed contents in memory", lambda: packs.statistics()["cached_octets"]),
    }
    for name, (text, read) in gauges.items():
        metrics.gauge(f"pillarbox_store_{name}", text).read_from(read)
