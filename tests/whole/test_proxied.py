"""Every mail port behind a proxy that announces its clients: by hand (versions 1 and 2, with TLS), and by haproxy.

127.0.0.2 is the trusted proxy, so that 127.0.0.1 is a stranger.
"""

import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.testing.runner import require
from shared.testing.stack import PASSWORD, Stack

PROXY, STRANGER = "127.0.0.2", "127.0.0.1"
SECONDS = 20.0
TEXT = b"PROXY TCP4 %s 198.51.100.1 4711 25\r\n"
LISTENERS = {
    "smtp": ("smtp_in", b"220 ", b"QUIT\r\n"),
    "submission": ("smtp_in", b"220 ", b"QUIT\r\n"),
    "submissions": ("smtp_in", b"220 ", b"QUIT\r\n"),
    "imap": ("imap", b"* OK ", f"a LOGIN alice@example.test {PASSWORD}\r\nb LOGOUT\r\n".encode()),
    "imaps": ("imap", b"* OK ", f"a LOGIN alice@example.test {PASSWORD}\r\nb LOGOUT\r\n".encode()),
    "pop3": ("pop3", b"+OK ", f"USER alice@example.test\r\nPASS {PASSWORD}\r\nQUIT\r\n".encode()),
    "pop3s": ("pop3", b"+OK ", f"USER alice@example.test\r\nPASS {PASSWORD}\r\nQUIT\r\n".encode()),
}
IMPLICIT = ("submissions", "imaps", "pop3s")


def header(version: int, ip: str) -> bytes:
    if version == 1:
        return TEXT % ip.encode()
    addresses = socket.inet_aton(ip) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, 25)
    rest = addresses + b"\x04\x00\x02ab"
    return b"\r\n\r\n\x00\r\nQUIT\n\x21\x11" + struct.pack("!H", len(rest)) + rest


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {
        "PILLARBOX_SERVER__PROXY_NETWORKS": f"{PROXY}/32",
        "PILLARBOX_AUTH__PLAINTEXT_NETWORKS": "127.0.0.0/8",
        "PILLARBOX_LIMITS__CONNECTIONS_PER_ADDRESS": "2",
    }
    with Stack(tmp_path_factory.mktemp("proxied") / "data", ("smtp_in", "imap", "pop3"), settings) as running:
        running.add_account("alice@example.test")
        yield running


def secured(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


@contextmanager
def dialled(port: int, source: str, first: bytes, *, tls: bool) -> Iterator[socket.socket]:
    sock = socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))
    try:
        sock.sendall(first)
        if tls:
            sock = secured(sock)
        yield sock
    finally:
        sock.close()


def to_the_end(sock: socket.socket) -> bytes:
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("listener", LISTENERS)
def test_each_port_believes_its_proxy(stack: Stack, listener: str, version: int) -> None:
    service, greeting, goodbye = LISTENERS[listener]
    ip = f"127.1.{version}.{list(LISTENERS).index(listener)}"  # whence passwords are taken without TLS
    with dialled(stack.port(listener), PROXY, header(version, ip), tls=listener in IMPLICIT) as client:
        client.sendall(goodbye)
        assert to_the_end(client).startswith(greeting)
    assert stack[service].wait_for_log(rf'"peer": "{ip}"')


@pytest.mark.parametrize("listener", ["smtp", "imap", "pop3"])
def test_a_strangers_header_is_a_line_of_the_protocol(stack: Stack, listener: str) -> None:
    service, greeting, goodbye = LISTENERS[listener]
    refusals = {"smtp": b"\r\n500 5.5.2 ", "imap": b"\r\nPROXY BAD ", "pop3": b"\r\n-ERR "}
    with dialled(stack.port(listener), STRANGER, header(1, "203.0.113.66") + goodbye, tls=False) as client:
        answer = to_the_end(client)
    assert answer.startswith(greeting)
    assert refusals[listener] in answer
    assert "203.0.113.66" not in stack[service].log


@pytest.mark.parametrize("listener", IMPLICIT)
def test_a_strangers_header_is_no_tls(stack: Stack, listener: str) -> None:
    with dialled(stack.port(listener), STRANGER, header(1, "203.0.113.66"), tls=False) as client:
        assert LISTENERS[listener][1] not in to_the_end(client)


@pytest.mark.parametrize("listener", LISTENERS)
def test_without_a_header_the_proxy_is_not_served(stack: Stack, listener: str) -> None:
    service = LISTENERS[listener][0]
    with dialled(stack.port(listener), PROXY, b"EHLO smuggler.test\r\n", tls=False) as client:
        assert to_the_end(client) == b""
    assert stack[service].wait_for_log(rf"no PROXY header.*{listener}\b.*127\.0\.0\.2")


def test_trust_and_limits_go_by_the_announced_client(stack: Stack) -> None:
    """Passwords in the clear are allowed from loopback, where the proxy is; the client is elsewhere."""
    commands = b"a CAPABILITY\r\nb LOGOUT\r\n"
    for ip, disabled in (("203.0.113.1", True), ("127.0.0.77", False)):
        with dialled(stack.port("imap"), PROXY, header(2, ip) + commands, tls=False) as client:
            assert (b"LOGINDISABLED" in to_the_end(client)) is disabled
        with dialled(stack.port("pop3"), PROXY, header(2, ip) + b"USER alice@example.test\r\nQUIT\r\n", tls=False) as client:
            assert (b"-ERR" in to_the_end(client)) is disabled
        with dialled(stack.port("submission"), PROXY, header(2, ip) + b"EHLO c.test\r\nQUIT\r\n", tls=False) as client:
            assert (b"AUTH" not in to_the_end(client)) is disabled
    with (
        dialled(stack.port("smtp"), PROXY, header(2, "203.0.113.2"), tls=False) as first,
        dialled(stack.port("smtp"), PROXY, header(1, "203.0.113.2"), tls=False) as second,
        dialled(stack.port("smtp"), PROXY, header(1, "203.0.113.3"), tls=False) as other,
    ):
        assert all(sock.recv(100).startswith(b"220 ") for sock in (first, second, other))
        with dialled(stack.port("smtp"), PROXY, header(2, "203.0.113.2"), tls=False) as third:
            assert to_the_end(third).startswith(b"421 4.7.0 ")


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy(stack: Stack, tmp_path: Path, send: str) -> None:
    require("haproxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        f"""defaults
  mode tcp
  timeout connect 10s
  timeout client 10s
  timeout server 10s
listen mail
  bind 127.0.0.1:{port}
  unique-id-format %[uuid()]
  server pillarbox 127.0.0.1:{stack.port("submissions")} source {PROXY} {send}
"""
    )
    source = f"127.0.1.{len(send)}"
    proxy = subprocess.Popen(["haproxy", "-db", "-f", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sock = None
        while sock is None:
            assert proxy.poll() is None, "haproxy ended"
            try:
                sock = socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))
            except ConnectionRefusedError:
                continue
        with secured(sock) as client:
            client.sendall(b"QUIT\r\n")
            assert to_the_end(client).startswith(b"220 ")
    finally:
        proxy.terminate()
        proxy.wait(10)
    assert stack["smtp_in"].wait_for_log(rf'"peer": "{source}"')
