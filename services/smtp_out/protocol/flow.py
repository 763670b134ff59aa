"""How the client's dialogues are written: generators that say what to do next, and a shell that does it.

A dialogue yields actions and gets replies back; it never sees a socket, a clock or TLS:
    Send(data)       write these bytes (the shell may join what is sent before the next Await)
    Await(step)      wait for one reply, at most the step's time; the reply is the value of the yield
    SendContent()    write the message, dot-stuffed, and its final dot
    NextChunk()      get the message's next chunk ready; the value of the yield says whether it is the last one
    SendChunk()      write BDAT and that chunk
    reply = yield from command(step, line)   is the common pair

When the connection breaks the shell closes the generator; what had been learned is in the dialogue's own object.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from typing import TypeVar

import attrs

from services.smtp_out.protocol.reply import PeerViolation, Reply


class Step(enum.Enum):
    """What a reply is awaited for."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    TLS = "TLS handshake"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    BDAT = "BDAT"
    END = "end of data"
    RSET = "RSET"
    QUIT = "QUIT"


# RFC 5321 §4.5.3.2
TIMEOUT_SECONDS: dict[Step, float] = {
    Step.CONNECT: 30.0,  # of our own: a host that does not answer in that time is passed over, the retry comes soon
    Step.GREETING: 300.0,
    Step.EHLO: 300.0,
    Step.HELO: 300.0,
    Step.STARTTLS: 120.0,
    Step.TLS: 60.0,
    Step.AUTH: 120.0,
    Step.MAIL: 300.0,
    Step.RCPT: 300.0,
    Step.DATA: 120.0,
    Step.CONTENT: 180.0,
    Step.BDAT: 300.0,  # it is no older than DATA's block, and the server may write it to its disk first
    Step.END: 600.0,
    Step.RSET: 30.0,
    Step.QUIT: 5.0,  # courtesy: the mail is delivered already
}


@attrs.frozen
class Send:
    data: bytes = attrs.field(repr=False)  # may hold a password


@attrs.frozen
class Await:
    step: Step


@attrs.frozen
class SendContent:
    pass


@attrs.frozen
class NextChunk:
    pass


@attrs.frozen
class SendChunk:
    pass


@attrs.frozen
class ChunkReady:
    """The answer to NextChunk."""

    last: bool


Action = Send | Await | SendContent | NextChunk | SendChunk
T = TypeVar("T")
Flow = Generator[Action, Reply | ChunkReady | None, T]


class Refused(Exception):
    """The server answered a step of the session itself (not of one message) with a refusal."""

    def __init__(self, step: Step, reply: Reply) -> None:
        super().__init__(f"{step.value}: {reply}")
        self.step = step
        self.reply = reply


def awaiting(step: Step) -> Flow[Reply]:
    """One reply."""
    reply = yield Await(step)
    if not isinstance(reply, Reply):
        raise PeerViolation("no reply")  # a shell that breaks the rule above
    return reply


def command(step: Step, line: bytes) -> Flow[Reply]:
    """One command, without its CRLF, and its reply."""
    yield Send(line + b"\r\n")
    return (yield from awaiting(step))
