"""LOGIN and AUTHENTICATE, RFC 3501 §6.2.2 and §6.2.3, RFC 4616 (PLAIN), RFC 4959 (SASL-IR).

No password is taken where it could be overheard (LOGINDISABLED), and none reaches a log. RFC 5530 §3: AUTHENTICATIONFAILED,
PRIVACYREQUIRED, LIMIT, UNAVAILABLE.
"""

from services.imap.context import Context, Login, arguments_of
from services.imap.protocol.arguments import AuthenticateArguments, Command, LoginArguments
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok
from shared.errors import AuthenticationFailed
from shared.sasl.credentials import Credentials, ExchangeCancelled, MalformedExchange
from shared.sasl.server import ServerSession

_MECHANISMS = frozenset({"PLAIN"})
_FAILED = build_no("User name or password is wrong", "AUTHENTICATIONFAILED")
_TOO_OPEN = build_no("Use TLS before sending a password", "PRIVACYREQUIRED")


async def handle_login(context: Context, command: Command) -> Reply:
    if not context.may_send_password:
        return _TOO_OPEN
    arguments = arguments_of(command, LoginArguments)
    try:
        username, password = arguments.username.decode(), arguments.password.decode()
    except UnicodeDecodeError:
        context.failed_logins += 1
        return _FAILED
    return await _log_in(context, username, password)


async def handle_authenticate(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AuthenticateArguments)
    if arguments.mechanism not in _MECHANISMS:
        return build_no("Unknown authentication mechanism", "CANNOT")
    if not context.may_send_password:
        return _TOO_OPEN
    exchange = ServerSession(arguments.mechanism)
    try:
        step = exchange.start(arguments.initial)
        while not isinstance(step, Credentials):
            context.client.write(b"+ " + step + b"\r\n")
            line = await context.client.read_line()
            if line is None:
                return build_bad("Line too long")
            step = exchange.feed(line)
    except ExchangeCancelled:
        # RFC 3501 §6.2.2: "*" is answered with BAD
        return build_bad("Authentication cancelled")
    except MalformedExchange as error:
        return build_bad(str(error).capitalize())
    if step.acts_as_other:
        context.failed_logins += 1
        return build_no("Not allowed to act as another user", "AUTHORIZATIONFAILED")
    return await _log_in(context, step.authcid, step.password)


async def _log_in(context: Context, username: str, password: str) -> Reply:
    peer = context.client.peer_ip
    try:
        result = await context.store.auth.login(username, password, peer)
    except AuthenticationFailed:
        context.failed_logins += 1
        context.shared.log.info("login failed", peer=peer)
        return _FAILED
    if not context.shared.accounts.acquire(result.account_id):
        return build_no("Too many connections of this account", "LIMIT")
    context.enter(Login(result.account_id, result.address, result.grant))
    context.shared.log.info("login", peer=peer, account=result.address, tls=context.client.secure)
    # RFC 3501 §6.2.3: the capabilities may have changed; saying them here saves a round trip
    return build_ok("Logged in", "CAPABILITY " + " ".join(context.capabilities()))
