"""Logging in. Every login passes the guard, before the password is looked at and after."""

from services.store.core import Core
from services.store.devices import USES
from services.store.domain.devices import Device, LoginName, named, parse_login, permits
from services.store.domain.judge import Door
from services.store.domain.places import Place
from services.store.domain.pop3_login import MaildropLogin
from services.store.guard import name_of
from services.store.reads import directory as reads
from services.store.reads.directory import Credentials
from services.store.reads.pop3 import find_login
from services.store.writer import Command
from services.store.writes import directory as writes
from shared.contract.auth import ScramChallenge, ScramLogin
from shared.contract.device_types import LoginDevice
from shared.contract.registry import Role
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, Banned, StoreError
from shared.model.ids import AccountId, DeviceId
from shared.rpc.server import Call
from shared.sasl.scram_keys import ScramKeys


class AuthArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def login(self, call: Call, username: str, password: str, client: str) -> LoginResult:
        core, place = self._core, self._core.guard.place(client)
        username, mailbox = await self._read_name(call, username)
        who = parse_login(username)
        # Who logs in again and again costs no trip to a thread. Whatever fails takes the long way, whoever it is.
        known = core.directory.credentials(username)
        if known is not None and core.guard.door(place, known.address) is Door.OPEN:
            if not who.device and core.passwords.is_remembered(known.address, known.password_hash, password):
                return self._entered(call, known, None, place, client, mailbox)
            device = core.devices.matching(known.devices, who.device, password)
            if device is not None and permits(device, USES[call.role], client):
                return self._entered(call, known, device, place, client, mailbox)
        name = name_of(who.address)
        door = self._heard(call, place, name, client)
        generation = core.directory.generation
        found = await core.readers.run(reads.credentials, username)
        device = core.devices.matching(found.devices if found is not None else (), who.device, password)
        permitted = device if device is not None and permits(device, USES[call.role], client) else None
        if found is not None and permitted is not None and door is Door.OPEN:
            core.directory.keep_credentials(username, found, generation)
            return self._entered(call, found, permitted, place, client, mailbox)
        # From here on everybody pays for a slow hash: nobody, a wrong password, a device that may not enter here, whoever is right at a
        # banned account.
        address = found.address if found is not None else name
        main = found.password_hash if found is not None and not who.device else None
        right = await core.passwords.verify(address, main, password, from_memory=door is Door.OPEN)
        if found is None or not (right or permitted is not None) or not core.guard.lets_in(door, name):
            raise await self._failed(call, door, place, name, client, password, device)
        if right and found.scram is None:
            await self._make_scram(found, password)
        core.directory.keep_credentials(username, found, generation)
        return self._entered(call, found, None if right else permitted, place, client, mailbox)

    async def scram_begin(self, call: Call, username: str) -> ScramChallenge:
        username, _ = await self._read_name(call, username)
        found = await self._core.readers.run(reads.credentials, username)
        keys, _ = self._scram_keys(found, parse_login(username))
        return ScramChallenge(keys.salt, keys.iterations)

    async def scram_finish(
        self, call: Call, username: str, auth_message: bytes, proof: bytes, client: str
    ) -> ScramLogin:
        core = self._core
        username, mailbox = await self._read_name(call, username)
        who = parse_login(username)
        place, name = core.guard.place(client), name_of(who.address)
        door = self._heard(call, place, name, client)
        found = await core.readers.run(reads.credentials, username)
        keys, device = self._scram_keys(found, who)
        right = keys.proof_is_right(auth_message, proof)
        permitted = device is None or permits(device, USES[call.role], client)
        if found is None or not right or not permitted or not core.guard.lets_in(door, name):
            raise await self._failed(call, door, place, name, client, None, device if right else None)
        return ScramLogin(self._entered(call, found, device, place, client, mailbox), keys.server_signature(auth_message))

    async def _read_name(self, call: Call, username: str) -> tuple[str, str]:
        """A user name without the mailbox that POP3 may have in it, and that mailbox. An account that is called so comes first."""
        core, separator = self._core, self._core.rules.separator
        asks = call.role is Role.POP3 and separator and separator in username
        if not asks or core.directory.credentials(username) is not None:
            return username, ""
        read: MaildropLogin = await core.readers.run(find_login, username, separator)
        return read.username, read.mailbox

    def _scram_keys(self, found: Credentials | None, who: LoginName) -> tuple[ScramKeys, Device | None]:
        """What a user name's proofs are verified against, and the device that it names."""
        stand_in = self._core.scram.stand_in(who.text)
        device = named(found.devices, who.device) if found is not None and who.device else None
        if device is not None:
            return device.scram, device
        if found is None or found.scram is None or who.device:
            return stand_in, None
        return found.scram, None

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
        self,
        call: Call,
        door: Door,
        place: Place | None,
        name: str,
        client: str,
        password: str | None,
        device: Device | None,
    ) -> StoreError:
        """What the client is told, once it may be. At a banned name a password that is right fails like any other.

        ``device``: its password was right, and it may not log in there or from there.
        """
        if door is Door.OPEN:
            more = {} if device is None else {"device": device.name, "why": "not permitted"}
            self._core.log.warning("login failed", user=name, role=str(call.role), client=client, **more)
        error: StoreError = AuthenticationFailed() if door is Door.OPEN else self._refused(call, door, name, client)
        await self._core.guard.failed(place, name, client, password)
        return error

    def _entered(
        self, call: Call, found: Credentials, device: Device | None, place: Place | None, client: str, mailbox: str
    ) -> LoginResult:
        core, account = self._core, AccountId(found.account_id)
        core.guard.entered(place, found.address, found.account_id)
        if device is None:
            core.log.info("login", user=found.address, role=str(call.role), client=client)
            return LoginResult(account, found.address, core.grants.issue(account, call.role), mailbox=mailbox)
        core.log.info("login", user=found.address, role=str(call.role), client=client, device=device.name)
        core.devices.used(device, client, call.role)
        grant = core.grants.issue(account, call.role, device.device_id)
        used = LoginDevice(DeviceId(device.device_id), device.name, bool(device.recipients))
        return LoginResult(account, found.address, grant, used, mailbox)

    async def _make_scram(self, found: Credentials, password: str) -> None:
        """For an account from before SCRAM. The login does not depend on it."""
        core = self._core
        try:
            keys = await core.scram.make(password, core.scram.stand_in(found.address).salt)
            await core.writer.submit(Command("", None, writes.keep_scram, (found.address, found.password_hash, keys)))
        except StoreError as error:
            core.log.warning("no SCRAM keys made", user=found.address, error=str(error))
