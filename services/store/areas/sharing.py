"""Rights on mailboxes, annotations, quota."""

from collections.abc import Callable
from typing import Any

from services.store.core import Core
from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.reads import quota as quota_reads
from services.store.reads import sharing as reads
from services.store.writer import Command
from services.store.writes import quota as quota_writes
from services.store.writes import sharing as writes
from shared.contract.sharing_types import AclChange, AclEntry, Annotation, AnnotationDepth, Annotations, Quota
from shared.model.ids import Grant
from shared.rpc.server import Call


class SharingArea:
    def __init__(self, core: Core) -> None:
        self._core = core
        store = core.settings.store
        self._administrators = frozenset(map(_normal, core.settings.auth.administrators))
        self._limits = writes.AnnotationLimits(
            store.annotation_octets, store.annotations_octets, store.annotations_per_mailbox
        )

    async def _write(self, call: Call, method: str, run: Callable[..., Any], *arguments: object) -> None:
        await self._core.writer.submit(Command(f"sharing.{method}", call.op_id, run, arguments))

    async def acl(self, call: Call, grant: Grant, name: str) -> tuple[AclEntry, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.acl, account, name)

    async def set_acl(
        self, call: Call, grant: Grant, name: str, identifier: str, change: AclChange, rights: int
    ) -> None:
        account = self._core.account_of(call, grant)
        await self._write(call, "set_acl", writes.set_acl, account, name, identifier, change, rights)

    async def fixed_rights(self, call: Call, grant: Grant, name: str, identifier: str) -> int:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.fixed_rights, account, name, identifier)

    async def get_metadata(
        self,
        call: Call,
        grant: Grant,
        names: tuple[str, ...],
        entries: tuple[str, ...],
        depth: AnnotationDepth,
        max_octets: int | None,
    ) -> tuple[Annotations | None, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.get_metadata, account, names, entries, depth, max_octets)

    async def set_metadata(self, call: Call, grant: Grant, name: str, entries: tuple[Annotation, ...]) -> None:
        account = self._core.account_of(call, grant)
        await self._write(call, "set_metadata", writes.set_metadata, account, name, entries, self._limits)

    async def quota_root(self, call: Call, grant: Grant, root: str) -> Quota:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(quota_reads.quota_root, account, root, self._administrators)

    async def set_quota(self, call: Call, grant: Grant, root: str, messages: int | None, octets: int | None) -> Quota:
        account = self._core.account_of(call, grant)
        arguments = (account, root, messages, octets, self._administrators)
        quota: Quota = await self._core.writer.submit(
            Command("sharing.set_quota", call.op_id, quota_writes.set_quota, arguments)
        )
        return quota

    async def quota(self, call: Call, grant: Grant, name: str) -> Quota:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(quota_reads.quota_of_mailbox, account, name)


def _normal(address: str) -> str:
    """As the store keeps it; what is no address is nobody."""
    try:
        return normalize_address(address)
    except InvalidAddressError:
        return ""
