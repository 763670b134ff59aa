"""LOGIN and AUTHENTICATE, RFC 3501 §6.2.2 and §6.2.3, RFC 4616 (PLAIN), RFC 7677 (SCRAM-SHA-256), RFC 4959 (SASL-IR).

No password is taken where it could be overheard (LOGINDISABLED), and none reaches a log. SCRAM is offered in the same places only: it hides
the password, but who listens could try passwords on what it heard, and would read the mail anyway. RFC 5530 §3: AUTHENTICATIONFAILED,
AUTHORIZATIONFAILED, PRIVACYREQUIRED, LIMIT, UNAVAILABLE.
"""

from services.imap.context import CommandFailed, Context, Login, arguments_of
from services.imap.protocol.arguments import AuthenticateArguments, Command, LoginArguments
from services.imap.protocol.capability import mechanisms
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok, reply_for_error
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed, Banned
from shared.sasl.credentials import ExchangeCancelled, MalformedExchange
from shared.sasl.plain import PlainServer
from shared.sasl.scram import BindingRefused
from shared.sasl.scram_exchange import AuthorizationRefused, run_scram
from shared.sasl.server import decode_initial, decode_response
from shared.wire import base64

_FAILED = build_no("User name or password is wrong", "AUTHENTICATIONFAILED")
_NOT_AS_OTHER = build_no("Not allowed to act as another user", "AUTHORIZATIONFAILED")
_TOO_OPEN = build_no("Use TLS before sending a password", "PRIVACYREQUIRED")


async def handle_login(context: Context, command: Command) -> Reply:
    if not context.may_send_password:
        return _TOO_OPEN
    arguments = arguments_of(command, LoginArguments)
    try:
        username, password = arguments.username.decode(), arguments.password.decode()
    except UnicodeDecodeError:
        return _refuse(context, _FAILED)
    try:
        return _enter(context, await context.store.auth.login(username, password, context.client.peer_ip), "LOGIN")
    except AuthenticationFailed:
        return _refuse(context, _FAILED)
    except Banned as error:
        return _end(context, error)


async def handle_authenticate(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AuthenticateArguments)
    mechanism = arguments.mechanism
    if mechanism not in mechanisms(binding=bool(context.client.bindings)):
        return build_no("Unknown authentication mechanism", "CANNOT")
    if not context.may_send_password:
        return _TOO_OPEN
    try:
        initial = None if arguments.initial is None else decode_initial(arguments.initial)
        if mechanism == "PLAIN":
            result = await _plain(context, initial)
        else:
            client = context.client

            async def ask(challenge: bytes) -> bytes:
                return await _ask(context, challenge)

            result = await run_scram(context.store.auth, mechanism, client.bindings, initial, ask, client.peer_ip)
        return _enter(context, result, mechanism)
    except ExchangeCancelled:
        # RFC 3501 §6.2.2: "*" is answered with BAD
        return build_bad("Authentication cancelled")
    except MalformedExchange as error:
        return build_bad(str(error).capitalize())
    except AuthorizationRefused:
        return _refuse(context, _NOT_AS_OTHER)
    except (AuthenticationFailed, BindingRefused):
        return _refuse(context, _FAILED)
    except Banned as error:
        return _end(context, error)


async def _plain(context: Context, initial: bytes | None) -> LoginResult:
    exchange = PlainServer()
    given = exchange.respond(initial if initial is not None else await _ask(context, b""))
    if given.acts_as_other:
        raise AuthorizationRefused
    return await context.store.auth.login(given.authcid, given.password, context.client.peer_ip)


async def _ask(context: Context, challenge: bytes) -> bytes:
    """Send a challenge; the response, decoded. Raises ExchangeCancelled, MalformedExchange, CommandFailed."""
    context.client.write(b"+ " + base64.encode(challenge) + b"\r\n")
    line = await context.client.read_line()
    if line is None:
        raise CommandFailed(build_bad("Line too long"))
    return decode_response(line)


def _refuse(context: Context, reply: Reply) -> Reply:
    context.failed_logins += 1
    context.shared.log.info("login failed", peer=context.client.peer_ip)
    return reply


def _end(context: Context, error: Banned) -> Reply:
    """No login is heard for a time. UNAVAILABLE: a client comes again later and does not ask its user for another password."""
    context.banned = True
    return reply_for_error(error)


def _enter(context: Context, result: LoginResult, how: str) -> Reply:
    if not context.shared.accounts.acquire(result.account_id):
        return build_no("Too many connections of this account", "LIMIT")
    context.enter(Login(result.account_id, result.address, result.grant))
    client = context.client
    device = result.device.name if result.device else None
    context.shared.log.info("login", peer=client.peer_ip, account=result.address, device=device, how=how, tls=client.secure)
    # RFC 3501 §6.2.3: the capabilities may have changed; saying them here saves a round trip
    return build_ok("Logged in", "CAPABILITY " + " ".join(context.capabilities()))
