"""What bounds a session, before login and after, and how it ends when the service drains."""

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
