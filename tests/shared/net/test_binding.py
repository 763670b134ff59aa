"""Channel bindings, against OpenSSL's own client."""

import gc
import hashlib
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from shared.net.binding import END_POINT, EXPORTER, end_point_value, exporter_value
from shared.net.stream import ClientStream
from shared.net.tls import ServerTls
from shared.testing import trio_test
from shared.testing.certificates import make_certificate
from shared.testing.runner import require

_EXPORTED = re.compile(rb"Keying material: ([0-9A-F]+)")


async def client_export(tls: ServerTls, *arguments: str) -> tuple[ClientStream, bytes]:
    """A connection of OpenSSL's client, handshake done, and what the client exported as RFC 9266 says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            require("openssl"), "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}",
            "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32", *arguments,
        ]  # fmt: skip
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        accepted, _ = await trio.to_thread.run_sync(listener.accept)
    stream = ClientStream.from_socket(accepted)
    await stream.start_tls(tls.context(), 10)
    assert process.stdin is not None
    assert process.stdout is not None
    await stream.aclose()
    output = b"".join([piece async for piece in process.stdout])
    await process.stdin.aclose()
    await process.wait()
    found = _EXPORTED.search(output)
    assert found is not None, output
    return stream, bytes.fromhex(found.group(1).decode())


@pytest.mark.parametrize("cipher", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
@trio_test
async def test_both_ends_export_the_same(tmp_path: Path, cipher: str) -> None:
    tls = ServerTls(*make_certificate(tmp_path))
    for _ in range(2):
        stream, exported = await client_export(tls, "-tls1_3", "-ciphersuites", cipher)
        assert stream.bindings[EXPORTER] == exported
    certificate = ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
    assert stream.bindings[END_POINT] == hashlib.sha256(certificate).digest()


@trio_test
async def test_no_exporter_before_tls_1_3(tmp_path: Path) -> None:
    # RFC 9266 §3: undefined for TLS 1.2 without an extension that we cannot see
    stream, _ = await client_export(ServerTls(*make_certificate(tmp_path)), "-tls1_2")
    assert set(stream.bindings) == {END_POINT}


@trio_test
async def test_handshakes_side_by_side_do_not_mix(tmp_path: Path) -> None:
    tls = ServerTls(*make_certificate(tmp_path))
    results: list[tuple[ClientStream, bytes]] = []

    async def one() -> None:
        results.append(await client_export(tls, "-tls1_3"))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(one)
    assert len({exported for _, exported in results}) == 8
    assert all(stream.bindings[EXPORTER] == exported for stream, exported in results)


@trio_test
async def test_a_handshake_that_fails_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    tls = ServerTls(*make_certificate(tmp_path))
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"\x16\x03\x01\x00\x05hello")
        ours.setblocking(False)
        context = tls.context()
        wrapped = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        with wrapped, pytest.raises(ssl.SSLError):
            wrapped.do_handshake()
    stream, exported = await client_export(tls, "-tls1_3")
    assert stream.bindings[EXPORTER] == exported


def test_contexts_give_their_pipes_back(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        ServerTls(*files).context()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("key", "digest", "expected"),
    [
        ("rsa:2048", "-sha256", "sha256"),
        ("rsa:2048", "-sha1", "sha256"),  # RFC 5929 §4.1
        ("rsa:2048", "-sha384", "sha384"),
        ("rsa:2048", "-sha512", "sha512"),
        ("ec:p256", "-sha256", "sha256"),
        ("ec:p256", "-sha384", "sha384"),
        ("ed25519", "-sha256", None),
    ],
)
def test_the_hash_is_that_of_the_signature(tmp_path: Path, key: str, digest: str, expected: str | None) -> None:
    (tmp_path / "p256").write_bytes(
        subprocess.run([require("openssl"), "ecparam", "-name", "prime256v1"], check=True, capture_output=True).stdout
    )
    kind = f"ec:{tmp_path / 'p256'}" if key == "ec:p256" else key
    made = subprocess.run(
        [require("openssl"), "req", "-x509", "-newkey", kind, "-nodes", "-keyout", tmp_path / "k", digest,
         "-subj", "/CN=x", "-days", "2", "-outform", "DER"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    wanted = None if expected is None else hashlib.new(expected, made).digest()
    assert end_point_value(made) == wanted


@given(st.binary(max_size=100))
def test_what_is_no_certificate_has_no_value(data: bytes) -> None:
    assert end_point_value(data) is None


def test_secrets_of_unknown_length_have_no_value() -> None:
    assert exporter_value(b"x" * 20) is None

