"""The whole core: the RFCs' examples, every cell of the table, every split, any octets."""

import base64
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pop3.protocol import replies
from services.pop3.protocol.commands import ARGUMENTS, Arguments, Verb
from services.pop3.protocol.connection import Policy, Pop3Connection
from services.pop3.protocol.drop import Drop
from services.pop3.protocol.events import Goodbye, List, Login, Reply, Retrieve, StartTls, Top, Update
from services.pop3.protocol.state import COMMAND_STATES, TABLE, State
from shared.testing.splits import splits_of

SIZES = (120, 200)
PASSWORD = "tanstaaf"
OPEN = Policy(plaintext_login=True, max_errors=1000)


def make_drop(*sizes: int) -> Drop:
    count = len(sizes)
    uids = array("I", range(101, 101 + count))
    unique_ids = ["whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7", *(f"u{n}" for n in range(3, count + 1))]
    return Drop(uids, array("I", sizes), array("I", [10] * count), unique_ids[:count])


class Server:
    """Plays the session: gives simple answers, writes down what leaves."""

    def __init__(self, policy: Policy = OPEN, drop: Drop | None = None) -> None:
        self.connection = Pop3Connection(policy, "dewey.test")
        self.maildrop = drop or make_drop(*SIZES)
        self.sent = self.connection.greeting().data
        self.logins: list[tuple[str, str]] = []
        self.removed: list[int] | None = None
        self.removal_works = True
        self.closed = False
        self.discarded = 0

    def feed(self, *pieces: bytes) -> bytes:
        """What the server answers to these octets."""
        before = len(self.sent)
        for piece in pieces:
            self.connection.receive_data(piece)
            while (event := self.connection.next_event()) is not None:
                self.handle(event)
        return self.sent[before:]

    def handle(self, event: object) -> None:
        match event:
            case Reply(data):
                self.sent += data
            case Goodbye(data, _):
                self.sent += data
                self.closed = True
            case List(listing):
                self.sent += b"".join(self.maildrop.render(listing))
            case Retrieve(number):
                self.sent += b"<message %d>\r\n" % number
            case Top(number, lines):
                self.sent += b"<top %d %d>\r\n" % (number, lines)
            case Login(who):
                self.logins.append((who.authcid, who.password))
                right = who.password == PASSWORD
                self.handle(self.connection.login_succeeded(self.maildrop) if right else self.connection.login_failed())
            case Update(uids):
                self.removed = list(uids) or None
                self.handle(self.connection.update_done(self.removal_works))
            case StartTls(data, discarded):
                self.sent += data
                self.discarded += discarded
                self.connection.tls_started()
            case _:
                raise AssertionError(event)

    def log_in(self) -> "Server":
        self.feed(b"USER mrose\r\nPASS tanstaaf\r\n")
        assert self.connection.state is State.TRANSACTION
        return self


def statuses(data: bytes) -> list[bytes]:
    return [line.split()[0] for line in data.splitlines()]


# --- RFC 1939


def test_the_session_of_section_10() -> None:
    server = Server()
    assert server.sent.startswith(b"+OK ")
    assert b"<" not in server.sent  # no timestamp, no APOP
    assert server.feed(b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n").startswith(b"-ERR ")
    assert server.feed(b"USER mrose\r\n").startswith(b"+OK")
    assert server.feed(b"PASS tanstaaf\r\n") == b"+OK maildrop has 2 messages (320 octets)\r\n"
    assert server.feed(b"STAT\r\n") == b"+OK 2 320\r\n"
    assert server.feed(b"LIST\r\n") == b"+OK listing follows\r\n1 120\r\n2 200\r\n.\r\n"
    assert server.feed(b"RETR 1\r\n") == b"<message 1>\r\n"
    assert server.feed(b"DELE 1\r\n") == b"+OK message 1 deleted\r\n"
    assert server.feed(b"RETR 2\r\n") == b"<message 2>\r\n"
    assert server.feed(b"DELE 2\r\n") == b"+OK message 2 deleted\r\n"
    assert server.feed(b"QUIT\r\n") == b"+OK signing off (0 messages left)\r\n"
    assert server.removed == [101, 102]
    assert server.closed


def test_the_examples_of_section_5_and_7() -> None:
    server = Server().log_in()
    assert server.feed(b"LIST 2\r\n") == b"+OK 2 200\r\n"
    assert server.feed(b"LIST 3\r\n") == b"-ERR no such message, only 2 messages in maildrop\r\n"
    assert server.feed(b"DELE 2\r\n") == b"+OK message 2 deleted\r\n"
    assert server.feed(b"DELE 2\r\n") == b"-ERR message 2 already deleted\r\n"
    for command in (b"RETR 2", b"LIST 2", b"UIDL 2", b"TOP 2 0"):
        assert server.feed(command + b"\r\n").startswith(b"-ERR ")
    assert server.feed(b"STAT\r\n") == b"+OK 1 120\r\n"
    assert server.feed(b"NOOP\r\n") == b"+OK\r\n"
    assert server.feed(b"RSET\r\n") == b"+OK maildrop has 2 messages (320 octets)\r\n"
    assert server.feed(b"TOP 1 10\r\n") == b"<top 1 10>\r\n"
    assert server.feed(b"TOP 100 3\r\n").startswith(b"-ERR no such message")
    assert server.feed(b"UIDL\r\n") == (
        b"+OK listing follows\r\n1 whqtswO00WBw418f9t5JxYwZ\r\n2 QhdPYR:00WBw1Ph7x7\r\n.\r\n"
    )
    assert server.feed(b"UIDL 2\r\n") == b"+OK 2 QhdPYR:00WBw1Ph7x7\r\n"
    assert server.feed(b"UIDL 3\r\n") == b"-ERR no such message, only 2 messages in maildrop\r\n"
    assert server.feed(b"QUIT\r\n") == b"+OK signing off (2 messages left)\r\n"
    assert server.removed is None


def test_user_and_pass() -> None:
    server = Server(Policy(plaintext_login=True, max_login_failures=10))
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST
    assert server.feed(b"USER nobody\r\n") == server.feed(b"USER mrose\r\n") == replies.USER_OK
    assert server.feed(b"PASS wrong\r\n") == replies.AUTH_FAILED
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST
    server.feed(b"USER mrose\r\nCAPA\r\n")
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST  # not immediately after USER
    server.feed(b"USER mrose\r\nnonsense\r\n")
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST
    assert server.feed(b"USER mrose\r\nPASS tanstaaf\r\n").endswith(b"(320 octets)\r\n")
    assert server.logins == [("mrose", "wrong"), ("mrose", "tanstaaf")]


def test_failed_logins_end_the_connection() -> None:
    server = Server(Policy(plaintext_login=True, max_login_failures=3))
    for _ in range(2):
        assert server.feed(b"USER mrose\r\nPASS wrong\r\n").endswith(replies.AUTH_FAILED)
    assert server.feed(b"AUTH PLAIN AGEAYg==\r\nCAPA\r\n") == replies.AUTH_FAILED_CLOSING
    assert server.closed
    assert server.feed(b"CAPA\r\n") == b""


def test_quit_before_login_updates_nothing() -> None:
    server = Server()
    assert server.feed(b"QUIT\r\n") == b"+OK signing off\r\n"
    assert server.removed is None
    assert server.connection.state is State.CLOSED


def test_removal_that_fails_is_told() -> None:
    server = Server().log_in()
    server.removal_works = False
    assert server.feed(b"DELE 1\r\nQUIT\r\n") == b"+OK message 1 deleted\r\n" + replies.NOT_REMOVED


def test_nothing_after_quit_is_read() -> None:
    server = Server().log_in()
    assert server.feed(b"QUIT\r\nDELE 1\r\nSTAT\r\n").count(b"\r\n") == 1


# --- RFC 2449


def capabilities(server: Server) -> set[bytes]:
    lines = server.feed(b"CAPA\r\n").splitlines()
    assert lines[0].startswith(b"+OK")
    assert lines[-1] == b"."
    return set(lines[1:-1])


ALWAYS = {
    b"TOP",
    b"UIDL",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",
    b"PIPELINING",
    b"UTF8 USER", b"LANG",
    b"IMPLEMENTATION Pillarbox",
}
# RFC 2449 §6.7
BEFORE, AFTER = ALWAYS | {b"EXPIRE 1 USER"}, ALWAYS | {b"EXPIRE NEVER"}


def test_capabilities_by_state_and_protection() -> None:
    server = Server(Policy())
    assert capabilities(server) == BEFORE | {b"STLS"}
    server.feed(b"STLS\r\n")
    login = {b"USER", b"SASL SCRAM-SHA-256 PLAIN"}
    assert capabilities(server) == BEFORE | login
    server.log_in()
    assert capabilities(server) == AFTER | login
    assert capabilities(Server()) == BEFORE | login | {b"STLS"}
    assert capabilities(Server().log_in()) == AFTER | login
    assert capabilities(Server(Policy(tls_available=False))) == BEFORE


def test_how_soon_messages_go_is_announced() -> None:
    connection = Pop3Connection(Policy(plaintext_login=True), "mail.example")
    connection.receive_data(b"USER u\r\nPASS p\r\n")
    assert isinstance(connection.next_event(), Reply)
    assert isinstance(connection.next_event(), Login)
    connection.login_succeeded(make_drop(), 14)
    connection.receive_data(b"CAPA\r\n")
    answer = connection.next_event()
    assert isinstance(answer, Reply)
    assert b"\r\nEXPIRE 14\r\n" in answer.data


def test_a_command_has_255_octets_at_most() -> None:
    server = Server()
    longest = b"USER " + b"x" * 248 + b"\r\n"
    assert len(longest) == 255
    assert server.feed(longest) == replies.USER_OK
    assert server.feed(b"USER " + b"x" * 249 + b"\r\n") == replies.LINE_TOO_LONG
    assert server.feed(b"y" * 100_000) == replies.LINE_TOO_LONG
    assert server.feed(b"yyy\r\nCAPA\r\n").startswith(replies.CAPABILITIES_FOLLOW)


def test_no_reply_is_longer_than_512_octets() -> None:
    texts = [value for value in vars(replies).values() if isinstance(value, bytes)]
    texts += [replies.greeting("h" * 253), replies.no_such_message(2**32), replies.maildrop(2**32, 2**63)]
    for reply in texts:
        assert len(reply) <= 512
        assert reply.endswith(b"\r\n")
        assert reply.count(b"\r\n") == 1
        status, _, text = reply.partition(b" ")
        assert status.strip() in {b"+OK", b"-ERR", b"."}
        if text.startswith(b"["):
            assert text[1:].split(b"]")[0] in {b"AUTH", b"IN-USE", b"SYS/TEMP", b"SYS/PERM"}


def test_pipelined_commands_are_answered_in_order() -> None:
    server = Server()
    answer = server.feed(b"USER mrose\r\nPASS tanstaaf\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nRETR 1\r\nLIST\r\nQUIT\r\n")
    assert answer == (
        b"+OK send PASS\r\n+OK maildrop has 2 messages (320 octets)\r\n+OK 2 320\r\n<message 1>\r\n"
        b"+OK message 1 deleted\r\n-ERR message 1 already deleted\r\n+OK listing follows\r\n2 200\r\n.\r\n"
        b"+OK signing off (1 messages left)\r\n"
    )


def test_too_many_errors_end_the_connection() -> None:
    server = Server(Policy(plaintext_login=True, max_errors=3))
    assert server.feed(b"FOO\r\nRETR 1\r\nBAR\r\nCAPA\r\n").splitlines()[-1] == replies.TOO_MANY_ERRORS.strip()
    assert server.closed


def test_messages_that_are_not_there_are_no_errors_of_that_kind() -> None:
    server = Server(Policy(plaintext_login=True, max_errors=3)).log_in()
    server.feed(b"RETR 9\r\n" * 100)
    assert not server.closed


# --- RFC 2595 §4


def test_stls_forgets_what_came_before_and_drops_what_came_behind() -> None:
    server = Server(OPEN)
    answer = server.feed(b"USER mrose\r\nSTLS\r\nUSER injected\r\nPASS injected\r\n")
    assert answer == replies.USER_OK + replies.TLS_BEGIN
    assert server.discarded == len(b"USER injected\r\nPASS injected\r\n")
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST
    assert server.logins == []
    assert server.feed(b"STLS\r\n") == replies.TLS_ALREADY


def test_half_a_line_behind_stls_does_not_survive_either() -> None:
    server = Server(Policy())
    server.feed(b"STLS\r\nDEL")
    assert server.feed(b"CAPA\r\n").startswith(replies.CAPABILITIES_FOLLOW)


def test_stls_where_it_cannot_be() -> None:
    assert Server().log_in().feed(b"STLS\r\n") == replies.ALREADY_LOGGED_IN
    assert Server(Policy(tls_available=False)).feed(b"STLS\r\n") == replies.NO_TLS
    assert Server(Policy(tls_active=True)).feed(b"STLS\r\n") == replies.TLS_ALREADY


@pytest.mark.parametrize("attempt", [b"USER mrose", b"AUTH PLAIN AG1yb3NlAHRhbnN0YWFm", b"AUTH PLAIN"])
def test_no_password_without_tls(attempt: bytes) -> None:
    server = Server(Policy())
    assert server.feed(attempt + b"\r\n") == replies.TLS_FIRST
    assert server.feed(b"PASS tanstaaf\r\n") == replies.USER_FIRST
    assert server.feed(b"AUTH\r\n") == replies.MECHANISMS_FOLLOW + replies.END
    assert server.logins == []


# --- RFC 5034


def plain(authzid: str = "", authcid: str = "mrose", password: str = PASSWORD) -> bytes:
    return base64.b64encode(f"{authzid}\0{authcid}\0{password}".encode())


def test_plain_with_and_without_initial_response() -> None:
    server = Server()
    assert server.feed(b"AUTH PLAIN " + plain() + b"\r\n").startswith(b"+OK")
    server = Server()
    assert server.feed(b"auth plain\r\n") == b"+ \r\n"
    assert server.feed(plain() + b"\r\n").startswith(b"+OK")
    assert server.logins == [("mrose", PASSWORD)]


def test_the_exchange_can_be_cancelled() -> None:
    # RFC 5034 §4
    server = Server()
    assert server.feed(b"AUTH PLAIN\r\n*\r\n") == b"+ \r\n" + replies.AUTH_CANCELLED
    assert server.connection.state is State.AUTHORIZATION
    assert server.feed(b"AUTH PLAIN\r\n" + plain() + b"\r\n").startswith(b"+ \r\n+OK")


@pytest.mark.parametrize("bad", [b"!!!", b"", b"AGE", b"YWJj", b"=", b"AGE AYg==", plain(authcid=""), b"QUIT"])
def test_malformed_responses(bad: bytes) -> None:
    server = Server()
    assert server.feed(b"AUTH PLAIN\r\n" + bad + b"\r\n") == b"+ \r\n" + replies.AUTH_MALFORMED
    assert server.logins == []
    assert server.feed(b"QUIT\r\n").startswith(b"+OK")


def test_a_response_may_be_longer_than_a_command_but_not_endless() -> None:
    server = Server()
    long_password = "p" * 1000
    assert server.feed(b"AUTH PLAIN\r\n" + plain(password=long_password) + b"\r\n").endswith(replies.AUTH_FAILED)
    assert server.logins == [("mrose", long_password)]
    assert server.feed(b"USER " + b"x" * 249 + b"\r\n") == replies.LINE_TOO_LONG
    assert server.feed(b"AUTH PLAIN\r\n" + b"A" * 5000) == b"+ \r\n" + replies.AUTH_MALFORMED
    assert server.feed(b"AAAA\r\nUSER " + b"x" * 249 + b"\r\n") == replies.LINE_TOO_LONG


def test_nobody_acts_as_somebody_else() -> None:
    assert Server().feed(b"AUTH PLAIN " + plain(authzid="mrose") + b"\r\n").startswith(b"+OK")
    server = Server()
    assert server.feed(b"AUTH PLAIN " + plain(authzid="admin") + b"\r\n") == replies.AUTH_FAILED
    assert server.logins == []


def test_mechanisms() -> None:
    server = Server()
    assert server.feed(b"AUTH\r\n") == b"+OK mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\n.\r\n"
    for name in (b"LOGIN", b"CRAM-MD5", b"NONSENSE"):
        assert server.feed(b"AUTH " + name + b"\r\n") == replies.UNKNOWN_MECHANISM


# --- the table


def argument_for(verb: Verb) -> bytes:
    return {Arguments.NUMBER: b" 1", Arguments.NUMBER_AND_LINES: b" 1 1", Arguments.TEXT: b" tanstaaf"}.get(
        ARGUMENTS[verb], b""
    )


@pytest.mark.parametrize("state", COMMAND_STATES)
@pytest.mark.parametrize("verb", list(Verb))
def test_every_cell(state: State, verb: Verb) -> None:
    server = Server()
    if state is State.PASSWORD:
        server.feed(b"USER mrose\r\n")
    elif state is State.TRANSACTION:
        server.log_in()
    assert server.connection.state is state
    cell = TABLE[state][verb]
    answer = server.feed(verb.value + argument_for(verb) + b"\r\n")
    if cell.refusal is not None:
        assert answer == cell.refusal
        assert server.connection.state is cell.after
    else:
        assert not answer.startswith(b"-ERR")
    allowed = {
        State.AUTHORIZATION: {"USER", "AUTH", "STLS", "CAPA", "QUIT", "UTF8", "LANG"},
        State.PASSWORD: {"USER", "PASS", "AUTH", "STLS", "CAPA", "QUIT", "UTF8", "LANG"},
        # RFC 1939 §5, §7, RFC 2449 §5, RFC 6856 §3
        State.TRANSACTION: {"STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL", "CAPA", "QUIT", "LANG"},
    }
    assert (cell.refusal is None) == (verb.name in allowed[state])


def test_the_table_has_every_cell_and_no_other_state() -> None:
    assert set(TABLE) == set(COMMAND_STATES)
    assert all(set(row) == set(Verb) for row in TABLE.values())


@pytest.mark.parametrize("waiting", ["login", "tls", "update"])
def test_commands_wait_while_an_answer_is_owed(waiting: str) -> None:
    connection = Pop3Connection(OPEN, "h")
    if waiting == "login":
        connection.receive_data(b"USER a\r\nPASS b\r\nQUIT\r\n")
        assert isinstance(connection.next_event(), Reply)
        assert isinstance(connection.next_event(), Login)
        assert connection.next_event() is None
        connection.login_refused(replies.UNAVAILABLE)
        assert isinstance(connection.next_event(), Goodbye)
    elif waiting == "tls":
        connection.receive_data(b"STLS\r\n")
        assert isinstance(connection.next_event(), StartTls)
        connection.receive_data(b"QUIT\r\n")
        assert connection.next_event() is None
        connection.tls_started()
        assert connection.next_event() is None
    else:
        connection.login_succeeded(make_drop(1))
        connection.receive_data(b"DELE 1\r\nQUIT\r\nSTAT\r\n")
        assert isinstance(connection.next_event(), Reply)
        assert isinstance(connection.next_event(), Update)
        assert connection.next_event() is None
        assert isinstance(connection.update_done(removed=True), Goodbye)
        assert connection.next_event() is None


# --- any octets, any split

DIALOGUE = (
    b"CAPA\r\nUSER mrose\r\nPASS wrong\r\nAUTH PLAIN\r\n" + plain() + b"\r\nSTAT\r\nlist\r\nUIDL 2\r\nRETR 1\r\n"
    b"TOP 2 3\r\nDELE 2\r\n" + b"x" * 300 + b"\r\nLIST\r\nNOOP\nRSET\r\nDELE 1\r\nQUIT\r\n"
)


def test_the_same_dialogue_in_every_split() -> None:
    whole = Server()
    expected = whole.feed(DIALOGUE)
    for pieces in splits_of(DIALOGUE):
        server = Server()
        assert server.feed(*pieces) == expected
        assert server.removed == [101]


WORDS = st.sampled_from(
    [verb.value for verb in Verb]
    + [b" ", b"1", b"2", b"99", b"\r\n", b"\n", b"\r", b"\x00", b"PLAIN", b"*", plain(), b"mrose", b"tanstaaf", b"\xff"]
)


@settings(max_examples=150)
@given(st.lists(st.one_of(WORDS, st.binary(max_size=20)), max_size=60), st.booleans(), st.integers(0, 2**32))
def test_any_octets_give_replies_and_nothing_else(words: list[bytes], logged_in: bool, seed: int) -> None:
    data = b"".join(words)
    whole = Server()
    pieced = Server()
    if logged_in:
        whole.log_in()
        pieced.log_in()
    expected = whole.feed(data)
    # STLS throws away what has arrived behind it, which depends on how it arrives
    if b"STLS" not in data.upper():
        *_, pieces = splits_of(data, seed=seed)
        assert pieced.feed(*pieces) == expected
    for line in expected.splitlines():
        assert line.isascii()
    assert len(whole.connection._lines) <= 4200
    if whole.removed is not None:
        assert b"QUIT" in data.upper()
