"""Logging in."""

from services.store.core import Core
from services.store.reads import directory as reads
from services.store.reads.directory import Credentials
from services.store.writer import Command
from services.store.writes import directory as writes
from shared.contract.auth import ScramChallenge, ScramLogin
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, StoreError
from shared.model.ids import AccountId
from shared.rpc.server import Call


class AuthArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def login(self, call: Call, username: str, password: str, client: str) -> LoginResult:
        core = self._core
        # Who logs in again and again costs no trip to a thread. Whatever fails takes the long way, whoever it is.
        known = core.directory.credentials(username)
        if known is not None and core.passwords.is_remembered(known.address, known.password_hash, password):
            return self._entered(call, known, client)
        generation = core.directory.generation
        found = await core.readers.run(reads.credentials, username)
        address = found.address if found is not None else username[:320]
        right = await core.passwords.verify(address, found.password_hash if found is not None else None, password)
        if found is None or not right:
            raise self._failed(call, address, client)
        if found.scram is None:
            await self._make_scram(found, password)
        core.directory.keep_credentials(username, found, generation)
        return self._entered(call, found, client)

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
        found = await core.readers.run(reads.credentials, username)
        stand_in = core.scram.stand_in(username)
        keys = found.scram if found is not None and found.scram is not None else stand_in
        right = keys.proof_is_right(auth_message, proof)
        if found is None or not right:
            raise self._failed(call, found.address if found is not None else username[:320], client)
        return ScramLogin(self._entered(call, found, client), keys.server_signature(auth_message))

    def _failed(self, call: Call, address: str, client: str) -> AuthenticationFailed:
        self._core.log.warning("login failed", user=address, role=str(call.role), client=client)
        return AuthenticationFailed()

    def _entered(self, call: Call, found: Credentials, client: str) -> LoginResult:
        core = self._core
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
