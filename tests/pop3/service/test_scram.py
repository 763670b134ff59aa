"""POP3 by SCRAM on real connections with real channels, by an independent client."""

import hashlib
import ssl
from collections.abc import Callable

import pytest

from shared.testing.mail_samples import plain_message
from shared.testing.pop3 import Pop3Stack, Wire
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD
from shared.wire import base64

SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
MESSAGE = plain_message("one@example.test")
FAILED = b"-ERR [AUTH] user name or password is wrong"


def offered(wire: Wire) -> list[bytes]:
    """The mechanisms in CAPA."""
    return next((line.split()[1:] for line in wire.multi("CAPA").splitlines() if line.startswith(b"SASL ")), [])


def scram(wire: Wire, mechanism: str, who: ScramClient, *, initial: bool = True) -> tuple[bytes, bool]:
    """Run an exchange; the last answer, and whether the server proved itself."""
    first = base64.encode(who.first()).decode()
    if initial:
        answer = wire.command(f"AUTH {mechanism} {first}")
    else:
        assert wire.command(f"AUTH {mechanism}") == b"+ "
        answer = wire.command(first)
    if not answer.startswith(b"+ "):
        return answer, False
    answer = wire.command(base64.encode(who.final(base64.decode(answer[2:], 1000))).decode())
    if not answer.startswith(b"+ "):
        return answer, False
    proved = who.check(base64.decode(answer[2:], 1000))
    return wire.command(""), proved


def over_tls(stack: Pop3Stack) -> Wire:
    wire = Wire(stack.port("pop3s"), greeting=False)
    wire.start_tls()
    assert wire.line().startswith(b"+OK")
    return wire


def end_point(stack: Pop3Stack) -> tuple[str, bytes]:
    # RFC 5929 §4.1
    return "tls-server-end-point", hashlib.sha256(ssl.PEM_cert_to_DER_cert(stack.certificate.read_text())).digest()


@pytest.mark.parametrize("initial", [True, False])
def test_scram(stack: Pop3Stack, initial: bool) -> None:
    address = stack.account(MESSAGE)
    with stack.wire() as wire:
        assert offered(wire) == [b"SCRAM-SHA-256", b"PLAIN"]
        assert wire.command(f"AUTH {PLUS}") == b"-ERR unknown authentication mechanism"
        answer, proved = scram(wire, SCRAM, ScramClient(address, PASSWORD), initial=initial)
        assert (answer, proved) == (b"+OK maildrop has 1 messages (%d octets)" % len(MESSAGE), True)
        assert wire.multi("RETR 1") == MESSAGE
        assert wire.command("DELE 1").startswith(b"+OK")
        assert wire.command("QUIT") == b"+OK signing off (0 messages left)"
    assert stack.count(address) == 0


def test_the_channel_is_bound(stack: Pop3Stack) -> None:
    address, binding = stack.account(MESSAGE), end_point(stack)
    with over_tls(stack) as wire:
        assert offered(wire) == [b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256", b"PLAIN"]
        for wrong in (("tls-exporter", b"x" * 32), ("tls-server-end-point", b"x" * 32)):
            assert scram(wire, PLUS, ScramClient(address, PASSWORD, binding=wrong)) == (FAILED, False)
        answer, proved = scram(wire, PLUS, ScramClient(address, PASSWORD, binding=binding))
        assert (answer[:3], proved) == (b"+OK", True)
        assert wire.multi("RETR 1") == MESSAGE
    with over_tls(stack) as wire:
        # RFC 5802 §6: a client that could bind was told that we cannot
        assert scram(wire, SCRAM, ScramClient(address, PASSWORD, flag=b"y")) == (FAILED, False)
        assert scram(wire, PLUS, ScramClient(address, PASSWORD))[0] == b"-ERR malformed authentication exchange"
        assert scram(wire, SCRAM, ScramClient(address, PASSWORD))[1]


def test_after_stls_that_channel_is_bound(stack: Pop3Stack) -> None:
    address = stack.account()
    with stack.wire() as wire:
        assert wire.command("STLS").startswith(b"+OK")
        wire.start_tls()
        assert b"SCRAM-SHA-256-PLUS" in offered(wire)
        answer, proved = scram(wire, PLUS, ScramClient(address, PASSWORD, binding=end_point(stack)))
        assert (answer[:3], proved) == (b"+OK", True)


def test_nobody_learns_who_exists(stack: Pop3Stack) -> None:
    address = stack.account()

    def asked(wire: Wire, name: str) -> list[bytes]:
        answer = wire.command(f"AUTH {SCRAM} {base64.encode(ScramClient(name, 'x').first()).decode()}")
        assert wire.command("*") == b"-ERR authentication cancelled"
        return bytes(base64.decode(answer[2:], 1000)).split(b",")[1:]

    with stack.wire() as wire:
        for name in (address, "nobody@example.test"):
            salt, iterations = asked(wire, name)
            assert asked(wire, name) == [salt, iterations]
            assert len(base64.decode(salt[2:], 100)) == 16
        assert asked(wire, address)[1] == asked(wire, "nobody@example.test")[1]
        for name in (address, "nobody@example.test"):
            assert scram(wire, SCRAM, ScramClient(name, "guess-plugh")) == (FAILED, False)
        assert scram(wire, SCRAM, ScramClient(address, "guess-plugh")) == (FAILED + b", closing", False)
        assert wire.at_end()
    stack["pop3"].wait_for_log("login failed.*nobody@example.test")
    assert "plugh" not in stack["pop3"].log


def test_acting_as_another_account_is_refused(stack: Pop3Stack) -> None:
    address, other = stack.account(), stack.account()
    with stack.wire() as wire:
        for authzid, beginning in ((other, FAILED), (address, b"+OK")):
            who = ScramClient(address, PASSWORD)
            who._header = who._channel = b"n,a=" + authzid.encode() + b","
            assert scram(wire, SCRAM, who)[0].startswith(beginning)


def test_exclusive_maildrop(make_stack: Callable[..., Pop3Stack]) -> None:
    stack = make_stack(pop3__maildrop_lock="exclusive")
    address = stack.account()
    with stack.logged_in(address), stack.wire() as second:
        assert scram(second, SCRAM, ScramClient(address, PASSWORD))[0].startswith(b"-ERR [IN-USE] ")
        assert second.command("NOOP") == b"-ERR log in first"


def test_a_store_that_is_away(make_stack: Callable[..., Pop3Stack]) -> None:
    stack = make_stack(store__wait_seconds="0.3")
    address = stack.account()
    with stack.wire() as wire:
        who = ScramClient(address, PASSWORD)
        answer = wire.command(f"AUTH {SCRAM} {base64.encode(who.first()).decode()}")
        final = base64.encode(who.final(base64.decode(answer[2:], 1000))).decode()
        stack["store"].kill()
        assert wire.command(final).startswith(b"-ERR [SYS/TEMP] ")
        for _ in range(4):
            assert scram(wire, SCRAM, ScramClient(address, PASSWORD))[0].startswith(b"-ERR [SYS/TEMP] ")
        assert wire.command("QUIT") == b"+OK signing off"
