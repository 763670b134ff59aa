"""SCRAM in the core: RFC 7677's example over POP3, what is offered, every end of an exchange, any split."""

import base64
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pop3.protocol import replies
from services.pop3.protocol.connection import Policy, Pop3Connection
from services.pop3.protocol.drop import Drop
from services.pop3.protocol.events import Event, Goodbye, Login, Reply, Scram, StartTls
from services.pop3.protocol.state import State
from shared.errors import AuthenticationFailed
from shared.sasl.credentials import MAX_RESPONSE_OCTETS, MalformedExchange
from shared.sasl.scram import BindingRefused
from shared.testing.scram_judge import CLIENT_FINAL, CLIENT_FIRST, SERVER_FINAL, SERVER_FIRST, WRONG_FINAL, ScramJudge
from shared.testing.splits import splits_of

OPEN = Policy(plaintext_login=True, max_login_failures=3)
AUTH = b"AUTH SCRAM-SHA-256"
DROP = b"+OK maildrop has 1 messages (120 octets)\r\n"


def lines(*texts: bytes) -> bytes:
    return b"".join(text + b"\r\n" for text in texts)


class Server:
    """Plays the session; logs in by SCRAM only."""

    def __init__(self, policy: Policy = OPEN, *, binding_after_tls: bool = False) -> None:
        self.connection = Pop3Connection(policy, "h.test")
        self.judge = ScramJudge()
        self.binding_after_tls = binding_after_tls
        self.closed = False

    def feed(self, *pieces: bytes) -> bytes:
        sent = b""
        for piece in pieces:
            self.connection.receive_data(piece)
            while (event := self.connection.next_event()) is not None:
                if isinstance(event, Scram):
                    assert self.connection.next_event() is None  # what comes behind it waits
                    event = self.respond(event)
                elif isinstance(event, Login):
                    event = self.connection.login_failed()
                assert isinstance(event, (Reply, Goodbye, StartTls))
                sent += event.data
                self.closed |= isinstance(event, Goodbye)
                if isinstance(event, StartTls):
                    self.connection.tls_started(binding=self.binding_after_tls)
        return sent

    def respond(self, event: Scram) -> Event:
        try:
            step = self.judge.respond(event.message)
        except MalformedExchange:
            return self.connection.login_malformed()
        except (AuthenticationFailed, BindingRefused):
            return self.connection.login_failed()
        if step is not None:
            return self.connection.challenge(step)
        return self.connection.login_succeeded(Drop(array("I", [1]), array("I", [120]), array("I", [10]), ["u1"]))


WHOLE = lines(b"CAPA", AUTH + b" " + CLIENT_FIRST, CLIENT_FINAL, b"", b"STAT")


@pytest.mark.parametrize("initial", [True, False])
def test_rfc7677_example(initial: bool) -> None:
    # RFC 7677 §3, RFC 5034 §4
    server = Server()
    asked = b"" if initial else b"+ \r\n"
    begin = lines(AUTH + b" " + CLIENT_FIRST) if initial else lines(AUTH, CLIENT_FIRST)
    assert server.feed(begin) == asked + lines(b"+ " + SERVER_FIRST)
    assert server.feed(lines(CLIENT_FINAL)) == lines(b"+ " + SERVER_FINAL)
    assert server.connection.state is State.EXCHANGE
    assert server.feed(lines(b"", b"STAT")) == DROP + b"+OK 1 120\r\n"
    assert server.connection.state is State.TRANSACTION


def test_the_same_dialogue_in_every_split() -> None:
    expected = Server().feed(WHOLE)
    assert expected.endswith(DROP + b"+OK 1 120\r\n")
    for pieces in splits_of(WHOLE):
        assert Server().feed(*pieces) == expected


TOO_LONG = b"A" * 5000
# RFC 5034 §4, RFC 3206 §5: how an exchange ends.
ENDS: dict[str, tuple[list[bytes], bytes]] = {
    "wrong proof": ([CLIENT_FIRST, WRONG_FINAL], replies.AUTH_FAILED),
    "cancelled at once": ([b"*"], replies.AUTH_CANCELLED),
    "cancelled after the challenge": ([CLIENT_FIRST, b"*"], replies.AUTH_CANCELLED),
    "our signature is not believed": ([CLIENT_FIRST, CLIENT_FINAL, b"*"], replies.AUTH_CANCELLED),
    "no base64": ([b"???"], replies.AUTH_MALFORMED),
    "nothing": ([b""], replies.AUTH_MALFORMED),
    "no first message": ([base64.b64encode(b"n,,hello")], replies.AUTH_MALFORMED),
    "no final message": ([CLIENT_FIRST, b"STAT"], replies.AUTH_MALFORMED),
    "too long": ([CLIENT_FIRST, TOO_LONG], replies.AUTH_MALFORMED),
    "bound, but by the mechanism without": ([base64.b64encode(b"p=tls-exporter,,n=user,r=abc")], replies.AUTH_MALFORMED),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_of_an_exchange(name: str) -> None:
    sent, end = ENDS[name]
    data = lines(AUTH, *sent, b"NOOP")
    server = Server()
    answer = server.feed(data)
    assert answer.endswith(end + replies.NOT_LOGGED_IN)
    assert server.connection.state is State.AUTHORIZATION
    assert server.feed(b"USER " + b"x" * 249 + b"\r\n") == replies.LINE_TOO_LONG
    assert server.feed(lines(AUTH + b" " + CLIENT_FIRST, CLIENT_FINAL, b"")).endswith(DROP)
    for pieces in splits_of(data):
        assert Server().feed(*pieces) == answer


def test_messages_say_which_exchange_they_belong_to() -> None:
    server = Server()
    server.feed(lines(AUTH, CLIENT_FIRST, b"*", AUTH + b" " + CLIENT_FIRST, CLIENT_FINAL, b"*"))
    assert [message.first for message in server.judge.messages] == [True, True, False]
    assert repr(base64.b64decode(CLIENT_FINAL)) not in repr(server.judge.messages)


def offered(server: Server) -> bytes:
    named = server.feed(b"AUTH\r\n").removeprefix(replies.MECHANISMS_FOLLOW).removesuffix(replies.END).split()
    announced = [line[5:].split() for line in server.feed(b"CAPA\r\n").split(b"\r\n") if line.startswith(b"SASL ")]
    assert announced == ([named] if named else [])
    return b" ".join(named)


def test_what_is_offered_is_what_works() -> None:
    # RFC 5802 §6: -PLUS only where the channel can be bound
    assert offered(Server(Policy(tls_active=True, binding=True))) == b"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"
    assert offered(Server(Policy(tls_active=True))) == b"SCRAM-SHA-256 PLAIN"
    assert offered(Server()) == b"SCRAM-SHA-256 PLAIN"
    assert offered(Server(Policy())) == b""
    for binding in (True, False):
        server = Server(Policy(), binding_after_tls=binding)
        server.feed(b"STLS\r\n")
        assert (b"-PLUS" in offered(server)) is binding
        assert server.feed(AUTH + b"-PLUS\r\n") == (b"+ \r\n" if binding else replies.UNKNOWN_MECHANISM)
    assert Server(Policy()).feed(AUTH + b"\r\n") == replies.TLS_FIRST


def test_wrong_proofs_count_as_wrong_passwords_do() -> None:
    server = Server()
    attempt = lines(AUTH + b" " + CLIENT_FIRST, WRONG_FINAL)
    assert server.feed(attempt * 2).endswith(replies.AUTH_FAILED)
    assert server.feed(b"USER user\r\nPASS wrong\r\nCAPA\r\n") == replies.USER_OK + replies.AUTH_FAILED_CLOSING
    assert server.closed


def test_malformed_and_cancelled_exchanges_count_as_errors() -> None:
    for last in (b"*", b"QUFB"):
        server = Server(Policy(plaintext_login=True, max_errors=4))
        answer = server.feed(lines(AUTH + b" " + CLIENT_FIRST, last) * 5)
        assert answer.count(b"+ ") == 4
        assert answer.endswith(replies.TOO_MANY_ERRORS)
        assert server.closed


def test_the_longest_message_passes() -> None:
    longest = base64.b64encode(b"A" * MAX_RESPONSE_OCTETS)
    server = Server()
    assert server.feed(lines(AUTH, longest)).endswith(replies.AUTH_MALFORMED)
    assert len(server.judge.messages) == 1


def test_a_store_that_is_away_is_no_failed_login() -> None:
    connection = Pop3Connection(OPEN, "h")
    for _ in range(5):
        connection.receive_data(lines(AUTH + b" " + CLIENT_FIRST))
        assert isinstance(connection.next_event(), Scram)
        refused = connection.login_refused(replies.UNAVAILABLE)
        assert isinstance(refused, Reply)
        assert refused.data == replies.UNAVAILABLE


def test_who_is_banned_is_told_so_and_the_connection_ends() -> None:
    connection = Pop3Connection(OPEN, "h")
    connection.receive_data(lines(AUTH + b" " + CLIENT_FIRST))
    assert isinstance(connection.next_event(), Scram)
    goodbye = connection.login_banned()
    assert isinstance(goodbye, Goodbye)
    assert (goodbye.data, goodbye.why) == (replies.BANNED, "banned")
    connection.receive_data(b"QUIT\r\n")
    assert connection.next_event() is None


def test_misuse_by_the_session_is_told() -> None:
    connection = Pop3Connection(OPEN, "h")
    with pytest.raises(RuntimeError):
        connection.challenge(b"x")
    connection.receive_data(lines(AUTH))
    assert isinstance(connection.next_event(), Reply)
    with pytest.raises(RuntimeError):
        connection.challenge(b"x")


WORDS = st.sampled_from(
    [
        *[AUTH + b"\r\n", lines(AUTH + b" " + CLIENT_FIRST), lines(CLIENT_FIRST), lines(CLIENT_FINAL), b"\r\n", b"*\r\n"],
        *[lines(WRONG_FINAL), b"AUTH PLAIN\r\n", b"STAT\r\n", b"USER a\r\n", b"PASS b\r\n", b"x" * 200, b"\n", b"\xff\r\n"],
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS | st.binary(max_size=20), max_size=25), st.integers(0, 2**32))
def test_arbitrary_lines_split_the_same(words: list[bytes], seed: int) -> None:
    data = b"".join(words)
    whole = Server()
    expected = whole.feed(data)
    for pieces in splits_of(data, seed=seed):
        assert Server().feed(*pieces) == expected
    if whole.connection.state is State.TRANSACTION:
        assert CLIENT_FINAL in data
