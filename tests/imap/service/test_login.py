"""Logging in by SASL: SCRAM on real connections with real channels, and what every mechanism answers to wrong input."""

import base64
import hashlib
import ssl

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD


def b64(data):
    return base64.b64encode(data)


def scram(client, mechanism, scram_client, *, initial=True):
    """Run an exchange; the tagged answer, and whether the server proved itself."""
    first = b64(scram_client.first())
    tag = client.start(f"AUTHENTICATE {mechanism}".encode() + (b" " + first if initial else b""))
    if not initial:
        assert client.read_response() == b"+ "
        client.send(first + b"\r\n")
    challenge = client.read_response()
    if not challenge.startswith(b"+ "):
        return challenge.removeprefix(tag + b" "), False
    client.send(b64(scram_client.final(base64.b64decode(challenge[2:]))) + b"\r\n")
    last = client.read_response()
    if not last.startswith(b"+ "):
        return last.removeprefix(tag + b" "), False
    proved = scram_client.check(base64.b64decode(last[2:]))
    client.send(b"\r\n")
    return client.finish(tag).tagged, proved


@pytest.mark.parametrize("initial", [True, False])
def test_scram(stack, account, initial):
    with ImapClient(stack.port("imap")) as client:
        assert b"AUTH=SCRAM-SHA-256" in client.ok("CAPABILITY").untagged[0].split()
        assert b"AUTH=SCRAM-SHA-256-PLUS" not in client.ok("CAPABILITY").untagged[0].split()
        answer, proved = scram(client, "SCRAM-SHA-256", ScramClient(account, PASSWORD), initial=initial)
        assert answer.startswith(b"OK [CAPABILITY ")
        assert proved
        client.ok("SELECT INBOX")


def test_scram_with_the_channel_bound(stack, account):
    certificate = ssl.PEM_cert_to_DER_cert(stack.certificate.read_text())
    binding = ("tls-server-end-point", hashlib.sha256(certificate).digest())
    port = stack.port("imaps")
    with ImapClient(port, tls=True) as client:
        names = client.ok("CAPABILITY").untagged[0].split()
        assert b"AUTH=SCRAM-SHA-256-PLUS" in names
        # exporter and certificate are both there: another value of either is refused
        for wrong in (("tls-exporter", b"x" * 32), ("tls-server-end-point", b"x" * 32)):
            answer, _ = scram(client, "SCRAM-SHA-256-PLUS", ScramClient(account, PASSWORD, binding=wrong))
            assert answer.startswith(b"NO [AUTHENTICATIONFAILED]")
        answer, proved = scram(client, "SCRAM-SHA-256-PLUS", ScramClient(account, PASSWORD, binding=binding))
        assert answer.startswith(b"OK")
        assert proved
    with ImapClient(port, tls=True) as client:
        # RFC 5802 §6: a client that could bind was told that we cannot
        answer, _ = scram(client, "SCRAM-SHA-256", ScramClient(account, PASSWORD, flag=b"y"))
        assert answer.startswith(b"NO [AUTHENTICATIONFAILED]")
        answer, proved = scram(client, "SCRAM-SHA-256", ScramClient(account, PASSWORD))
        assert answer.startswith(b"OK")
        assert proved


def test_scram_after_starttls_is_bound_to_that_channel(stack, account):
    certificate = ssl.PEM_cert_to_DER_cert(stack.certificate.read_text())
    binding = ("tls-server-end-point", hashlib.sha256(certificate).digest())
    with ImapClient(stack.port("imap")) as client:
        client.ok("STARTTLS")
        client.start_tls()
        answer, _ = scram(client, "SCRAM-SHA-256-PLUS", ScramClient(account, PASSWORD, binding=binding))
        assert answer.startswith(b"OK")


def test_nobody_learns_who_exists(stack, account):
    def asked(name):
        client.start(b"AUTHENTICATE SCRAM-SHA-256 " + b64(ScramClient(name, "x").first()))
        challenge = base64.b64decode(client.read_response()[2:])
        client.send(b"*\r\n")
        assert client.read_response().split(b" ", 1)[1].startswith(b"BAD")
        return challenge.split(b",")[1:]

    with ImapClient(stack.port("imap")) as client:
        for name in (account, "nobody@example.test", "no address"):
            first = asked(name)
            assert asked(name) == first  # always the same salt, whether or not there is one
            assert len(base64.b64decode(first[0][2:])) == 16
        assert asked(account)[1] == asked("nobody@example.test")[1]
    with ImapClient(stack.port("imap")) as client:
        answers = {scram(client, "SCRAM-SHA-256", ScramClient(name, "x"))[0] for name in (account, "nobody@example.test")}
        assert answers == {b"NO [AUTHENTICATIONFAILED] User name or password is wrong"}


def test_failed_logins_of_all_kinds_count(stack, account):
    with ImapClient(stack.port("imap")) as client:
        assert client.command(f"LOGIN {account} wrong").tagged.startswith(b"NO")
        assert scram(client, "SCRAM-SHA-256", ScramClient(account, "wrong"))[0].startswith(b"NO")
        plain = b64(f"other\0{account}\0{PASSWORD}".encode())
        assert client.command(b"AUTHENTICATE PLAIN " + plain).tagged.startswith(b"NO [AUTHORIZATIONFAILED]")
        assert client.read_response().startswith(b"* BYE Too many failed logins")
        assert client.at_end()


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"SCRAM-SHA-256"])
def test_wrong_input_ends_the_exchange_only(stack, account, mechanism):
    with ImapClient(stack.port("imap")) as client:
        for line in (b"*", b"not base64", b"QQ", b"", b"A" * 9000, b"QUFB"):
            tag = client.start(b"AUTHENTICATE " + mechanism)
            assert client.read_response() == b"+ "
            client.send(line + b"\r\n")
            assert client.finish(tag).tagged.startswith(b"BAD"), line
        for initial in (b"=", b"!", b"QUFB", b"A" * 7000):
            assert client.command(b"AUTHENTICATE " + mechanism + b" " + initial).tagged.startswith(b"BAD"), initial
        assert client.command(b"AUTHENTICATE GSSAPI").tagged.startswith(b"NO [CANNOT]")
        assert client.command(b"AUTHENTICATE").tagged.startswith(b"BAD")
        client.login(account, PASSWORD)
        assert client.command(b"AUTHENTICATE " + mechanism).tagged.startswith(b"BAD Already")


def test_login_takes_strings_of_every_form(stack):
    account, password = 'quo"ted@example.test', 'back\\sl"ash 한글'
    stack.add_account(f'"{account[:7]}"@example.test'.replace('quo"ted', 'quo\\"ted'), password)
    name = b'"quo\\"ted"@example.test'
    with ImapClient(stack.port("imap")) as client:
        secret = password.encode()
        tag = client.start(b"LOGIN {%d}" % len(name))
        assert client.read_response() == b"+ OK"
        client.send(name + b" {%d+}\r\n" % len(secret) + secret + b"\r\n")
        assert client.finish(tag).ok
    with ImapClient(stack.port("imap")) as client:
        quoted = [text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for text in (name, secret)]
        assert client.command(b'LOGIN "%b" "%b"' % (quoted[0], quoted[1])).ok
    with ImapClient(stack.port("imap")) as client:
        answer, proved = scram(client, "SCRAM-SHA-256", ScramClient(name.decode(), password))
        assert (answer[:2], proved) == (b"OK", True)


def test_id_is_bounded_and_nothing_secret_is_logged(stack, account):
    with ImapClient(stack.port("imap")) as client:
        pairs = b" ".join(b'"f%d" "v"' % number for number in range(31))
        assert client.command(b"ID (%b)" % pairs).tagged.startswith(b"BAD")
        assert client.command(b'ID ("%b" "v")' % (b"n" * 31)).tagged.startswith(b"BAD")
        assert client.command(b'ID ("name" "%b")' % (b"v" * 1025)).tagged.startswith(b"BAD")
        assert client.ok(b'ID ("name" "x\x01y" "version" NIL)').ok
        client.login(account, PASSWORD)
