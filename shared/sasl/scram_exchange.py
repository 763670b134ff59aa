"""A whole SCRAM exchange of any edge: the client's messages on one side, the store's two calls on the other.

``ScramExchange`` takes the client's messages one by one, for edges whose protocol core hands them out as events. ``run_scram`` asks for
them: the protocol gives ``ask``, which sends a challenge and returns the client's response, both raw; it raises what the protocol raises
(ExchangeCancelled, MalformedExchange, the end of the connection). Both raise besides: MalformedExchange, BindingRefused,
AuthorizationRefused, and StoreError (AuthenticationFailed for a wrong proof and for nobody alike).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.contract.auth import AuthApi
from shared.contract.types import LoginResult
from shared.sasl.credentials import MalformedExchange, SaslError
from shared.sasl.scram import ScramServer, ScramUser

NONCE_OCTETS: Final = 18

Ask = Callable[[bytes], Awaitable[bytes]]


class AuthorizationRefused(SaslError):
    """The client asks to act as another user."""


class ScramExchange:
    """One exchange: `respond` to each message of the client until the login comes out. After an error it is over."""

    __slots__ = ("_auth", "_client_ip", "_login", "_server", "_user")

    def __init__(self, auth: AuthApi, mechanism: str, bindings: Mapping[str, bytes], client_ip: str) -> None:
        """``bindings``: of this connection by type. ``client_ip`` is for the store's log."""
        self._auth = auth
        self._client_ip = client_ip
        self._server = ScramServer(mechanism, secrets.token_urlsafe(NONCE_OCTETS), bindings)
        self._user: ScramUser | None = None
        self._login: LoginResult | None = None

    @property
    def username(self) -> str:
        """Who the client says it is; "" before its first message could be read."""
        return self._user.username if self._user is not None else ""

    async def respond(self, message: bytes) -> bytes | LoginResult:
        """The next challenge, raw, or the login, which stands once the client has accepted our signature."""
        if self._user is None:
            return await self._begin(message)
        if self._login is None:
            return await self._verify(message, self._user)
        # RFC 5802 §5: the client looks at our signature before it goes on, and may cancel
        if message:
            raise MalformedExchange("nothing more was asked for")
        return self._login

    async def _begin(self, message: bytes) -> bytes:
        self._user = user = self._server.first(message)
        known = await self._auth.scram_begin(user.username)
        return self._server.challenge(known.salt, known.iterations)

    async def _verify(self, message: bytes, user: ScramUser) -> bytes:
        given = self._server.final(message)
        result = await self._auth.scram_finish(user.username, given.auth_message, given.proof, self._client_ip)
        if user.authzid not in ("", user.username) and user.authzid.lower() != result.login.address.lower():
            raise AuthorizationRefused("Not allowed to act as another user")
        self._login = result.login
        return self._server.verdict(result.signature)


async def run_scram(
    auth: AuthApi, mechanism: str, bindings: Mapping[str, bytes], initial: bytes | None, ask: Ask, client_ip: str
) -> LoginResult:
    """The login. ``initial`` is the initial response, decoded, None when the client waits to be asked."""
    exchange = ScramExchange(auth, mechanism, bindings, client_ip)
    step = await exchange.respond(initial if initial is not None else await ask(b""))
    while isinstance(step, bytes):
        step = await exchange.respond(await ask(step))
    return step
