"""One mail transaction: MAIL, RCPTs, DATA, content, one verdict per recipient.

Laws
- A recipient that got a reply of its own (4xx or 5xx to RCPT) keeps it, whatever happens afterwards.
- Recipients are DELIVERED only by a 2xx to the final dot, and only those whose RCPT was accepted.
- Nothing is sent as content unless at least one recipient was accepted and the server answered 354, or takes BDAT. When it answers
  354 though no recipient stands (pipelining), a lone dot ends it (RFC 2920 §3.1).
- When the connection breaks in the middle, `verdicts` still tells what is known: an accepted recipient without a final
  reply is open (None). `in_doubt` tells whether the final dot had gone out by then.
- After a refused chunk the server's state is not known (RFC 3030 §2): the transaction is not `clean`.
- Commands never hold a control character: `check_address` stands before every dialogue.

RFC 5321 §3.3, §4.1.1.2 to §4.1.1.4; RFC 2920; RFC 1870 §6; RFC 6152; RFC 6531 §3; RFC 3461 §5.2.1; RFC 3030 §2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from services.smtp_out.protocol.capabilities import Capabilities
from services.smtp_out.protocol.chunks import Chunks
from services.smtp_out.protocol.flow import Flow, Send, SendContent, Step, awaiting, command
from services.smtp_out.protocol.reply import PeerViolation, Reply
from shared.mail.xtext import ascii_orcpt
from shared.model.notify import written

MAX_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8: what every server must take at least
MAX_ADDRESS_OCTETS = 1000  # §4.5.3.1.3 says 256 for a path; local parts in UTF-8 and VERP may be longer

_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]|[\ud800-\udfff]")


class UnusableAddress(Exception):
    """An address that cannot stand in a command. The text is safe to show."""


@attrs.frozen
class Envelope:
    """What MAIL and RCPT say. `octets` is the content's size, `eight_bit` whether it has octets above 127."""

    sender: str
    recipients: tuple[str, ...]
    octets: int
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str = ""
    envelope_id: str = ""  # xtext
    rcpt_parameters: tuple[bytes, ...] = ()  # of each recipient, with the space before; or none at all
    mail_parameters: bytes = b""  # further ones of MAIL, each with the space before


@attrs.frozen
class Verdict:
    """The reply that decided over a recipient, and the step it was given at."""

    step: Step
    reply: Reply

    @property
    def delivered(self) -> bool:
        return self.step is Step.END and self.reply.severity == 2


def check_address(address: str) -> bytes:
    """The address as it stands between angle brackets. Raises UnusableAddress (control characters, brackets, length)."""
    if (
        _UNSAFE.search(_without_quoted(address))
        or len(octets := address.encode("utf-8", "replace")) > MAX_ADDRESS_OCTETS
    ):
        raise UnusableAddress("the address cannot be written in SMTP")
    return octets


def _without_quoted(address: str) -> str:
    # RFC 5321 §4.1.2: a quoted local part may hold angle brackets, but no control characters
    return re.sub(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"', "", address)


class Transaction:
    """One transaction's dialogue (`run`) and what came out of it so far."""

    def __init__(self, envelope: Envelope, capabilities: Capabilities) -> None:
        """Raises UnusableAddress. `envelope.recipients` holds 1 to MAX_RECIPIENTS."""
        if not 1 <= len(envelope.recipients) <= MAX_RECIPIENTS:
            raise ValueError("1 to 100 recipients")
        self._pipelining = capabilities.pipelining
        self._chunks = Chunks(pipelining=capabilities.pipelining) if capabilities.chunking else None
        self._mail = mail_command(envelope, capabilities)
        given = capabilities.dsn and envelope.rcpt_parameters
        parameters = given or (b"",) * len(envelope.recipients)
        self._rcpts = [
            b"RCPT TO:<" + check_address(recipient) + b">" + parameter + b"\r\n"
            for recipient, parameter in zip(envelope.recipients, parameters, strict=True)
        ]
        self.verdicts: list[Verdict | None] = [None] * len(envelope.recipients)
        self.replied = False  # any reply has come: the connection was alive
        self._dot_in_doubt = False
        self.clean = False  # the server is ready for the next MAIL without RSET

    @property
    def in_doubt(self) -> bool:
        """The end of the content is out, its reply is not in."""
        return self._dot_in_doubt or (self._chunks is not None and self._chunks.in_doubt)

    def run(self) -> Flow[None]:
        """The whole dialogue."""
        go = yield from (self._envelope_pipelined() if self._pipelining else self._envelope_by_steps())
        if not go:
            return
        open_recipients = self._open()
        if self._chunks is not None:
            step, reply = yield from self._chunks.run()
            self.clean = step is Step.END and reply.severity == 2
            self._decide(open_recipients, step, _checked(reply, step))
            return
        if not open_recipients:
            # RFC 2920 §3.1: "the client cannot abort by any other means than a lone dot"
            yield Send(b".\r\n")
            yield from awaiting(Step.END)
            self.clean = True
            return
        self._dot_in_doubt = True
        yield SendContent()
        reply = yield from awaiting(Step.END)
        self._dot_in_doubt = False
        self.clean = True
        self._decide(open_recipients, Step.END, _checked(reply, Step.END))

    def _envelope_pipelined(self) -> Flow[bool]:
        end = b"" if self._chunks is not None else b"DATA\r\n"
        yield Send(b"".join([self._mail, *self._rcpts, end]))
        mail = yield from awaiting(Step.MAIL)
        self.replied = True
        refused = mail.severity != 2
        if refused:
            self._decide(range(len(self._rcpts)), Step.MAIL, _checked(mail, Step.MAIL))
        for index in range(len(self._rcpts)):
            reply = yield from awaiting(Step.RCPT)
            if not refused:  # else it is 503, an echo of the refused MAIL
                self._take_rcpt(index, reply)
        if self._chunks is not None:
            return bool(self._open())
        data = yield from awaiting(Step.DATA)
        return self._take_data(data)

    def _envelope_by_steps(self) -> Flow[bool]:
        yield Send(self._mail)
        mail = yield from awaiting(Step.MAIL)
        self.replied = True
        if mail.severity != 2:
            self._decide(range(len(self._rcpts)), Step.MAIL, _checked(mail, Step.MAIL))
            return False
        for index, rcpt in enumerate(self._rcpts):
            yield Send(rcpt)
            reply = yield from awaiting(Step.RCPT)
            self._take_rcpt(index, reply)
        if not self._open():
            return False
        if self._chunks is not None:
            return True
        return self._take_data((yield from command(Step.DATA, b"DATA")))

    def _take_rcpt(self, index: int, reply: Reply) -> None:
        if reply.severity != 2:
            self.verdicts[index] = Verdict(Step.RCPT, _checked(reply, Step.RCPT))

    def _take_data(self, reply: Reply) -> bool:
        if reply.severity == 3:
            return True
        self._decide(self._open(), Step.DATA, _checked(reply, Step.DATA))
        return False

    def _open(self) -> list[int]:
        return [index for index, verdict in enumerate(self.verdicts) if verdict is None]

    def _decide(self, indexes: Sequence[int], step: Step, reply: Reply) -> None:
        for index in indexes:
            self.verdicts[index] = Verdict(step, reply)


def _checked(reply: Reply, step: Step) -> Reply:
    """A refusal, or at the end of data a success; any other reply has no meaning there (RFC 5321 §4.3.2)."""
    if reply.severity in (4, 5) or (step is Step.END and reply.severity == 2):
        return reply
    raise PeerViolation(f"the server answered {step.value} with {reply.code}")


def notify_parameters(notify: int, orcpt: str, *, smtputf8: bool) -> bytes:
    """What stands behind RCPT for a server with DSN (RFC 3461 §5.2.1), with a space in front; empty where nothing was asked for."""
    value = written(notify)
    parameters = f" NOTIFY={value}" if value else ""
    if orcpt:
        parameters += " ORCPT=" + (orcpt if smtputf8 else ascii_orcpt(orcpt))
    return parameters.encode()


def mail_command(envelope: Envelope, capabilities: Capabilities) -> bytes:
    """MAIL with the parameters that the server understands. Raises UnusableAddress."""
    line = b"MAIL FROM:<" + check_address(envelope.sender) + b">"
    if capabilities.size_offered:
        # RFC 1870 §6
        line += b" SIZE=%d" % envelope.octets
    if envelope.eight_bit and capabilities.eight_bit:
        # RFC 6152 §2
        line += b" BODY=8BITMIME"
    if envelope.smtputf8 and capabilities.smtputf8:
        # RFC 6531 §3.4
        line += b" SMTPUTF8"
    if capabilities.dsn:
        # RFC 3461 §5.2.1: what came is passed on, and nothing else
        line += f" RET={envelope.ret}".encode() if envelope.ret else b""
        line += f" ENVID={envelope.envelope_id}".encode() if envelope.envelope_id else b""
    return line + envelope.mail_parameters + b"\r\n"
