"""LMTP on a Unix socket: smtplib and swaks as local programs, and octet by octet for BDAT."""

import smtplib
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.rpc.store_client import StoreClient
from shared.testing.runner import require
from shared.testing.stack import Stack

ALICE, BOB, FULL = "alice@example.test", "bob@example.test", "full@example.test"


@pytest.fixture(scope="module")
def local(start: Callable[..., Stack]) -> Iterator[Stack]:
    with start({"PILLARBOX_SMTP_IN__LMTP_SOCKET": "lmtp.sock", "PILLARBOX_LIMITS__CONNECTIONS_PER_ADDRESS": "1"}) as stack:
        for address in (ALICE, BOB, FULL):
            stack.add_account(address)

        async def fill(store: StoreClient) -> None:
            await store.admin.quota_set(FULL, 1, None)

        stack.administer(fill)
        yield stack


def path_of(stack: Stack) -> Path:
    return stack.data_dir / "run" / "lmtp.sock"


class Client:
    """A raw client on the socket."""

    def __init__(self, stack: Stack) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path_of(stack)))
        self.lines = self.sock.makefile("rb")

    def ask(self, data: bytes, replies: int) -> list[bytes]:
        """The codes of so many replies."""
        self.sock.sendall(data)
        codes = []
        while len(codes) < replies:
            line = self.lines.readline()
            assert line, codes
            if line[3:4] == b" ":
                codes.append(line[:9].rstrip())
        return codes

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


def deliver(client: smtplib.LMTP, recipients: list[str], text: bytes) -> dict[str, list[int]]:
    """The replies for each recipient; `sendmail` reads one after the content, whatever the number of recipients."""
    client.ehlo_or_helo_if_needed()
    assert client.mail("s@elsewhere.test")[0] == 250
    codes = {recipient: [client.rcpt(recipient)[0]] for recipient in recipients}
    accepted = [recipient for recipient, (code,) in codes.items() if code == 250]
    codes[accepted[0]].append(client.data(text)[0])
    for recipient in accepted[1:]:
        codes[recipient].append(client.getreply()[0])
    return codes


def test_the_sockets_mode(local: Stack) -> None:
    mode = path_of(local).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert [path.name for path in path_of(local).parent.iterdir() if "lmtp" in path.name] == ["lmtp.sock"]


def test_smtplib(local: Stack, watch: Any) -> None:
    with smtplib.LMTP(str(path_of(local))) as client:
        text = b"Subject: lmtp\r\nAuthentication-Results: mx.example.test; spf=pass\r\n\r\nhello\r\n"
        assert deliver(client, [ALICE, "nobody@example.test", BOB, "carol@elsewhere.test"], text) == {
            ALICE: [250, 250],
            "nobody@example.test": [550],
            BOB: [250, 250],
            "carol@elsewhere.test": [550],
        }
    for address in (ALICE, BOB):
        (stored,) = watch(local).with_subject(address, b"lmtp")
        assert b"(local)\r\n\tby mx.example.test with LMTP id " in stored
        assert b"Authentication-Results" not in stored
    assert watch(local).queue() == []
    assert local["smtp_in"].wait_for_log(r'message accepted.*"protocol": "LMTP"')


def test_one_full_mailbox_fails_alone(local: Stack, watch: Any) -> None:
    with smtplib.LMTP(str(path_of(local))) as client:
        assert client.sendmail("s@elsewhere.test", FULL, "Subject: fill\r\n\r\nx\r\n") == {}
        assert deliver(client, [FULL, ALICE], b"Subject: full\r\n\r\nx\r\n") == {FULL: [452], ALICE: [250, 250]}
    assert len(watch(local).with_subject(ALICE, b"full")) == 1
    assert watch(local).with_subject(FULL, b"full") == []


def test_swaks(local: Stack, watch: Any) -> None:
    require("swaks")
    argv = ["swaks", "--socket", str(path_of(local)), "--protocol", "LMTP", "--from", "s@elsewhere.test"]
    argv += ["--to", f"{ALICE},{BOB}", "--header", "Subject: swaks lmtp"]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("queued as") == 2
    assert len(watch(local).with_subject(BOB, b"swaks lmtp")) == 1


def test_chunks_and_two_replies(local: Stack, watch: Any) -> None:
    client = Client(local)
    envelope = f"LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{ALICE}>\r\n".encode()
    content = b"Subject: chunks\r\n\r\n" + b"y" * 300_000 + b"\r\n"
    assert client.ask(envelope, 6) == [b"220 mx.ex", b"250 LIMIT", b"250 2.1.0", *[b"250 2.1.5"] * 3]
    assert client.ask(b"BDAT 19\r\n" + content[:19], 1) == [b"250 2.0.0"]
    assert client.ask(b"BDAT %d LAST\r\n" % (len(content) - 19) + content[19:], 3) == [b"250 2.0.0"] * 3
    client.close()
    for address in (ALICE, BOB):
        (stored,) = watch(local).with_subject(address, b"chunks")
        assert stored.endswith(content)


def test_nobody_is_counted_by_address_and_ehlo_is_not_spoken(local: Stack) -> None:
    clients = [Client(local) for _ in range(3)]
    for client in clients:
        assert client.ask(b"EHLO c.test\r\nAUTH PLAIN\r\n", 3) == [b"220 mx.ex", b"500 5.5.1", b"503 5.5.1"]
        client.close()


def test_a_new_process_takes_the_socket_over(local: Stack) -> None:
    local["smtp_in"].kill()
    local["smtp_in"].start()
    with smtplib.LMTP(str(path_of(local))) as client:
        assert client.sendmail("s@elsewhere.test", [BOB], "Subject: again\r\n\r\nx\r\n") == {}
