"""Real clients against the real service on a real store, byte for byte."""

import poplib
import ssl
import subprocess
from pathlib import Path

import pytest

from shared.testing import require
from shared.testing.clients import Login, Security, curl_pop3, fetchmail
from shared.testing.mail_samples import korean_message, large_message, plain_message
from shared.testing.pop3 import Pop3Stack
from shared.testing.stack import PASSWORD

DOTS = b"Subject: dots\r\n\r\n.\r\n..\r\n...three\r\n.leading\r\n\r\n.\r\nend\r\n"
SAMPLES = (plain_message("one@example.test"), korean_message("two@example.test"), DOTS)


def context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def connect(stack: Pop3Stack, security: Security) -> poplib.POP3:
    if security is Security.TLS:
        return poplib.POP3_SSL("127.0.0.1", stack.port("pop3s"), timeout=15, context=context())
    client = poplib.POP3("127.0.0.1", stack.port("pop3"), timeout=15)
    if security is Security.STARTTLS:
        client.stls(context())
    return client


def message(client: poplib.POP3, number: int) -> bytes:
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])


@pytest.mark.parametrize("security", list(Security))
def test_poplib(stack: Pop3Stack, security: Security) -> None:
    address = stack.account(*SAMPLES)
    client = connect(stack, security)
    client.user(address)
    client.pass_(PASSWORD)
    assert client.stat() == (3, sum(map(len, SAMPLES)))
    assert client.list()[1] == [b"%d %d" % (n, len(m)) for n, m in enumerate(SAMPLES, 1)]
    unique_ids = client.uidl()[1]
    assert len({line.split()[1] for line in unique_ids}) == 3
    for number, sample in enumerate(SAMPLES, 1):
        assert message(client, number) == sample
    header, _, body = DOTS.partition(b"\r\n\r\n")
    top = b"".join(line + b"\r\n" for line in client.top(3, 2)[1])
    assert top == header + b"\r\n\r\n" + b"".join(body.splitlines(keepends=True)[:2])
    client.dele(2)
    client.quit()
    client = connect(stack, security)
    client.user(address)
    client.pass_(PASSWORD)
    assert client.uidl()[1] == [b"1 " + unique_ids[0].split()[1], b"2 " + unique_ids[2].split()[1]]
    assert message(client, 2) == DOTS
    client.quit()


def test_large_message_is_streamed_whole(stack: Pop3Stack) -> None:
    sample = large_message("large@example.test", 5_000_000)
    address = stack.account(sample)
    for security in Security:
        client = connect(stack, security)
        client.user(address)
        client.pass_(PASSWORD)
        assert message(client, 1) == sample
        assert (
            b"".join(line + b"\r\n" for line in client.top(1, 0)[1]) == sample.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )
        lines = b"".join(line + b"\r\n" for line in client.top(1, 20_000)[1])
        assert sample.startswith(lines)
        assert lines.count(b"\r\n") == 20_000 + sample.partition(b"\r\n\r\n")[0].count(b"\r\n") + 2
        client.quit()


@pytest.mark.parametrize("security", list(Security))
def test_curl(stack: Pop3Stack, tmp_path: Path, security: Security) -> None:
    address = stack.account(*SAMPLES)
    login = Login(address, PASSWORD, tmp_path)
    port = stack.port("pop3s" if security is Security.TLS else "pop3")
    listing = curl_pop3(port, "", login, security).splitlines()
    assert listing == [b"%d %d" % (n, len(m)) for n, m in enumerate(SAMPLES, 1)]
    for number, sample in enumerate(SAMPLES, 1):
        assert curl_pop3(port, str(number), login, security) == sample


@pytest.mark.parametrize("security", list(Security))
def test_fetchmail_takes_all_and_deletes(stack: Pop3Stack, tmp_path: Path, security: Security) -> None:
    samples = [plain_message(f"{n}@example.test") for n in range(20)] + [korean_message("last@example.test")]
    address = stack.account(*samples)
    port = stack.port("pop3s" if security is Security.TLS else "pop3")
    fetched = fetchmail(port, Login(address, PASSWORD, tmp_path), keep=False, security=security)
    assert len(fetched) == len(samples)
    for got, sample in zip(fetched, samples, strict=True):
        # fetchmail puts a Received field in front
        assert got.endswith(sample)
    assert stack.count(address) == 0


def test_openssl(stack: Pop3Stack) -> None:
    for arguments in (["-starttls", "pop3", "-connect", f"127.0.0.1:{stack.port('pop3')}"],
                      ["-connect", f"127.0.0.1:{stack.port('pop3s')}"]):  # fmt: skip
        done = subprocess.run(
            [require("openssl"), "s_client", "-quiet", "-ign_eof", *arguments],
            input=b"CAPA\r\nQUIT\r\n",
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert b"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN\r\n" in done.stdout
        assert b"STLS" not in done.stdout
        assert b"+OK signing off" in done.stdout
        assert b"unexpected eof" not in done.stderr
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(
            [require("openssl"), "s_client", version, "-connect", f"127.0.0.1:{stack.port('pop3s')}"],
            input=b"",
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert b"Cipher is (NONE)" in done.stdout
