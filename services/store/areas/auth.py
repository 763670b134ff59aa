"""Logging in. Every login passes the guard, before the password is looked at and after."""

from services.store.core import Core
from services.store.domain.judge import Door
from services.store.domain.places import Place
from services.store.guard import name_of
from services.store.reads import directory as reads
from services.store.reads.directory import Credentials
from services.store.writer import Command
from services.store.writes import directory as writes
from shared.contract.auth import ScramChallenge, ScramLogin
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, Banned, StoreError
from shared.model.ids import AccountId
from shared.rpc.server import Call


class AuthArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def login(self, call: Call, username: str, password: str, client: str) -> LoginResult:
        core = self._core
        place = core.guard.place(client)
        # Who logs in again and again costs no trip to a thread. Whatever fails takes the long way, whoever it is.
        known = core.directory.credentials(username)
        if known is not None and core.passwords.is_remembered(known.address, known.password_hash, password):
            door = core.guard.door(place, known.address)
            if door is Door.OPEN:
                return self._entered(call, known, place, client)
        name = name_of(username)
        door = self._heard(call, place, name, client)
        generation = core.directory.generation
        found = await core.readers.run(reads.credentials, username)
        address = found.address if found is not None else name
        # a right password that is refused all the same must not be faster than a wrong one
        right = await core.passwords.verify(
            address, found.password_hash if found is not None else None, password, from_memory=door is Door.OPEN
        )
        if found is None or not right or not core.guard.lets_in(door, name):
            raise await self._failed(call, door, place, name, client, password)
        if found.scram is None:
            await self._make_scram(found, password)
        core.directory.keep_credentials(username, found, generation)
        return self._entered(call, found, place, client)

    async def scram_begin(self, call: Call, username: str) -> ScramChallenge:
        core = self._core
        found = await core.readers.run(reads.credentials, username)
        stand_in = core.scram.stand_in(username)
        keys = found.scram if found is not None and found.scram is not None else stand_in
        return ScramChallenge(keys.salt, keys.iterations)

    async def scram_finish(
        self, call: Call, username: str, auth_message: bytes, proof: bytes, client: str
    ) -> ScramLogin:
        core = self._core
        place, name = core.guard.place(client), name_of(username)
        door = self._heard(call, place, name, client)
        found = await core.readers.run(reads.credentials, username)
        stand_in = core.scram.stand_in(username)
        keys = found.scram if found is not None and found.scram is not None else stand_in
        right = keys.proof_is_right(auth_message, proof)
        if found is None or not right or not core.guard.lets_in(door, name):
            raise await self._failed(call, door, place, name, client, None)
        return ScramLogin(self._entered(call, found, place, client), keys.server_signature(auth_message))

    def _heard(self, call: Call, place: Place | None, name: str, client: str) -> Door:
        """How far the door is open. Raises Banned where it is shut."""
        door = self._core.guard.door(place, name)
        if door is Door.SHUT:
            raise self._refused(call, door, name, client)
        return door

    def _refused(self, call: Call, door: Door, name: str, client: str) -> Banned:
        self._core.guard.refused(door)
        self._core.log.warning("login refused", user=name, role=str(call.role), client=client, banned=door.value)
        return Banned()

    async def _failed(
        self, call: Call, door: Door, place: Place | None, name: str, client: str, password: str | None
    ) -> StoreError:
        """What the client is told, once it may be. At a banned name a password that is right fails like any other."""
        if door is Door.OPEN:
            self._core.log.warning("login failed", user=name, role=str(call.role), client=client)
        error: StoreError = AuthenticationFailed() if door is Door.OPEN else self._refused(call, door, name, client)
        await self._core.guard.failed(place, name, client, password)
        return error

    def _entered(self, call: Call, found: Credentials, place: Place | None, client: str) -> LoginResult:
        core = self._core
        core.guard.entered(place, found.address, found.account_id)
        core.log.info("login", user=found.address, role=str(call.role), client=client)
        account = AccountId(found.account_id)
        return LoginResult(account, found.address, core.grants.issue(account, call.role))

    async def _make_scram(self, found: Credentials, password: str) -> None:
        """For an account from before SCRAM. The login does not depend on it."""
        core = self._core
        try:
            keys = await core.scram.make(password, core.scram.stand_in(found.address).salt)
            await core.writer.submit(Command("", None, writes.keep_scram, (found.address, found.password_hash, keys)))
        except StoreError as error:
            core.log.warning("no SCRAM keys made", user=found.address, error=str(error))
