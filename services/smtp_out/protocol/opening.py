"""The dialogues that open and close a session: greeting, EHLO or HELO, STARTTLS, AUTH, RSET, QUIT.

A refusal here is about the host, not about a message: it is `Refused`, and the caller tries the next host or waits.
RFC 5321 §3.1, §3.2, §4.1.1.1; RFC 3207 §4; RFC 4954 §4.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from services.smtp_out.protocol.capabilities import Capabilities, host_of, parse_ehlo
from services.smtp_out.protocol.flow import Flow, Refused, Step, awaiting, command
from services.smtp_out.protocol.reply import PeerViolation, Reply
from shared.sasl.client import CLIENT_MECHANISMS, ClientSession, ScramTerms, ranked
from shared.sasl.credentials import SaslError
from shared.sasl.scram import SCRAM_PLUS
from shared.wire import base64

_LEAST_SECRET: Final = 4  # shorter ones are part of many words
_REPEATED: Final = "(refused; the answer repeated what we had sent)"
_AUTH_ROUNDS = 8  # more challenges than any mechanism here has
# RFC 4954 §4, §6: of an AUTH that was refused for its mechanism, not for its password
_MECHANISM_REFUSED = (504, 534)


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


def authenticate(offered: tuple[str, ...], username: str, password: str, terms: ScramTerms) -> Flow[str]:
    """AUTH with the best mechanism of both; its name. One that the server refuses as such is followed by the next.

    Raises Refused; PeerViolation where none is offered, the exchange breaks or (SCRAM) the server does not know the password.
    """
    mechanisms = ranked(offered, bound=terms.binding is not None)
    if not mechanisms:
        raise PeerViolation(
            f"the server offers no AUTH mechanism that we know ({', '.join(CLIENT_MECHANISMS)}), only: {' '.join(offered) or 'none'}"
        )
    for mechanism in mechanisms[:-1]:
        try:
            yield from _exchange(mechanism, username, password, terms)
        except Refused as refusal:
            # a server that binds in another way than we (RFC 5929 knows several) can only say that it was wrong
            if refusal.reply.code not in _MECHANISM_REFUSED and not (mechanism == SCRAM_PLUS and refusal.reply.severity == 5):
                raise
        else:
            return mechanism
    yield from _exchange(mechanisms[-1], username, password, terms)
    return mechanisms[-1]


def _exchange(mechanism: str, username: str, password: str, terms: ScramTerms) -> Flow[None]:
    session = ClientSession(mechanism, username, password, terms)
    first = session.initial()
    secrets = {password, base64.encode(password.encode("utf-8")).decode("ascii"), *_words(first)}
    line = b"AUTH " + mechanism.encode("ascii") + (b" " + first if first is not None else b"")
    reply = yield from command(Step.AUTH, line)
    for _ in range(_AUTH_ROUNDS):
        said = reply.lines[0].encode("utf-8") if reply.lines else b""
        if reply.severity == 2:
            try:
                session.succeeded(said)
            except SaslError as error:
                raise PeerViolation(f"AUTH {mechanism}: {error}") from None
            return
        # RFC 4954 §4: 334 carries a challenge
        if reply.code != 334:
            raise Refused(Step.AUTH, _without(reply, secrets))
        try:
            answer = session.respond(said)
        except SaslError as error:
            yield from command(Step.AUTH, b"*")
            raise PeerViolation(f"AUTH {mechanism}: {error}") from None
        secrets.update(_words(answer))
        reply = yield from command(Step.AUTH, answer)
    raise PeerViolation("the server asks for ever in AUTH")


def reset() -> Flow[bool]:
    """RSET; whether the session can be used again."""
    reply = yield from command(Step.RSET, b"RSET")
    return reply.severity == 2


def quit_session() -> Flow[None]:
    """QUIT; whatever the answer is."""
    yield from command(Step.QUIT, b"QUIT")


def _words(octets: bytes | None) -> tuple[str, ...]:
    return (octets.decode("ascii"),) if octets else ()


def _without(reply: Reply, secrets: Collection[str]) -> Reply:
    """A refusal is logged and shown: a server that repeats the command in it must not put the password there."""
    repeats = any(secret in line for secret in secrets if len(secret) >= _LEAST_SECRET for line in reply.lines)
    return Reply(reply.code, (_REPEATED,)) if repeats else reply
