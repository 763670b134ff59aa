"""A whole SCRAM exchange of any edge: the client's messages on one side, the store's two calls on the other.

The protocol gives ``ask``, which sends a challenge and returns the client's response, both raw; it raises what the protocol raises
(ExchangeCancelled, MalformedExchange, the end of the connection). Raises besides: MalformedExchange, BindingRefused,
AuthorizationRefused, and StoreError (AuthenticationFailed for a wrong proof and for nobody alike).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.contract.auth import AuthApi
from shared.contract.types import LoginResult
from shared.sasl.credentials import MalformedExchange, SaslError
from shared.sasl.scram import ScramServer

NONCE_OCTETS: Final = 18

Ask = Callable[[bytes], Awaitable[bytes]]


class AuthorizationRefused(SaslError):
    """The client asks to act as another user."""


async def run_scram(
    auth: AuthApi, mechanism: str, bindings: Mapping[str, bytes], initial: bytes | None, ask: Ask, client_ip: str
) -> LoginResult:
    """The login. ``initial`` is the initial response, decoded, None when the client waits to be asked."""
    server = ScramServer(mechanism, secrets.token_urlsafe(NONCE_OCTETS), bindings)
    user = server.first(initial if initial is not None else await ask(b""))
    known = await auth.scram_begin(user.username)
    given = server.final(await ask(server.challenge(known.salt, known.iterations)))
    result = await auth.scram_finish(user.username, given.auth_message, given.proof, client_ip)
    if user.authzid not in ("", user.username) and user.authzid.lower() != result.login.address.lower():
        raise AuthorizationRefused("Not allowed to act as another user")
    # RFC 5802 §5: the client looks at our signature before it goes on, and may cancel
    if await ask(server.verdict(result.signature)):
        raise MalformedExchange("nothing more was asked for")
    return result.login
