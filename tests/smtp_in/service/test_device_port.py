"""The port of scanners and cameras: old TLS or none, for their passwords only; nothing of that anywhere else."""

import smtplib
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.contract.device_types import DeviceUse
from shared.rpc.store_client import StoreClient
from shared.testing.runner import require
from shared.testing.stack import PASSWORD, Stack
from shared.wire import base64

Dial = Callable[..., Any]
ALICE = "alice@example.test"
LOOPBACK = ("127.0.0.0/8",)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def own(start: Callable[..., Stack]) -> Iterator[Stack]:
    settings = {
        "PILLARBOX_SMTP_IN__DEVICE_PORT": str(free_port()),
        "PILLARBOX_LIMITS__NEW_RECIPIENTS_PER_DAY": "2",
        "PILLARBOX_AUTH__PLAINTEXT_NETWORKS": "",
        "PILLARBOX_SERVER__PROXY_NETWORKS": "127.0.0.2/32",
    }
    with start(settings) as running:
        running.add_account(ALICE)
        yield running


def device(stack: Stack, name: str, *recipients: str) -> str:
    """Its password."""

    async def add(store: StoreClient) -> str:
        added = await store.devices.add(ALICE, name, (DeviceUse.SUBMISSION,), LOOPBACK, recipients)
        return added.password

    return stack.administer(add)


def plain(password: str) -> bytes:
    return b"AUTH PLAIN " + base64.encode(f"\0{ALICE}\0{password}".encode())


def old_tls(stack: Stack, listener: str, version: str, send: str = "") -> "subprocess.CompletedProcess[bytes]":
    """OpenSSL as an old device: STARTTLS with one old version."""
    argv = [
        require("openssl"), "s_client", "-connect", f"127.0.0.1:{stack.port(listener)}", version,
        "-cipher", "DEFAULT:@SECLEVEL=0", "-ign_eof", "-crlf",
    ]  # fmt: skip
    argv += [] if listener == "submissions" else ["-starttls", "smtp"]
    return subprocess.run(argv, input=send.encode(), capture_output=True, timeout=20, check=False)


@pytest.mark.parametrize(("version", "called"), [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1"), ("-tls1_2", "TLSv1.2")])
def test_old_tls_here_and_nowhere_else(own: Stack, version: str, called: str, watch: Callable[[Stack], Any]) -> None:
    subject = f"over{version}"
    login = plain(device(own, subject, "example.test")).decode()
    dialogue = (
        f"EHLO scanner\n{login}\nMAIL FROM:<{ALICE}>\nRCPT TO:<{ALICE}>\nDATA\nSubject: {subject}\n\nscan\n.\nQUIT\n"
    )
    done = old_tls(own, "devices", version, dialogue)
    assert b"235 2.7.0" in done.stdout
    assert b"221 2.0.0" in done.stdout
    (stored,) = watch(own).with_subject(ALICE, subject.encode())
    assert b"with ESMTPSA" in stored
    own["smtp_in"].wait_for_log(f'connection ended.*"devices".*"tls": "{called} ')
    for listener in ("smtp", "submission", "submissions"):
        refused = old_tls(own, listener, version, "QUIT\n").returncode != 0
        assert refused is (version != "-tls1_2"), listener


def test_without_tls_by_a_password_of_its_own(own: Stack, dial: Dial) -> None:
    scanner, phone = device(own, "scanner", "office.test"), device(own, "phone")
    with dial(own.port("devices")) as client:
        client.ask(b"EHLO scanner")
        assert client.ask(b"MAIL FROM:<" + ALICE.encode() + b">").startswith(b"530 ")
        for password in (PASSWORD, phone):
            assert client.ask(plain(password)) == b"535 5.7.8 Authentication credentials invalid"
    with dial(own.port("devices")) as client:
        client.ask(b"EHLO scanner")
        assert client.ask(plain(scanner)).startswith(b"235 ")
        assert client.ask(b"MAIL FROM:<" + ALICE.encode() + b">").startswith(b"250 ")
        assert client.ask(b"RCPT TO:<b@elsewhere.test>") == b"550 5.7.1 This device may not send to this recipient"
        # its account's limits hold for it, too
        said = [client.ask(b"RCPT TO:<%d@office.test>" % number)[:3] for number in range(3)]
        assert said == [b"250", b"250", b"450"]
    with dial(own.port("submission")) as client:
        client.ask(b"EHLO scanner")
        assert client.ask(plain(scanner)).startswith(b"538 ")


def test_from_private_networks_only(own: Stack) -> None:
    """A proxy announces the client: whom its own address would let in, it does not."""
    for client, code in (("192.0.2.1", b"554 5.7.1 "), ("2001:db8::1", b"554 5.7.1 "), ("192.168.1.9", b"220 ")):
        with socket.socket() as sock:
            sock.settimeout(10)
            sock.bind(("127.0.0.2", 0))
            sock.connect(("127.0.0.1", own.port("devices")))
            family = "TCP6" if ":" in client else "TCP4"
            here = "::1" if ":" in client else "127.0.0.1"
            sock.sendall(f"PROXY {family} {client} {here} 40000 25\r\n".encode())
            assert sock.recv(1000).startswith(code)


def test_it_is_off_by_default(stack: Stack) -> None:
    with pytest.raises(KeyError):
        stack.port("devices")
    with smtplib.SMTP("127.0.0.1", stack.port("submission"), timeout=20) as client:
        assert client.noop()[0] == 250
