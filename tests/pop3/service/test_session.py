"""What a session promises: order, snapshots, removal at QUIT only, limits."""

import json
import ssl
import urllib.request
from collections.abc import Callable

from services.pop3.maildrop import PAGE_MESSAGES
from shared.testing.certificates import make_certificate
from shared.testing.mail_samples import large_message, plain_message
from shared.testing.pop3 import Pop3Stack, Wire
from shared.testing.process import PORT_SETTINGS, RunningService
from shared.testing.stack import PASSWORD

MESSAGES = [plain_message(f"{n}@example.test") for n in range(1, 4)]
MakeStack = Callable[..., Pop3Stack]


def uidls(wire: Wire) -> list[bytes]:
    return [line.split()[1] for line in wire.multi("UIDL").splitlines()]


def test_greeting_has_no_timestamp_and_errors_are_answered(stack: Pop3Stack) -> None:
    with stack.wire() as wire:
        assert wire.greeting.startswith(b"+OK ")
        assert b"<" not in wire.greeting
        assert wire.command("STAT") == b"-ERR log in first"
        assert wire.command("APOP a b") == b"-ERR unknown command"
        assert wire.command("X" * 300) == b"-ERR line too long"
        assert wire.command("NOOP") == b"-ERR log in first"
        assert wire.command("QUIT") == b"+OK signing off"
        assert wire.at_end()


def test_wrong_password_unknown_user_and_the_third_time(stack: Pop3Stack) -> None:
    address = stack.account()
    with stack.wire() as wire:
        answers = []
        for user in (address, "nobody@example.test", address):
            wire.command(f"USER {user}")
            answers.append(wire.command("PASS wrong"))
        assert answers[0] == answers[1] == b"-ERR [AUTH] user name or password is wrong"
        assert answers[2] == b"-ERR [AUTH] user name or password is wrong, closing"
        assert wire.at_end()
    assert "wrong" not in stack["pop3"].log.replace("is wrong", "")


def test_sasl_plain(stack: Pop3Stack) -> None:
    import base64

    address = stack.account()
    response = base64.b64encode(f"\0{address}\0{PASSWORD}".encode()).decode()
    with stack.wire() as wire:
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command("*") == b"-ERR authentication cancelled"
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command(response) == b"+OK maildrop has 0 messages (0 octets)"
    with stack.wire() as wire:
        assert wire.command(f"AUTH PLAIN {response}").startswith(b"+OK")
        assert wire.multi("LIST") == b""


def test_unique_ids_stay_and_numbers_count_from_one(stack: Pop3Stack) -> None:
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as wire:
        first = uidls(wire)
        assert len(set(first)) == 3
        assert wire.command("DELE 1").startswith(b"+OK")
        assert wire.command("QUIT") == b"+OK signing off (2 messages left)"
    stack.deliver(address, [plain_message("new@example.test")])
    with stack.logged_in(address) as wire:
        second = uidls(wire)
        assert second[:2] == first[1:]
        assert second[2] not in first


def test_deletion_needs_quit(stack: Pop3Stack) -> None:
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as wire:
        wire.send(b"DELE 1\r\nDELE 2\r\nRSET\r\nDELE 3\r\n")
        assert [wire.line()[:3] for _ in range(4)] == [b"+OK"] * 4
    assert stack.count(address) == 3
    with stack.logged_in(address) as wire:
        wire.command("DELE 1")
        wire.command("RSET")
        wire.command("DELE 3")
        assert wire.command("QUIT") == b"+OK signing off (2 messages left)"
    with stack.logged_in(address) as wire:
        assert wire.multi("RETR 1") == MESSAGES[0]
        assert wire.multi("RETR 2") == MESSAGES[1]
        assert wire.command("RETR 3") == b"-ERR no such message, only 2 messages in maildrop"


def test_two_sessions_have_a_snapshot_each(stack: Pop3Stack) -> None:
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as one, stack.logged_in(address) as two:
        stack.deliver(address, [plain_message("late@example.test")])
        one.command("DELE 1")
        assert one.command("QUIT").startswith(b"+OK")
        assert two.command("STAT").split()[1] == b"3"
        assert two.multi("RETR 2") == MESSAGES[1]
        # gone meanwhile: -ERR, or still readable, but never another message
        first = two.command("RETR 1")
        if first.startswith(b"+OK"):
            assert two.body() == MESSAGES[0]
        two.command("DELE 1")
        two.command("DELE 2")
        assert two.command("QUIT").startswith(b"+OK")
    assert stack.count(address) == 2


def test_messages_that_do_not_end_in_a_line_end(stack: Pop3Stack) -> None:
    samples = [b"Subject: open\r\n\r\nno end", b"Subject: header only\r\n", b"Subject: dot\r\n\r\n.", b"x"]
    address = stack.account(*samples)
    with stack.logged_in(address) as wire:
        for number, sample in enumerate(samples, 1):
            assert wire.command(f"LIST {number}") == b"+OK %d %d" % (number, len(sample))
            got = wire.multi(f"RETR {number}")
            assert got == (sample if sample.endswith(b"\r\n") else sample + b"\r\n")


def test_bare_newlines_cannot_put_a_client_out_of_step(stack: Pop3Stack) -> None:
    """A client that takes LF for a line end would read LF . LF as the end of the message, and the rest as replies."""
    address = stack.account(b"Subject: bare\n\nend?\n.\n+OK\r.\r+OK\r\n.\r\n", MESSAGES[0])
    with stack.logged_in(address) as wire:
        wire.send(b"RETR 1\r\nTOP 1 2\r\nRETR 2\r\n")
        assert wire.line().startswith(b"+OK")
        assert wire.body() == b"Subject: bare\r\n\r\nend?\r\n.\r\n+OK\r\n.\r\n+OK\r\n.\r\n"
        assert wire.line().startswith(b"+OK")
        assert wire.body().startswith(b"Subject: bare\r\n\r\n")
        assert wire.line().startswith(b"+OK")
        assert wire.body() == MESSAGES[0]


def test_dots_where_pieces_of_a_large_message_meet(stack: Pop3Stack) -> None:
    sample = b"Subject: dots\r\n\r\n" + b".\r\n" * 150_000 + b"..\r\n" * 60_000 + b"."
    address = stack.account(sample)
    with stack.logged_in(address) as wire:
        assert wire.multi("RETR 1") == sample + b"\r\n"
        assert wire.multi("TOP 1 100000") == b"Subject: dots\r\n\r\n" + b".\r\n" * 100_000


def test_a_maildrop_of_several_pages(stack: Pop3Stack) -> None:
    address = stack.account()
    stack.deliver_many(address, MESSAGES[0], PAGE_MESSAGES + 7)
    with stack.logged_in(address) as wire:
        count = PAGE_MESSAGES + 7
        assert wire.command("STAT") == b"+OK %d %d" % (count, count * len(MESSAGES[0]))
        assert wire.multi("LIST").splitlines() == [b"%d %d" % (n, len(MESSAGES[0])) for n in range(1, count + 1)]
        assert len(set(uidls(wire))) == count
        assert wire.multi(f"RETR {count}") == MESSAGES[0]
        wire.send(b"".join(b"DELE %d\r\n" % n for n in range(1, count + 1)) + b"QUIT\r\n")
        for number in range(1, count + 1):
            assert wire.line() == b"+OK message %d deleted" % number
        assert wire.line() == b"+OK signing off (0 messages left)"
    assert stack.count(address) == 0


def test_a_thousand_pipelined_retrs_in_order(stack: Pop3Stack) -> None:
    samples = [plain_message(f"many{n}@example.test") for n in range(200)]
    address = stack.account(*samples)
    with stack.logged_in(address) as wire:
        for _ in range(5):
            wire.send(b"".join(b"RETR %d\r\n" % n for n in range(1, 201)))
            for sample in samples:
                assert wire.line() == b"+OK %d octets" % len(sample)
                assert wire.body() == sample
        wire.send(b"".join(b"RETR %d\r\nDELE %d\r\nRETR %d\r\n" % (n, n, n) for n in range(1, 201)) + b"QUIT\r\n")
        for number, sample in enumerate(samples, 1):
            assert wire.line().startswith(b"+OK")
            assert wire.body() == sample
            assert wire.line() == b"+OK message %d deleted" % number
            assert wire.line() == b"-ERR message %d already deleted" % number
        assert wire.line() == b"+OK signing off (0 messages left)"
    assert stack.count(address) == 0


def test_injection_behind_stls_is_dropped(stack: Pop3Stack) -> None:
    address = stack.account()
    with stack.wire() as wire:
        wire.send(f"STLS\r\nUSER {address}\r\nPASS {PASSWORD}\r\n".encode())
        assert wire.line() == b"+OK begin TLS negotiation"
        wire.start_tls()
        assert wire.command("STAT") == b"-ERR log in first"
        assert wire.command("STLS") == b"-ERR TLS is active already"
        wire.log_in(address)
    stack["pop3"].wait_for_log("plaintext behind STLS dropped")


def test_a_client_that_does_not_read_disturbs_nobody(stack: Pop3Stack) -> None:
    address = stack.account(large_message("slow@example.test", 6_000_000))
    with stack.logged_in(address) as slow:
        slow.send(b"RETR 1\r\n" * 5)
        for _ in range(3):
            with stack.logged_in(address) as other:
                assert other.command("NOOP") == b"+OK"
        for _ in range(5):
            assert slow.line().startswith(b"+OK")
            assert len(slow.body()) > 6_000_000


def test_health_and_metrics(stack: Pop3Stack) -> None:
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as wire:
        wire.multi("RETR 1")
        wire.command("QUIT")
        assert wire.at_end()
    host, port = stack["pop3"].metrics_address()

    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return bytes(answer.read())

    assert json.loads(get("/readyz"))["ready"] is True
    stack["pop3"].wait_for_log(f"session ended.*{address}")
    text = get("/metrics")
    assert b'pop3_commands_total{verb="RETR"}' in text
    assert b'pop3_logins_total{result="ok"}' in text
    assert b'connections_open{listener="pop3"}' in text


def test_another_language(stack: Pop3Stack) -> None:
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as wire:
        assert wire.command("LANG ko") == "+OK ko 언어를 바꾸었습니다".encode()
        assert wire.command("DELE 99").startswith("-ERR 그런 메시지가 없습니다".encode())
        # what programs read is what it was, messages too
        assert wire.command("STAT").split()[:2] == [b"+OK", b"%d" % len(MESSAGES)]
        assert wire.multi("RETR 1") == MESSAGES[0]
        assert wire.command("QUIT").startswith("+OK 안녕히 가십시오".encode())


# --- settings


def test_no_password_without_tls(make_stack: MakeStack) -> None:
    stack = make_stack(auth__plaintext_networks="")
    address = stack.account(*MESSAGES)
    with stack.wire() as wire:
        assert b"\r\nUSER\r\n" not in wire.multi("CAPA")
        assert wire.command(f"USER {address}") == b"-ERR no password without TLS: use STLS or port 995"
        wire.command("STLS")
        wire.start_tls()
        assert b"USER\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN\r\n" in wire.multi("CAPA")
        wire.log_in(address)
        assert wire.multi("RETR 1") == MESSAGES[0]


def test_exclusive_maildrop(make_stack: MakeStack) -> None:
    stack = make_stack(pop3__maildrop_lock="exclusive")
    address, neighbour = stack.account(), stack.account()
    with stack.logged_in(address) as one:
        with stack.wire() as two:
            two.command(f"USER {address}")
            assert two.command(f"PASS {PASSWORD}").startswith(b"-ERR [IN-USE] ")
            two.log_in(neighbour)
        one.command("QUIT")
        assert one.at_end()
    stack["pop3"].wait_for_log(f"session ended.*{address}")
    assert stack.count(address) == 0


def test_two_workers_share_the_ports(make_stack: MakeStack) -> None:
    stack = make_stack(pop3__workers="2")
    address = stack.account(*MESSAGES)
    second = RunningService("pop3", stack.data_dir, {**stack["pop3"].env, "PILLARBOX_OBSERVE__POP3_PORT": "0"})
    for listener in ("pop3", "pop3s"):
        second.env[PORT_SETTINGS["pop3"][listener]] = str(stack.port(listener))
    with second:
        assert second.listeners["pop3"] == stack["pop3"].listeners["pop3"]
        stack["pop3"].stop()
        with stack.logged_in(address) as wire:
            assert wire.multi("RETR 1") == MESSAGES[0]


def test_a_new_certificate_is_served_without_a_restart(make_stack: MakeStack) -> None:
    stack = make_stack()

    def served() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", stack.port("pop3s")), timeout=10).encode()

    assert served() == stack.certificate.read_bytes()
    make_certificate(stack.certificate.parent)
    with stack.wire() as wire:
        # only a handshake looks, at most once a second
        assert any(served() == stack.certificate.read_bytes() for _ in range(1000))
        assert wire.command("QUIT").startswith(b"+OK")


def test_time_to_log_in_and_limits_per_address(make_stack: MakeStack) -> None:
    stack = make_stack(
        pop3__unauthenticated_seconds="1", limits__connections_per_address="2", pop3__errors="3", pop3__idle_seconds="1"
    )
    address = stack.account()
    with stack.wire() as one, stack.wire() as two, stack.wire() as three:
        assert three.greeting == b"-ERR [SYS/TEMP] too many connections from your address"
        assert three.at_end()
        assert [two.command("FOO") for _ in range(3)][2] == b"-ERR too many errors, closing"
        assert two.at_end()
        assert one.at_end()
    with stack.logged_in(address) as wire:
        assert wire.at_end()
    stack["pop3"].wait_for_log("timed out")
