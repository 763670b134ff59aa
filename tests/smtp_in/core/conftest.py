"""A driver for the sans-IO connection: bytes in, whole transcript out, with the answers that a session would give."""

from collections.abc import Callable, Iterable

import pytest
from attrs import define, field

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.events import (
    AuthRequested,
    ContentAbandoned,
    ContentDropped,
    ContentEnded,
    ContentPiece,
    ContentStarted,
    Event,
    MailRequested,
    Profile,
    RcptRequested,
    ScramRequested,
    StartTls,
    XClientRequested,
)
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.xclient import XClient
from shared.errors import AuthenticationFailed
from shared.sasl.credentials import ClientMessage, MalformedExchange
from shared.sasl.scram import BindingRefused
from shared.testing.scram_judge import ScramJudge

Answer = Callable[[Event], Reply]


def usual_answer(event: Event) -> Reply:
    """unknown@ is unknown, elsewhere.test is not ours, the password is `secret`, all content is taken."""
    match event:
        case MailRequested():
            return replies.SENDER_OK
        case RcptRequested(rcpt) if rcpt.recipient.local_part == "unknown":
            return replies.USER_UNKNOWN
        case RcptRequested(rcpt) if rcpt.recipient.domain == "elsewhere.test":
            return replies.RELAY_DENIED
        case RcptRequested():
            return replies.RECIPIENT_OK
        case AuthRequested(credentials) if credentials.password == "secret":
            return replies.AUTH_OK
        case AuthRequested():
            return replies.AUTH_FAILED
        case ContentEnded():
            return replies.queued("t")
        case ScramRequested():
            return replies.AUTH_OK
        case XClientRequested(XClient(ip=None)):
            return replies.XCLIENT_NEEDS_ADDRESS
        case XClientRequested():
            return replies.greeting("mx.example.test")
    raise AssertionError(event)


@define
class Outcome:
    """What one connection came to."""

    connection: Connection
    output: bytes = b""
    writes: list[bytes] = field(factory=list)
    messages: list[bytes] = field(factory=list)
    dropped: list[Reply] = field(factory=list)
    senders: list[str | None] = field(factory=list)
    recipients: list[str] = field(factory=list)
    announced: list[XClient] = field(factory=list)
    plaintext_dropped: int = 0
    abandoned: int = 0

    @property
    def codes(self) -> list[str]:
        """Code and enhanced code of each reply; inner lines of multi-line replies left out."""
        lines = self.output.decode().split("\r\n")
        found = []
        for line in lines:
            if len(line) > 3 and line[3] == " ":
                words = line.split()
                enhanced = len(words) > 1 and words[1].count(".") == 2 and words[1].replace(".", "").isdigit()
                found.append(f"{words[0]} {words[1]}" if enhanced else words[0])
        return found

    @property
    def facts(self) -> tuple[object, ...]:
        """What must not depend on how the input was split."""
        return (
            self.output,
            self.messages,
            self.dropped,
            self.abandoned,
            self.senders,
            self.recipients,
            self.announced,
            self.connection.closed,
            self.connection.state,
            self.connection.close_reason,
        )


class Driver:
    """Feeds pieces and does what a session does."""

    def __init__(
        self, profile: Profile, limits: Limits, *, tls: bool = False, binding: bool = False, answer: Answer = usual_answer
    ) -> None:
        self.outcome = Outcome(Connection(profile, limits, tls=tls, binding=tls and binding))
        self.binding = binding
        self.answer = answer
        self.judge = ScramJudge()
        self._content = b""

    def run(self, pieces: Iterable[bytes], *, greet: bool = True) -> Outcome:
        connection = self.outcome.connection
        if greet:
            connection.greet()
            self._flush()
        for piece in pieces:
            if connection.closed:
                break
            connection.feed(piece)
            self._pump()
        return self.outcome

    def _flush(self) -> None:
        data = self.outcome.connection.take_output()
        if data:
            self.outcome.writes.append(data)
            self.outcome.output += data

    def _pump(self) -> None:
        outcome, connection = self.outcome, self.outcome.connection
        while True:
            event = connection.next_event()
            match event:
                case None:
                    self._flush()
                    return
                case ContentStarted():
                    self._content = b""
                case ContentPiece(data):
                    self._content += data
                case ContentDropped(reply, _):
                    outcome.dropped.append(reply)
                case ContentAbandoned():
                    outcome.abandoned += 1
                    self._content = b""
                case StartTls():
                    self._flush()
                    outcome.plaintext_dropped += connection.tls_started()
                    connection.binding = self.binding
                case ScramRequested(message):
                    self._judge(event, message)
                case _:
                    self._note(event)
                    connection.answer(self.answer(event))

    def _judge(self, event: Event, message: ClientMessage) -> None:
        """As a session does with the store."""
        connection = self.outcome.connection
        try:
            step = self.judge.respond(message)
        except MalformedExchange:
            connection.answer(replies.AUTH_MALFORMED)
        except (AuthenticationFailed, BindingRefused):
            connection.answer(replies.AUTH_FAILED)
        else:
            if step is None:
                connection.answer(self.answer(event))
            else:
                connection.challenge(step)

    def _note(self, event: Event) -> None:
        match event:
            case MailRequested(mail):
                self.outcome.senders.append(mail.sender.address if mail.sender else None)
            case RcptRequested(rcpt):
                self.outcome.recipients.append(rcpt.recipient.address)
            case XClientRequested(xclient):
                self.outcome.announced.append(xclient)
            case ContentEnded():
                self.outcome.messages.append(self._content)


RELAY = Profile("mx.example.test", submission=False)
SUBMISSION = Profile("mx.example.test", submission=True)
SUBMISSIONS = Profile("mx.example.test", submission=True, starttls=False)
TRUSTED = Profile("mx.example.test", submission=True, plaintext_auth=True)
FRONT = Profile("mx.example.test", submission=False, xclient=True)
LMTP = Profile("mx.example.test", submission=False, starttls=False, lmtp=True)
PROFILES = {"relay": RELAY, "submission": SUBMISSION, "submissions": SUBMISSIONS, "trusted": TRUSTED, "front": FRONT, "lmtp": LMTP}


@pytest.fixture(scope="session")
def drive() -> Callable[..., Outcome]:
    """`drive(pieces or bytes, port="relay", limits=..., answer=...)`: the outcome of a connection on that kind of port."""

    def run(
        data: bytes | Iterable[bytes],
        port: str = "relay",
        *,
        limits: Limits | None = None,
        binding: bool = False,
        answer: Answer = usual_answer,
    ) -> Outcome:
        pieces = [data] if isinstance(data, bytes) else data
        driver = Driver(
            PROFILES[port], limits or Limits(), tls=port == "submissions", binding=binding, answer=answer
        )
        return driver.run(pieces)

    return run
