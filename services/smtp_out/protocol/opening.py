"""The dialogues that open and close a session: greeting, EHLO or HELO, STARTTLS, AUTH, RSET, QUIT.

A refusal here is about the host, not about a message: it is `Refused`, and the caller tries the next host or waits.
RFC 5321 §3.1, §3.2, §4.1.1.1; RFC 3207 §4; RFC 4954 §4.
"""

from __future__ import annotations

from services.smtp_out.protocol.capabilities import Capabilities, host_of, parse_ehlo
from services.smtp_out.protocol.flow import Flow, Refused, Step, awaiting, command
from services.smtp_out.protocol.reply import PeerViolation
from shared.sasl.client import ClientSession, choose
from shared.sasl.credentials import SaslError

_AUTH_ROUNDS = 8  # more challenges than any mechanism here has


def greet() -> Flow[str]:
    """Await the greeting; the server's own name, empty when it gives none. Raises Refused."""
    reply = yield from awaiting(Step.GREETING)
    # RFC 5321 §4.3.2: 220, or 554 "no service here"
    if reply.severity != 2:
        raise Refused(Step.GREETING, reply)
    return host_of(reply)


def hello(name: str) -> Flow[Capabilities]:
    """EHLO, or HELO where EHLO is not understood. Raises Refused."""
    reply = yield from command(Step.EHLO, b"EHLO " + name.encode("ascii"))
    if reply.severity == 2:
        return parse_ehlo(reply)
    # RFC 5321 §3.2: fall back to HELO when the server does not know EHLO
    if reply.severity != 5:
        raise Refused(Step.EHLO, reply)
    reply = yield from command(Step.HELO, b"HELO " + name.encode("ascii"))
    if reply.severity != 2:
        raise Refused(Step.HELO, reply)
    return Capabilities(host=host_of(reply))


def start_tls() -> Flow[bool]:
    """STARTTLS; whether the handshake may begin now."""
    reply = yield from command(Step.STARTTLS, b"STARTTLS")
    return reply.code == 220


def authenticate(offered: tuple[str, ...], username: str, password: str) -> Flow[None]:
    """AUTH with the best mechanism of both. Raises Refused; PeerViolation where none is offered or the exchange breaks."""
    mechanism = choose(offered)
    if mechanism is None:
        raise PeerViolation("the server offers no AUTH mechanism that we know (PLAIN, LOGIN)")
    session = ClientSession(mechanism, username, password)
    first = session.initial()
    line = b"AUTH " + mechanism.encode("ascii") + (b" " + first if first is not None else b"")
    reply = yield from command(Step.AUTH, line)
    for _ in range(_AUTH_ROUNDS):
        if reply.severity == 2:
            return
        # RFC 4954 §4: 334 carries a challenge
        if reply.code != 334:
            raise Refused(Step.AUTH, reply)
        try:
            answer = session.respond(reply.lines[0].encode("utf-8") if reply.lines else b"")
        except SaslError:
            yield from command(Step.AUTH, b"*")
            raise PeerViolation("the server's AUTH exchange does not follow its mechanism") from None
        reply = yield from command(Step.AUTH, answer)
    raise PeerViolation("the server asks for ever in AUTH")


def reset() -> Flow[bool]:
    """RSET; whether the session can be used again."""
    reply = yield from command(Step.RSET, b"RSET")
    return reply.severity == 2


def quit_session() -> Flow[None]:
    """QUIT; whatever the answer is."""
    yield from command(Step.QUIT, b"QUIT")
