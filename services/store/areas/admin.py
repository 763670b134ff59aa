"""What the command line does."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from services.store.areas.incoming import contents
from services.store.core import Core
from services.store.dkim_keys import make_keys
from services.store.domain.names import NameLimits
from services.store.reads import directory as reads
from services.store.reads import dkim as dkim_reads
from services.store.reads import queue as queue_reads
from services.store.reads import quota as quota_reads
from services.store.reads.groups import alias_page
from services.store.reads.restoring import held_contents
from services.store.writer import Command
from services.store.writes import aliases, filing, groups, quota, restoring
from services.store.writes import directory as writes
from services.store.writes import dkim as dkim_writes
from services.store.writes import held as held_writes
from services.store.writes import queue as queue_writes
from shared.config.load import server_hostname
from shared.contract.bans_types import Ban
from shared.contract.dkim_types import DnsRecord
from shared.contract.group_types import Posting
from shared.contract.queue_types import QueueFilter, QueueItem, Recalled
from shared.contract.restore_types import HeldContents, RestoredMessage
from shared.contract.search_types import SearchStatus
from shared.contract.sharing_types import Quota, Recounted
from shared.contract.types import AccountInfo, AliasInfo, Connection, DomainInfo, StoreStatus
from shared.contract.verify_types import VerifyStatus
from shared.errors import BadRequest
from shared.model.ids import EntryId
from shared.rpc.server import Call
from shared.version import VERSION


class AdminArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def _write(self, call: Call, method: str, run: Callable[..., Any], *arguments: object) -> Any:
        result = await self._core.writer.submit(Command(f"admin.{method}", call.op_id, run, arguments))
        self._core.log.info("administration", action=method, subject=str(arguments[0])[:320])
        return result

    async def domain_add(self, call: Call, name: str) -> DomainInfo:
        keys = await trio.to_thread.run_sync(make_keys)
        added: DomainInfo = await self._write(call, "domain_add", writes.domain_add, name, keys)
        return added

    async def domain_alias(self, call: Call, name: str, target: str) -> DomainInfo:
        keys = await trio.to_thread.run_sync(make_keys)
        rules = self._core.rules
        added: DomainInfo = await self._write(call, "domain_alias", aliases.domain_alias, name, target, rules, keys)
        return added

    async def domain_catch_all(self, call: Call, name: str, targets: tuple[str, ...]) -> AliasInfo:
        limits = aliases.AliasLimits(self._core.rules, self._core.settings.store.alias_targets)
        caught: AliasInfo = await self._write(call, "domain_catch_all", aliases.catch_all, name, targets, limits)
        return caught

    async def domain_dns(self, call: Call, name: str) -> tuple[DnsRecord, ...]:
        settings = self._core.settings
        return await self._core.readers.run(
            dkim_reads.domain_records, name, server_hostname(settings), relayed=bool(settings.smtp_out.smart_host)
        )

    async def dkim_rotate(self, call: Call, name: str) -> tuple[DnsRecord, ...]:
        keys = await trio.to_thread.run_sync(make_keys)
        records: tuple[DnsRecord, ...] = await self._write(call, "dkim_rotate", dkim_writes.rotate, name, keys)
        return records

    async def dkim_activate(self, call: Call, name: str) -> tuple[DnsRecord, ...]:
        records: tuple[DnsRecord, ...] = await self._write(call, "dkim_activate", dkim_writes.activate, name)
        return records

    async def domain_list(self, call: Call) -> tuple[DomainInfo, ...]:
        return await self._core.readers.run(reads.domains)

    async def domain_remove(self, call: Call, name: str) -> None:
        await self._write(call, "domain_remove", writes.domain_remove, name)

    async def account_add(self, call: Call, address: str, password: str) -> AccountInfo:
        password_hash = await self._core.passwords.hash(password)
        scram = await self._core.scram.make(password)
        added: AccountInfo = await self._write(call, "account_add", writes.account_add, address, password_hash, scram)
        return added

    async def account_passwd(self, call: Call, address: str, password: str) -> None:
        password_hash = await self._core.passwords.hash(password)
        scram = await self._core.scram.make(password)
        await self._write(call, "account_passwd", writes.account_passwd, address, password_hash, scram)

    async def account_list(self, call: Call, after: str) -> tuple[AccountInfo, ...]:
        return await self._core.readers.run(reads.accounts, after)

    async def account_remove(self, call: Call, address: str) -> None:
        await self._write(call, "account_remove", writes.account_remove, address)

    async def alias_add(self, call: Call, address: str, targets: tuple[str, ...]) -> AliasInfo:
        limits = aliases.AliasLimits(self._core.rules, self._core.settings.store.alias_targets)
        added: AliasInfo = await self._write(call, "alias_add", aliases.alias_add, address, targets, limits)
        return added

    async def alias_posting(
        self, call: Call, address: str, posting: Posting, owners: tuple[str, ...]
    ) -> AliasInfo:
        most = self._core.settings.store.alias_targets
        info: AliasInfo = await self._write(call, "alias_posting", groups.alias_posting, address, posting, owners, most)
        return info

    async def alias_list(self, call: Call, after: str) -> tuple[AliasInfo, ...]:
        return await self._core.readers.run(alias_page, after)

    async def alias_remove(self, call: Call, address: str, targets: tuple[str, ...]) -> None:
        await self._write(call, "alias_remove", aliases.alias_remove, address, targets)

    async def quota_show(self, call: Call, root: str) -> Quota:
        return await self._core.readers.run(quota_reads.quota_show, root)

    async def quota_list(self, call: Call, after: str) -> tuple[Quota, ...]:
        return await self._core.readers.run(quota_reads.quotas, after)

    async def quota_domains(self, call: Call) -> tuple[Quota, ...]:
        return await self._core.readers.run(quota_reads.domain_quotas)

    async def quota_set(self, call: Call, root: str, messages: int | None, octets: int | None) -> Quota:
        found: Quota = await self._write(call, "quota_set", quota.quota_set, root, messages, octets)
        return found

    async def quota_recount(self, call: Call, root: str) -> Recounted:
        recounted: Recounted = await self._write(call, "quota_recount", quota.quota_recount, root)
        return recounted

    async def queue_list(self, call: Call, after: EntryId, limit: int) -> tuple[QueueItem, ...]:
        return await self._core.readers.run(queue_reads.items, after, limit)

    async def queue_find(self, call: Call, wanted: QueueFilter, after: EntryId, limit: int) -> tuple[QueueItem, ...]:
        return await self._core.readers.run(queue_reads.find, wanted, after, limit)

    async def queue_hold(self, call: Call, entries: tuple[EntryId, ...]) -> int:
        count: int = await self._write(call, "queue_hold", queue_writes.hold, entries)
        return count

    async def queue_release(self, call: Call, entries: tuple[EntryId, ...]) -> int:
        count: int = await self._write(call, "queue_release", queue_writes.release, entries)
        return count

    async def queue_show(self, call: Call, entry: EntryId) -> QueueItem:
        return await self._core.readers.run(queue_reads.item, entry)

    async def queue_retry(self, call: Call, entries: tuple[EntryId, ...]) -> int:
        count: int = await self._write(call, "queue_retry", queue_writes.retry, entries)
        return count

    async def queue_remove(self, call: Call, entries: tuple[EntryId, ...]) -> int:
        count: int = await self._write(call, "queue_remove", queue_writes.remove, entries)
        return count

    async def queue_recall(self, call: Call, entries: tuple[EntryId, ...]) -> Recalled:
        recalled: Recalled = await self._write(call, "queue_recall", held_writes.recall, entries)
        return recalled

    async def status(self, call: Call) -> StoreStatus:
        core = self._core
        domains, accounts, messages, octets, entries, due = await core.readers.run(reads.totals, time.time())
        return StoreStatus(
            version=VERSION,
            started_at=core.started_at,
            domains=domains,
            accounts=accounts,
            messages=messages,
            octets=octets,
            disk_octets=await trio.to_thread.run_sync(_disk_octets, core.paths.store),
            queue_entries=entries,
            queue_due=due,
            verified_at=core.verification.result.finished_at,
            damages=core.verification.result.findings.count,
            backup_tested_at=core.backup_tests.tried.at,
            backup_failure=core.backup_tests.tried.failure,
            connections=tuple(
                Connection(str(peer.role), peer.worker, peer.since)
                for peers in core.connections
                for peer in peers.values()
            ),
        )

    async def bans_list(self, call: Call, after: str) -> tuple[Ban, ...]:
        return self._core.guard.page(after)

    async def bans_add(self, call: Call, network: str, seconds: float) -> Ban:
        return await self._core.guard.add(self._core.writer, call.op_id, network, seconds)

    async def bans_lift(self, call: Call, what: str) -> int:
        return await self._core.guard.lift(self._core.writer, call.op_id, what)

    async def bans_lift_all(self, call: Call) -> int:
        return await self._core.guard.lift_all(self._core.writer, call.op_id)

    async def search_status(self, call: Call) -> SearchStatus:
        return await self._core.search.status()

    async def search_rebuild(self, call: Call) -> SearchStatus:
        if not self._core.search.enabled:
            raise BadRequest("the search index is turned off (store.search_index)")
        self._core.search.rebuild()
        self._core.log.info("administration", action="search_rebuild")
        return await self._core.search.status()

    async def held_contents(self, call: Call, address: str, in_trash: bool, after: int) -> HeldContents:
        return await self._core.readers.run(held_contents, address, after, in_trash=in_trash)

    async def restore_messages(
        self, call: Call, address: str, mailbox: str, special_use: str, messages: tuple[RestoredMessage, ...]
    ) -> int:
        core, store = self._core, self._core.settings.store
        limits = NameLimits(store.mailbox_name_octets, store.mailbox_depth, store.mailboxes_per_account)
        async with contents(core, call, [message.content for message in messages]) as incoming:
            command = Command(
                "admin.restore_messages",
                call.op_id,
                restoring.restore_messages,
                (incoming, address, mailbox, special_use, messages, limits),
                prepare=filing.prepare_contents,
                to_the_end=True,
            )
            count: int = await core.writer.submit(command)
        core.log.info("administration", action="restore_messages", subject=address[:320], messages=count)
        return count

    async def verify_status(self, call: Call) -> VerifyStatus:
        return self._core.verification.status()

    async def verify_start(self, call: Call, octets_per_second: int) -> VerifyStatus:
        if octets_per_second < 0:
            raise BadRequest("speed")
        self._core.log.info("administration", action="verify_start")
        return self._core.verification.start(octets_per_second)


def _disk_octets(directory: Path) -> int:
    """What the files below a directory take."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
