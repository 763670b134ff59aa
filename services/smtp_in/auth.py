"""Log-ins of submission clients: credentials, or the messages of a SCRAM exchange, to the store, its word to a reply.

Laws: the password goes to the store and nowhere else; a failed log-in is answered the same whether or not the user exists (the store
takes the same time for both); a store that is away is a temporary failure (454), never a wrong password; who is banned is told to come
again later, and the connection ends (421).
RFC 4954 §4, §6; RFC 4616 §2 and RFC 5802 §5.1 (an authorization identity other than one's own is refused).
"""

from __future__ import annotations

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account
from shared.contract.auth import AuthApi
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, Banned, StoreError
from shared.sasl.credentials import Credentials, MalformedExchange
from shared.sasl.scram import BindingRefused
from shared.sasl.scram_exchange import AuthorizationRefused, ScramExchange


async def log_in(auth: AuthApi, credentials: Credentials, client_ip: str) -> tuple[Reply, Account | None]:
    """The reply and, with 235, the account."""
    try:
        result = await auth.login(credentials.authcid, credentials.password, client_ip)
    except AuthenticationFailed:
        return replies.AUTH_FAILED, None
    except Banned:
        return replies.BANNED, None
    except StoreError:
        return replies.AUTH_UNAVAILABLE, None
    if credentials.acts_as_other and credentials.authzid.lower() != result.address.lower():
        return replies.AUTH_FAILED, None
    return _entered(result)


async def advance_scram(exchange: ScramExchange, message: bytes) -> tuple[bytes | Reply, Account | None]:
    """The challenge with which the exchange goes on, or the reply that ends it and, with 235, the account."""
    try:
        step = await exchange.respond(message)
    except MalformedExchange:
        return replies.AUTH_MALFORMED, None
    except (AuthenticationFailed, AuthorizationRefused, BindingRefused):
        return replies.AUTH_FAILED, None
    except Banned:
        return replies.BANNED, None
    except StoreError:
        return replies.AUTH_UNAVAILABLE, None
    return (step, None) if isinstance(step, bytes) else _entered(step)


def _entered(login: LoginResult) -> tuple[Reply, Account]:
    return replies.AUTH_OK, Account(login.account_id, login.address, login.grant, login.device)
