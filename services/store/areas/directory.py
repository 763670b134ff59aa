"""Addresses: who is behind them, and who may send as them."""

from services.store.core import Core
from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.directory import may_send
from services.store.reads import directory as reads
from services.store.reads.groups import may_account_post
from shared.contract.types import Resolution, ResolutionKind
from shared.mail.srs import is_srs
from shared.model.ids import Grant
from shared.rpc.server import Call


class DirectoryArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def resolve(self, call: Call, address: str) -> Resolution:
        if is_srs(address):
            # as it was given: the sender inside may be case-sensitive, and it will hardly be asked for again
            returned = await self._core.readers.run(reads.resolve_address, address, self._core.rules)
            return self._core.directory.with_room(returned)
        try:
            address = normalize_address(address)
        except InvalidAddressError:
            return Resolution(ResolutionKind.UNKNOWN)
        cache = self._core.directory
        found = cache.get(address)
        if found is None:
            generation = cache.generation
            found = await self._core.readers.run(reads.resolve_address, address, self._core.rules)
            cache.put(address, found, generation)
        return cache.with_room(found)

    async def may_send_as(self, call: Call, grant: Grant, address: str) -> bool:
        account = self._core.account_of(call, grant)
        return may_send(account, await self.resolve(call, address))

    async def may_post(self, call: Call, address: str, sender: str, grant: Grant | None) -> bool:
        account = None if grant is None else self._core.account_of(call, grant)
        return await self._core.readers.run(may_account_post, address, sender, account, self._core.rules)
