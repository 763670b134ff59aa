"""The life of the store: open, recover, serve, drain.

Order at start: directories, lock, keys and certificate, migrations, packs, then threads and socket. Order at the end: no new
connections, calls under way answered, writer's last group committed, threads ended, lock given back by the process's end.
"""

import os
import socket
import time
from contextlib import suppress
from functools import partial

import attrs
import trio

from services.store import layout, measure
from services.store.areas.admin import AdminArea
from services.store.areas.auth import AuthArea
from services.store.areas.content import ContentArea
from services.store.areas.devices import DevicesArea
from services.store.areas.directory import DirectoryArea
from services.store.areas.events import EventsArea
from services.store.areas.history import HistoryArea
from services.store.areas.mailboxes import MailboxesArea
from services.store.areas.messages import MessagesArea
from services.store.areas.moving import MovingArea
from services.store.areas.pop3 import Pop3Area
from services.store.areas.queue import QueueArea
from services.store.areas.relays import RelaysArea
from services.store.areas.retention import RetentionArea
from services.store.areas.search import SearchArea
from services.store.areas.sending import SendingArea
from services.store.areas.sharing import SharingArea
from services.store.areas.space import SpaceArea
from services.store.areas.undo import UndoArea
from services.store.backup.keeper import BackupTests
from services.store.checkpoint import Checkpointer
from services.store.compaction import Compactor
from services.store.core import Committed, Core, QueueChanged
from services.store.devices import Devices
from services.store.directory_cache import DirectoryCache
from services.store.domain.sending import DailyLimits
from services.store.domain.wild import WildLimits
from services.store.forwarding import Forwarding
from services.store.grants import Grants
from services.store.guard import Guard
from services.store.held import keep_held
from services.store.jobs import keep_house
from services.store.notify import Notifier
from services.store.packs.append import PackAppender
from services.store.packs.read import PackReader
from services.store.passwords import Passwords
from services.store.quota_warnings import QuotaWarnings
from services.store.readers import Readers
from services.store.reads.bans import all_bans, known_addresses
from services.store.reads.devices import device_ids
from services.store.reads.directory import Rules, account_domains
from services.store.reads.quota import limited_roots, warned_roots
from services.store.recover import open_appender, record_dead, recover_packs
from services.store.retention import keep_retention
from services.store.scram import Scram
from services.store.search.keeper import Search
from services.store.sending import Sending
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.undo import keep_history
from services.store.uploads import Uploads
from services.store.verify.keeper import Verification
from services.store.wild import WildClients
from services.store.writer import Writer
from shared.config.load import server_hostname
from shared.config.paths import DataPaths
from shared.config.schema import Settings
from shared.contract.registry import Role
from shared.observe.log import Logger
from shared.rpc.address import listen_unix
from shared.rpc.server import RpcServer, bind_handlers
from shared.service import Service

WRITER_CACHE_KIB = 16 * 1024
READER_CACHE_KIB = 8 * 1024
SEARCH_CACHE_KIB = 2 * 1024
CHECKPOINT_CACHE_KIB = 256
SOCKET_MODE = 0o600
FLUSH_SECONDS = 2.0


@attrs.frozen
class Opened:
    """What is there once the data directory is open."""

    lock: int
    keys: dict[Role, bytes]
    grant_key: bytes
    device_key: bytes
    forwarding_key: bytes
    appender: PackAppender
    certificate_made: bool


def open_data(settings: Settings, paths: DataPaths, log: Logger) -> Opened:
    """Everything that touches the disk before serving. Raises OSError, ValueError, sqlite3.Error."""
    os.umask(0o077)
    layout.make_directories(paths)
    lock = layout.lock_directory(paths)
    layout.check_restored(paths)
    keys = layout.service_keys(paths)
    device_key = layout.device_key(paths)
    grant_key, forwarding_key = layout.grant_key(paths), layout.forwarding_key(paths)
    made = layout.make_certificate(paths, settings, settings.server.hostname or socket.gethostname())
    database = layout.database_path(paths)
    migrate(database)
    connection = connect(database, read_only=False, cache_kib=READER_CACHE_KIB)
    try:
        packs = layout.packs_path(paths)
        recovered = recover_packs(packs, connection, log)
        record_dead(connection, recovered)
        appender = open_appender(packs, recovered, settings.store.pack_octets)
    finally:
        connection.close()
    return Opened(lock, keys, grant_key, device_key, forwarding_key, appender, made)


async def serve(service: Service) -> None:
    """Run the store until the service drains."""
    settings, paths, log = service.settings, service.paths, service.log
    opened = await trio.to_thread.run_sync(open_data, settings, paths, log)
    if opened.certificate_made:
        log.info("made a self-signed certificate", path=str(paths.certificate(settings)))
    core, server = _assemble(service, opened)
    core.uploads.clear_directory()
    core.checkpointer.start()
    core.writer.start()
    core.readers.start()
    core.search.readers.start()
    try:
        core.directory.load_accounts(await core.readers.run(account_domains))
        core.directory.load_devices(await core.readers.run(device_ids))
        core.directory.quotas.load(await core.readers.run(limited_roots))
        core.quota_warnings.load(await core.readers.run(warned_roots), core.directory.quotas.limited)
        core.guard.load(await core.readers.run(all_bans), await core.readers.run(known_addresses))
        await core.passwords.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(core.notifier.run)
            nursery.start_soon(keep_house, core)
            nursery.start_soon(core.devices.run, core.writer)
            nursery.start_soon(keep_retention, core)
            nursery.start_soon(keep_history, core)
            nursery.start_soon(core.wild.run, core.readers, core.writer)
            nursery.start_soon(keep_held, core)
            nursery.start_soon(core.compactor.run)
            nursery.start_soon(core.search.run)
            nursery.start_soon(core.guard.run, core.writer)
            nursery.start_soon(core.quota_warnings.run, core.writer)
            nursery.start_soon(core.verification.run)
            nursery.start_soon(core.backup_tests.run)
            accepting = await nursery.start(_accept, nursery, server, str(paths.socket))
            service.ready({})
            await service.draining.wait()
            accepting.cancel()
            await core.guard.flush(core.writer)
            await core.writer.stop()
            await core.readers.stop()
            await core.search.readers.stop()
            await _flush(server)
            nursery.cancel_scope.cancel()
    finally:
        await core.writer.stop()
        await core.readers.stop()
        await core.search.readers.stop()
        await trio.to_thread.run_sync(core.checkpointer.stop)
        with suppress(OSError):
            paths.socket.unlink(missing_ok=True)
        os.close(opened.lock)


async def _accept(
    nursery: trio.Nursery, server: RpcServer, path: str, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Accept connections, served in the outer nursery, until cancelled."""
    listener = await listen_unix(path, SOCKET_MODE)
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await trio.serve_listeners(server.serve_connection, [listener], handler_nursery=nursery)


async def _flush(server: RpcServer) -> None:
    """Give the answers that were just made a moment to leave."""
    with trio.move_on_after(FLUSH_SECONDS):
        while True:
            await trio.sleep(FLUSH_SECONDS / 100)
            if not any(peer.backlog_octets for peer in server.peers.values()):
                return


def _assemble(service: Service, opened: Opened) -> tuple[Core, RpcServer]:
    settings, paths, log = service.settings, service.paths, service.log
    store = settings.store
    database = layout.database_path(paths)
    directory = DirectoryCache()
    rules = Rules(store.subaddress_separator, store.alias_depth, Forwarding(opened.forwarding_key))
    marks = (settings.limits.quota_warning_percent, settings.limits.quota_last_warning_percent)
    warnings = QuotaWarnings(
        marks, server_hostname(settings), rules, settings.auth.administrators, log, directory.quotas.get
    )
    notifier = Notifier()
    queue_changed = QueueChanged()
    pack_reader = PackReader(layout.packs_path(paths), cache_octets=store.content_cache_octets)
    search = Search(
        layout.search_path(paths),
        database,
        layout.packs_path(paths),
        Readers(partial(connect, database, read_only=True, cache_kib=SEARCH_CACHE_KIB), pack_reader, threads=1),
        log,
        enabled=store.search_index,
        wait_seconds=store.search_wait_seconds,
    )
    passwords = Passwords(at_once=settings.auth.hashes_at_once, remember_seconds=settings.auth.remember_seconds)
    guard = Guard(settings, log, service.metrics)
    wild = WildClients(
        WildLimits(store.wild_percent, store.wild_messages), store.undo_days, server_hostname(settings), log
    )
    checkpointer = Checkpointer(connect(database, read_only=False, cache_kib=CHECKPOINT_CACHE_KIB), log)
    writer = Writer(
        connect(database, read_only=False, cache_kib=WRITER_CACHE_KIB),
        opened.appender,
        group_writes=store.group_writes,
        waiting_writes=store.waiting_writes,
        on_changes=Committed(notifier, directory, warnings, passwords, search, guard, wild, queue_changed),
        on_commit=checkpointer.written,
        keeps_history=store.undo_days > 0,
        log=log,
    )
    readers = Readers(
        partial(connect, database, read_only=True, cache_kib=READER_CACHE_KIB),
        pack_reader,
        threads=store.reader_threads,
    )
    uploads = Uploads(
        layout.uploads_path(paths),
        uploads_max=store.uploads,
        octets_max=store.upload_octets,
        message_octets=settings.limits.message_octets,
    )
    metrics = service.metrics
    core = Core(
        settings=settings,
        paths=paths,
        log=log,
        readers=readers,
        writer=writer,
        checkpointer=checkpointer,
        notifier=notifier,
        uploads=uploads,
        search=search,
        compactor=Compactor(layout.packs_path(paths), readers, writer, pack_reader, store, log),
        grants=Grants(opened.grant_key, settings.auth.grant_seconds, directory.has_account, device_exists=directory.has_device),
        verification=Verification(
            database,
            layout.packs_path(paths),
            layout.verified_path(paths),
            log,
            every_days=store.verify_days,
            octets_per_second=store.verify_octets_per_second,
        ),
        backup_tests=BackupTests(
            paths.root,
            settings.backup.directory,
            layout.backup_tested_path(paths),
            log,
            every_days=settings.backup.test_days,
        ),
        passwords=passwords,
        scram=Scram(opened.grant_key, passwords),
        guard=guard,
        devices=Devices(opened.device_key, settings.auth.devices_per_account, log),
        sending=Sending(
            DailyLimits(settings.limits.messages_per_day, settings.limits.new_recipients_per_day),
            server_hostname(settings),
            log,
        ),
        quota_warnings=warnings,
        wild=wild,
        directory=directory,
        deliveries=metrics.counter("pillarbox_store_deliveries_total", "messages filed or queued", ("kind",)),
        started_at=time.time(),
        rules=rules,
        queue_changed=queue_changed,
    )
    areas = {
        "directory": DirectoryArea(core),
        "auth": AuthArea(core),
        "content": ContentArea(core),
        "messages": MessagesArea(core),
        "mailboxes": MailboxesArea(core),
        "sharing": SharingArea(core),
        "queue": QueueArea(core),
        "history": HistoryArea(core),
        "retention": RetentionArea(core),
        "search": SearchArea(core),
        "space": SpaceArea(core),
        "events": EventsArea(core),
        "admin": AdminArea(core),
        "devices": DevicesArea(core),
        "moving": MovingArea(core),
        "sending": SendingArea(core),
        "pop3": Pop3Area(core),
        "undo": UndoArea(core),
        "relays": RelaysArea(core),
    }
    server = RpcServer(bind_handlers(areas), opened.keys, log)
    core.connections.append(server.peers)
    measure.register(metrics, core, pack_reader)
    return core, server
