"""Each service is shut by failures at another, and says so in its protocol's words; the command line opens it again.

Clients come from addresses of their own: all of 127.0.0.0/8 is the loopback.
"""

import base64
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Self

import attrs
import pytest

from shared.testing.process import ROOT
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD, Stack

SETTINGS = {
    "PILLARBOX_BANS__FAILURES": "3",
    "PILLARBOX_BANS__NETWORK_FAILURES": "1000",
    "PILLARBOX_BANS__ACCOUNT_FAILURES": "1000",
    "PILLARBOX_BANS__NEVER_NETWORKS": "",
    "PILLARBOX_BANS__DELAY_SECONDS": "0",
    "PILLARBOX_AUTH__ATTEMPTS_PER_CONNECTION": "100",
}
ALICE = "alice@example.test"
BOB = "bob@example.test"
_hosts = itertools.count(2)
_passwords = itertools.count()


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("bans") / "data", ("imap", "pop3", "smtp_in"), SETTINGS) as running:
        running.add_account(ALICE)
        running.add_account(BOB)
        yield running


@pytest.fixture
def client_ip() -> str:
    """An address that nobody has come from."""
    return f"127.0.7.{next(_hosts)}"


class Line:
    """A connection from an address, line by line."""

    def __init__(self, stack: Stack, listener: str, client_ip: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", stack.port(listener)), 20, (client_ip, 0))
        self.file = self.socket.makefile("rb")
        self.greeting = self.file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def ask(self, line: bytes) -> bytes:
        """The next line after a command."""
        self.socket.sendall(line + b"\r\n")
        return self.file.readline()

    def rest(self) -> bytes:
        """Until the server closes."""
        return self.file.read()


def plain(user: str, password: str) -> bytes:
    return b64(b"\0" + user.encode() + b"\0" + password.encode())


@attrs.frozen
class Protocol:
    """How one is logged in to, and what is said."""

    listener: str
    login: bytes
    right: bytes
    wrong: bytes
    banned: bytes
    goodbye: bytes
    hello: bytes = b""


PROTOCOLS = {
    "imap": Protocol(
        "imap",
        b"a AUTHENTICATE PLAIN %b",
        b"a OK [CAPABILITY",
        b"a NO [AUTHENTICATIONFAILED]",
        b"a NO [UNAVAILABLE] Too many failed logins",
        b"* BYE [UNAVAILABLE] Too many failed logins, try again later\r\n",
    ),
    "pop3": Protocol(
        "pop3", b"AUTH PLAIN %b", b"+OK maildrop", b"-ERR [AUTH]", b"-ERR [SYS/TEMP] too many failed logins", b""
    ),
    "submission": Protocol(
        "submission", b"AUTH PLAIN %b", b"235 ", b"535 5.7.8", b"421 4.7.0 Too many failed logins", b"", b"EHLO client"
    ),
}


def log_in(line: Line, protocol: Protocol, user: str, password: str) -> bytes:
    if protocol.hello:
        answer = line.ask(protocol.hello)
        while answer[3:4] == b"-":
            answer = line.file.readline()
    return line.ask(protocol.login % plain(user, password))


def fail(stack: Stack, protocol: Protocol, client_ip: str, times: int, user: str = BOB) -> None:
    with Line(stack, protocol.listener, client_ip) as line:
        for _ in range(times):
            answer = log_in(line, protocol, user, f"wrong {next(_passwords)}")
            assert answer.startswith(protocol.wrong), answer


def enters(stack: Stack, protocol: Protocol, client_ip: str, user: str = BOB) -> bool:
    """Whether the right password is heard; where it is not, the connection must end as it should."""
    with Line(stack, protocol.listener, client_ip) as line:
        answer = log_in(line, protocol, user, PASSWORD)
        if answer.startswith(protocol.right):
            return True
        assert answer.startswith(protocol.banned), answer
        assert line.rest() == protocol.goodbye
        return False


def pillarbox(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "shared.cli.main", "bans", *words],
        capture_output=True, text=True, env=environment, timeout=40, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_service_is_shut_by_failures_at_another_and_lifting_works_at_once(stack: Stack, client_ip: str, name: str) -> None:
    here = PROTOCOLS[name]
    one, other = (protocol for key, protocol in PROTOCOLS.items() if key != name)
    fail(stack, one, client_ip, 2)
    fail(stack, other, client_ip, 1)
    assert not enters(stack, here, client_ip)
    assert pillarbox(stack, "lift", client_ip).stdout == "1 ban lifted\n"
    assert enters(stack, here, client_ip)


def test_where_an_account_logged_in_well_it_is_heard(stack: Stack, client_ip: str) -> None:
    assert enters(stack, PROTOCOLS["pop3"], client_ip, ALICE)
    fail(stack, PROTOCOLS["imap"], client_ip, 3)
    assert not enters(stack, PROTOCOLS["submission"], client_ip, BOB)
    assert all(enters(stack, protocol, client_ip, ALICE) for protocol in PROTOCOLS.values())


def test_wrong_proofs_of_scram_count_as_wrong_passwords_do(stack: Stack, client_ip: str) -> None:
    with Line(stack, "pop3", client_ip) as line:
        for _ in range(3):
            client = ScramClient(BOB, "wrong")
            challenge = line.ask(b"AUTH SCRAM-SHA-256 " + b64(client.first()))
            answer = line.ask(b64(client.final(base64.b64decode(challenge[2:]))))
            assert answer.startswith(b"-ERR [AUTH]"), answer
    assert not enters(stack, PROTOCOLS["imap"], client_ip)


def test_mail_from_outside_comes_in_from_a_banned_address(stack: Stack, client_ip: str) -> None:
    fail(stack, PROTOCOLS["submission"], client_ip, 3)
    with Line(stack, "smtp", client_ip) as line:
        assert line.ask(b"HELO client.test").startswith(b"250")
        assert line.ask(b"MAIL FROM:<x@elsewhere.test>").startswith(b"250")
        assert line.ask(b"RCPT TO:<bob@example.test>").startswith(b"250")


def test_a_restart_of_the_store_keeps_what_the_command_line_banned(stack: Stack, client_ip: str) -> None:
    added = pillarbox(stack, "add", client_ip, "--for", "2h")
    assert added.stdout.startswith(f"{client_ip} is banned until ")
    stack["store"].stop()
    stack["store"].start()
    assert not enters(stack, PROTOCOLS["imap"], client_ip)
    assert pillarbox(stack, "lift", "--all").returncode == 0
    assert enters(stack, PROTOCOLS["imap"], client_ip)
