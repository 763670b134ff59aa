"""Contexts that follow their files."""

import shutil
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from shared.net.tls import (
    CertificateError,
    ServerTls,
    opportunistic_client_context,
    verifying_client_context,
)
from shared.testing import trio_test
from shared.testing.certificates import make_certificate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_missing_or_wrong_files_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"cert\.pem"):
        ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")
    cert, _ = make_certificate(tmp_path / "a")
    _, other_key = make_certificate(tmp_path / "b")
    with pytest.raises(CertificateError, match="KEY_VALUES_MISMATCH"):
        ServerTls(cert, other_key)
    cert.write_text("nothing")
    with pytest.raises(CertificateError):
        ServerTls(cert, other_key)


def test_a_new_certificate_is_loaded_within_a_second_and_not_earlier(tmp_path: Path) -> None:
    clock, errors, reloads = Clock(), list[str](), list[None]()
    cert, key = make_certificate(tmp_path)
    tls = ServerTls(cert, key, clock=clock, on_error=errors.append, on_reload=lambda: reloads.append(None))
    first = tls.context()
    clock.now += 1.5
    assert tls.context() is first
    make_certificate(tmp_path)
    assert tls.context() is first
    clock.now += 1.5
    assert tls.context() is not first
    assert (errors, len(reloads)) == ([], 1)


def test_a_half_written_pair_keeps_the_old_one_until_it_fits(tmp_path: Path) -> None:
    clock, errors = Clock(), list[str]()
    cert, key = make_certificate(tmp_path / "live")
    new_cert, new_key = make_certificate(tmp_path / "new")
    tls = ServerTls(cert, key, clock=clock, on_error=errors.append)
    first = tls.context()
    shutil.copy(new_cert, cert)
    clock.now += 2
    assert tls.context() is first
    assert len(errors) == 1
    clock.now += 2
    assert tls.context() is first
    assert len(errors) == 1
    cert.unlink()
    clock.now += 2
    assert tls.context() is first
    shutil.copy(new_cert, cert)
    shutil.copy(new_key, key)
    clock.now += 2
    assert tls.context() is not first


def test_hardened(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    contexts = [
        ServerTls(cert, key).context(),
        opportunistic_client_context(),
        verifying_client_context(),
        verifying_client_context(cert),
    ]
    for context in contexts:
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION
    assert contexts[1].verify_mode == ssl.CERT_NONE
    assert contexts[2].check_hostname
    with pytest.raises(CertificateError, match="authorities"):
        verifying_client_context(tmp_path / "missing.pem")


@trio_test
async def test_running_listener_serves_the_new_certificate(tmp_path: Path) -> None:
    clock = Clock()
    cert, key = make_certificate(tmp_path, "old.test")
    tls = ServerTls(cert, key, clock=clock)

    async def served_name() -> str:
        ours, theirs = trio.testing.memory_stream_pair()
        server = trio.SSLStream(ours, tls.context(), server_side=True)
        client = trio.SSLStream(theirs, verifying_client_context(cert), server_hostname="localhost")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            await client.do_handshake()
        names = client.getpeercert()["subjectAltName"]
        return str(names[0][1])

    assert await served_name() == "old.test"
    make_certificate(tmp_path, "new.test")
    verifying_client_context.cache_clear()
    clock.now += 2
    assert await served_name() == "new.test"
