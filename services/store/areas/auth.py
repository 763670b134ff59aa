"""Logging in."""

from services.store.core import Core
from services.store.reads import directory as reads
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed
from shared.model.ids import AccountId
from shared.rpc.server import Call


class AuthArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def login(self, call: Call, username: str, password: str, client: str) -> LoginResult:
        core = self._core
        found = await core.readers.run(reads.credentials, username)
        address = found.address if found is not None else username[:320]
        right = await core.passwords.verify(address, found.password_hash if found is not None else None, password)
        if found is None or not right:
            core.log.warning("login failed", user=address, role=str(call.role), client=client)
            raise AuthenticationFailed
        core.log.info("login", user=address, role=str(call.role), client=client)
        account = AccountId(found.account_id)
        return LoginResult(account, found.address, core.grants.issue(account, call.role))
