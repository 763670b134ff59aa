"""Groups that take mail from few: over real sockets, from accounts, members elsewhere, and who says that he is one."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from shared.contract.group_types import Posting
from shared.testing.dns_server import DnsServer, Trouble
from shared.testing.stack import PASSWORD

KEY = ed25519.Ed25519PrivateKey.generate()
SEED = base64.b64encode(
    KEY.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
).decode()
ZONES = {
    "signed.test": {"TXT": ['"v=spf1 -all"']},
    "sel._domainkey.signed.test": {"TXT": [f'"v=DKIM1; k=ed25519; p={PUBLIC}"']},
    "_dmarc.signed.test": {"TXT": ['"v=DMARC1; p=reject"']},
    "member.test": {"TXT": ['"v=spf1 ip4:127.0.0.1 -all"']},
    "forged.test": {"TXT": ['"v=spf1 -all"']},
    "example.test": {"TXT": ['"v=spf1 -all"']},
    "shaky.test": Trouble.SERVFAIL,
}
GROUP = b"team@example.test"
ACCOUNTS = ("alice@example.test", "bob@example.test", "carol@example.test")
NOT_A_POSTER = b"550 5.7.1 You may not post to this group"


@pytest.fixture(scope="module")
def server(start):
    with DnsServer(ZONES) as dns:
        settings = {"PILLARBOX_DNS__RESOLVERS": dns.setting, "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "127.0.0.9/32"}
        with start(settings) as running:
            running.add_accounts(dict.fromkeys(ACCOUNTS, PASSWORD))
            members = ("alice@example.test", "bob@example.test", *(f"m@{name}.test" for name in ("member", "forged", "shaky", "signed")))
            running.add_alias("team@example.test", *members)
            running.administer(lambda store: store.admin.alias_posting("team@example.test", Posting.MEMBERS, ()))
            yield running


def login(client, account):
    client.ask(b"EHLO client.test")
    token = base64.b64encode(f"\0{account}\0{PASSWORD}".encode())
    assert client.ask(b"AUTH PLAIN " + token).startswith(b"235 ")


def offer(client, sender, *recipients):
    """The reply to the first RCPT that is refused, or to the content."""
    assert client.ask(b"MAIL FROM:<" + sender + b">").startswith(b"250 ")
    for recipient in recipients:
        reply = client.ask(b"RCPT TO:<" + recipient + b">")
        if not reply.startswith(b"250 "):
            client.ask(b"RSET")
            return reply
    assert client.ask(b"DATA").startswith(b"354 ")
    return client.ask(b"From: " + (sender or b"x@y.test") + b"\r\nSubject: to the group\r\n\r\nHello.\r\n.")


def test_accounts_post_as_what_they_are(server, dial):
    for account, code in (("alice@example.test", b"250 "), ("carol@example.test", NOT_A_POSTER)):
        with dial(server.port("submissions"), tls=True) as client:
            login(client, account)
            assert offer(client, account.encode(), GROUP).startswith(code)
            # the others of the message are not held up at RCPT
            assert offer(client, account.encode(), b"bob@example.test").startswith(b"250 ")


def test_from_elsewhere(server, dial, watch):
    with dial(server.port("smtp")) as client:
        client.ask(b"EHLO client.test")
        assert offer(client, b"m@member.test", GROUP).startswith(b"250 ")
        assert offer(client, b"M@member.test", b"Team+x@example.test").startswith(b"250 ")
        for stranger in (b"other@member.test", b"carol@example.test", b""):
            assert offer(client, stranger, GROUP) == NOT_A_POSTER
        # who says that he is a member, one of ours or not
        for liar in (b"m@forged.test", b"alice@example.test"):
            assert offer(client, liar, GROUP).startswith(b"550 5.7.1 Cannot tell ")
            assert offer(client, liar, b"bob@example.test").startswith(b"250 ")
        assert offer(client, b"m@shaky.test", GROUP).startswith(b"451 4.7.26 ")
    with dial(server.port("smtp"), source="127.0.0.9") as client:
        client.ask(b"EHLO client.test")
        assert offer(client, b"m@forged.test", GROUP).startswith(b"250 ")
        assert offer(client, b"carol@example.test", GROUP) == NOT_A_POSTER
    senders = [content.partition(b"\r\n")[0] for content in watch(server).with_subject("alice@example.test", b"to the group")]
    assert senders.count(b"Return-Path: <m@member.test>") + senders.count(b"Return-Path: <M@member.test>") == 2
    assert senders.count(b"Return-Path: <m@forged.test>") == 1


def test_dmarc_of_the_same_domain_is_as_good(server, dial):
    """What the domain in From vouches for is no proof of another domain's envelope."""
    plain = b"From: m@signed.test\r\nSubject: signed\r\n\r\nHello.\r\n"
    field = dkim.sign(plain, b"sel", b"signed.test", SEED, include_headers=[b"from"], signature_algorithm=b"ed25519-sha256")
    with dial(server.port("smtp")) as client:
        client.ask(b"EHLO client.test")
        for sender, code in ((b"m@signed.test", b"250 "), (b"m@forged.test", b"550 5.7.1 Cannot tell ")):
            client.ask(b"MAIL FROM:<" + sender + b">")
            client.ask(b"RCPT TO:<" + GROUP + b">")
            client.ask(b"DATA")
            client.send(field + plain)
            assert client.ask(b".").startswith(code)
