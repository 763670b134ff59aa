"""Logging in."""

from services.store.core import Core
from services.store.devices import USES
from services.store.domain.devices import Device, LoginName, named, parse_login, permits
from services.store.reads import directory as reads
from services.store.reads.directory import Credentials
from services.store.writer import Command
from services.store.writes import directory as writes
from shared.contract.auth import ScramChallenge, ScramLogin
from shared.contract.device_types import LoginDevice
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, StoreError
from shared.model.ids import AccountId, DeviceId
from shared.rpc.server import Call
from shared.sasl.scram_keys import ScramKeys


class AuthArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def login(self, call: Call, username: str, password: str, client: str) -> LoginResult:
        core, name = self._core, parse_login(username)
        # Who logs in again and again costs no trip to a thread. Whatever fails takes the long way, whoever it is.
        known = core.directory.credentials(username)
        if known is not None:
            if not name.device and core.passwords.is_remembered(known.address, known.password_hash, password):
                return self._entered(call, known, None, client)
            device = core.devices.matching(known.devices, name.device, password)
            if device is not None and permits(device, USES[call.role], client):
                return self._entered(call, known, device, client)
        generation = core.directory.generation
        found = await core.readers.run(reads.credentials, username)
        device = core.devices.matching(found.devices if found is not None else (), name.device, password)
        if found is not None and device is not None and permits(device, USES[call.role], client):
            core.directory.keep_credentials(username, found, generation)
            return self._entered(call, found, device, client)
        # From here on everybody pays for a slow hash: nobody, a wrong password, a device that may not enter here.
        address = found.address if found is not None else username[:320]
        main = found.password_hash if found is not None and not name.device else None
        right = await core.passwords.verify(address, main, password)
        if found is None or not right:
            raise self._failed(call, address, device, client)
        if found.scram is None:
            await self._make_scram(found, password)
        core.directory.keep_credentials(username, found, generation)
        return self._entered(call, found, None, client)

    async def scram_begin(self, call: Call, username: str) -> ScramChallenge:
        name = parse_login(username)
        found = await self._core.readers.run(reads.credentials, username)
        keys, _ = self._scram_keys(found, name)
        return ScramChallenge(keys.salt, keys.iterations)

    async def scram_finish(
        self, call: Call, username: str, auth_message: bytes, proof: bytes, client: str
    ) -> ScramLogin:
        name = parse_login(username)
        found = await self._core.readers.run(reads.credentials, username)
        keys, device = self._scram_keys(found, name)
        right = keys.proof_is_right(auth_message, proof)
        allowed = device is None or permits(device, USES[call.role], client)
        if found is None or not right or not allowed:
            address = found.address if found is not None else username[:320]
            raise self._failed(call, address, device if right else None, client)
        return ScramLogin(self._entered(call, found, device, client), keys.server_signature(auth_message))

    def _scram_keys(self, found: Credentials | None, name: LoginName) -> tuple[ScramKeys, Device | None]:
        """What a user name's proofs are verified against, and the device that it names."""
        stand_in = self._core.scram.stand_in(name.text)
        device = named(found.devices, name.device) if found is not None and name.device else None
        if device is not None:
            return device.scram, device
        if found is None or found.scram is None or name.device:
            return stand_in, None
        return found.scram, None

    def _failed(self, call: Call, address: str, device: Device | None, client: str) -> AuthenticationFailed:
        """``device``: its password was right, and it may not log in there or from there."""
        if device is None:
            self._core.log.warning("login failed", user=address, role=str(call.role), client=client)
        else:
            self._core.log.warning(
                "login failed", user=address, role=str(call.role), client=client, device=device.name, why="not permitted"
            )
        return AuthenticationFailed()

    def _entered(self, call: Call, found: Credentials, device: Device | None, client: str) -> LoginResult:
        core, account = self._core, AccountId(found.account_id)
        if device is None:
            core.log.info("login", user=found.address, role=str(call.role), client=client)
            return LoginResult(account, found.address, core.grants.issue(account, call.role))
        core.log.info("login", user=found.address, role=str(call.role), client=client, device=device.name)
        core.devices.used(device, client, call.role)
        grant = core.grants.issue(account, call.role, device.device_id)
        return LoginResult(account, found.address, grant, LoginDevice(DeviceId(device.device_id), device.name))

    async def _make_scram(self, found: Credentials, password: str) -> None:
        """For an account from before SCRAM. The login does not depend on it."""
        core = self._core
        try:
            keys = await core.scram.make(password, core.scram.stand_in(found.address).salt)
            await core.writer.submit(Command("", None, writes.keep_scram, (found.address, found.password_hash, keys)))
        except StoreError as error:
            core.log.warning("no SCRAM keys made", user=found.address, error=str(error))
