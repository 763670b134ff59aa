"""Rights on mailboxes, annotations, quota."""

from collections.abc import Callable
from typing import Any

from services.store.core import Core
from services.store.reads import sharing as reads
from services.store.writer import Command
from services.store.writes import sharing as writes
from shared.contract.sharing_types import AclChange, AclEntry, Annotation, AnnotationDepth, Annotations, Quota
from shared.model.ids import Grant
from shared.rpc.server import Call


class SharingArea:
    def __init__(self, core: Core) -> None:
        self._core = core
        store = core.settings.store
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

    async def quota(self, call: Call, grant: Grant, name: str) -> Quota:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.quota, account, name)
