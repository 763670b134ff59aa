"""Uploads."""

from services.store.core import Core
from shared.contract.append_types import SmallContent
from shared.model.message_index import MessageIndex
from shared.rpc.server import Call


class ContentArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def begin_upload(self, call: Call, octets: int) -> bytes:
        return await self._core.uploads.begin(call.peer, octets)

    async def append_upload(self, call: Call, upload: bytes, offset: int, data: bytes) -> int:
        return await self._core.uploads.append(call.peer, upload, offset, data)

    async def add_contents(self, call: Call, upload: bytes, first: int, contents: tuple[SmallContent, ...]) -> int:
        return await self._core.uploads.add_contents(call.peer, upload, first, contents)

    async def abort_upload(self, call: Call, upload: bytes) -> None:
        await self._core.uploads.abort(call.peer, upload)

    async def describe_upload(self, call: Call, upload: bytes, index: MessageIndex) -> None:
        self._core.uploads.describe(call.peer, upload, index)
