"""What bounds a session, before login and after, and how it ends when the service drains."""

import base64

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack


def test_too_much_before_login(stack):
    with ImapClient(stack.port("imap")) as client:
        assert client.command(b"LOGIN {5000}").tagged.startswith(b"NO [TOOBIG]")
        assert client.command(b"NOOP " + b"x" * 10000).tagged.startswith(b"BAD")
        client.send(b"a LOGIN {9999999+}\r\n")
        assert client.read_response().startswith(b"* BYE [TOOBIG]")
        assert client.at_end()


def test_bad_commands_end_the_connection(stack):
    with ImapClient(stack.port("imap")) as client:
        client.send(b"x NONSENSE\r\n" * 60)
        responses = []
        while not (response := client.read_response()).startswith(b"* BYE"):
            responses.append(response)
        assert all(response.startswith(b"x BAD") for response in responses)
        assert len(responses) == 50


def test_settings_bound_sessions(tmp_path):
    settings = {
        "PILLARBOX_LIMITS__MESSAGE_OCTETS": "70000",
        "PILLARBOX_IMAP__CONNECTIONS_PER_ACCOUNT": "2",
        "PILLARBOX_IMAP__UNAUTHENTICATED_SECONDS": "1",
        "PILLARBOX_IMAP__IDLE_SECONDS": "1",
        "PILLARBOX_LIMITS__CONNECTIONS_PER_ADDRESS": "4",
    }
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        port = stack.port("imap")
        with ImapClient(port) as silent:
            assert silent.read_response().startswith(b"* BYE")  # did not log in
            assert silent.at_end()
        with ImapClient(port) as client:
            client.login("a@example.test", PASSWORD)
            assert client.append(b"INBOX", b"x" * 70_001).tagged.startswith(b"NO [TOOBIG]")
            tag = client.start(b"APPEND INBOX {70001}")
            assert client.finish(tag).tagged.startswith(b"NO [TOOBIG]")
            assert client.append(b"INBOX", b"x" * 70_000).ok
            with ImapClient(port) as second, ImapClient(port) as third:
                second.login("a@example.test", PASSWORD)
                answer = third.command(f"LOGIN a@example.test {PASSWORD}")
                assert answer.tagged.startswith(b"NO [LIMIT]")
                with ImapClient(port) as fourth, ImapClient(port) as fifth:
                    assert fourth.greeting.startswith(b"* OK")
                    assert fifth.greeting.startswith(b"* BYE [UNAVAILABLE]")
            assert client.read_response().startswith(b"* BYE Idle")
            assert client.at_end()


def test_service_drains(tmp_path):
    with Stack(tmp_path / "data", services=("imap",)) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as waiting, ImapClient(stack.port("imap")) as idling:
            waiting.login("a@example.test", PASSWORD)
            idling.login("a@example.test", PASSWORD).ok("SELECT INBOX")
            idling.idle()
            assert stack["imap"].stop() == 0
            assert waiting.read_response().startswith(b"* BYE [UNAVAILABLE]")
            assert idling.read_response().startswith(b"* BYE [UNAVAILABLE]")

# --- after login ---


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"NOOP " + b"x" * 70_000, b"BAD Line too long"),
        (b"SELECT {600000}", b"NO [TOOBIG]"),
        (b"SELECT {600000+}\r\n" + b"x" * 600_000, b"NO [TOOBIG]"),
        # together more than a command may have
        (b"LOGIN " + b"{300000+}\r\n%b " % (b"x" * 300_000) * 4, b"NO [TOOBIG]"),
        (b"SEARCH" + b" FROM {1+}\r\nx" * 1001, b"NO [TOOBIG]"),
        (b"SEARCH " + b"(" * 40 + b"ALL" + b")" * 40, b"BAD"),
        (b"SEARCH " + b"NOT " * 40 + b"ALL", b"BAD"),
        (b"SEARCH " + b"ALL " * 2001, b"BAD"),
        (b"FETCH 1 BODY[" + b"1." * 200 + b"1]", b"BAD"),
        (b"FETCH 1 (BODY[HEADER.FIELDS (" + b"a " * 1001 + b")])", b"BAD"),
        (b"FETCH " + b"1," * 20_001 + b"1 FLAGS", b"BAD"),
        (b"STORE 1 FLAGS (" + b"a " * 1001 + b")", b"BAD"),
        (b"FETCH 99999999999999999999 FLAGS", b"BAD"),
        (b"SELECT " + b"x" * 1001, b"NO [LIMIT]"),
        (b"CREATE " + b"x/" * 30 + b"x", b"NO "),
        (b'CREATE "a\x01b"', b"NO [CANNOT]"),
        (b"ENABLE" + b" X" * 1001, b"BAD"),
    ],
)
def test_too_much_after_login(connect, command, answer):
    client = connect()
    client.ok("SELECT INBOX")
    tagged = client.command(command).tagged
    assert tagged.startswith(answer), tagged
    # the stream goes on with the next command
    assert client.ok("NOOP").ok


def test_what_has_no_end_ends_the_connection(stack, account):
    with ImapClient(stack.port("imap")) as client:
        client.send(b"a LOGIN " + b"x" * 100_000)
        assert client.read_response().startswith(b"* BYE [TOOBIG]")
        assert client.at_end()
    with ImapClient(stack.port("imap")) as client:
        client.start(b"AUTHENTICATE PLAIN")
        assert client.read_response() == b"+ "
        client.send(b"A" * 100_000)
        assert client.read_response().startswith(b"* BYE [TOOBIG]")
        assert client.at_end()
    with ImapClient(stack.port("imap")) as client:
        client.send(b"a LOGIN" + b" {20000+}\r\n%b" % (b"x" * 20_000) * 4)
        assert client.read_response().startswith(b"* BYE [TOOBIG]")
        assert client.at_end()


def test_many_literals_before_login(stack, account):
    with ImapClient(stack.port("imap")) as client:
        assert client.command(b"NOOP" + b" {1+}\r\nx" * 5).tagged.startswith(b"NO [TOOBIG]")
        client.login(account, PASSWORD)


def test_octets_of_no_protocol(stack):
    with ImapClient(stack.port("imap")) as client:
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00\r\n", b"\0\0\0\r\n", b"GET / HTTP/1.1\r\n", b"\xff\xfe\r\n", b" \r\n", b"a\r\n"):
            client.send(junk)
            assert b" BAD " in client.read_response()
        assert client.ok("NOOP").ok


def test_starttls_then_authenticate_as_if_nothing_was_injected(stack, account):
    # what somebody in between put behind STARTTLS must be no part of the client's own dialogue
    with ImapClient(stack.port("imap")) as client:
        client.send(b"a STARTTLS\r\nb AUTHENTICATE PLAIN\r\nc LOGIN {5}\r\n")
        assert client.read_response().startswith(b"a OK")
        client.start_tls()
        plain = base64.b64encode(f"\0{account}\0{PASSWORD}".encode())
        assert client.command(b"AUTHENTICATE PLAIN " + plain).ok
        assert client.ok("SELECT INBOX").ok


def test_connections_of_a_process(tmp_path):
    with Stack(tmp_path / "data", services=("imap",), settings={"PILLARBOX_LIMITS__CONNECTIONS": "2"}) as stack:
        port = stack.port("imap")
        with ImapClient(port) as first, ImapClient(port) as second, ImapClient(port) as third:
            assert third.greeting.startswith(b"* BYE [UNAVAILABLE] Too many connections")
            assert third.at_end()
            assert first.ok("NOOP").ok
            second.close()
            # the place is given on as soon as the server has seen the end
            for _ in range(1000):
                with ImapClient(port) as again:
                    if again.greeting.startswith(b"* OK"):
                        return
            raise AssertionError("the place was not given back")


def test_silence_ends_idle_too(tmp_path):
    settings = {"PILLARBOX_IMAP__IDLE_SECONDS": "1"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as client:
            client.login("a@example.test", PASSWORD).ok("SELECT INBOX")
            client.idle()
            assert client.read_response().startswith(b"* BYE Idle for too long")
            assert client.at_end()
