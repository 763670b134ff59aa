"""What is refused after its content and kept all the same: over real sockets."""

import base64

import pytest
import trio

from shared.contract.registry import Role
from shared.contract.types import ContentRange
from shared.errors import NoSuchMailbox
from shared.model.packed import unpack_u32
from shared.testing.dns_server import DnsServer
from shared.testing.stack import PASSWORD, open_client

ZONES = {
    "forged.test": {"TXT": ['"v=spf1 -all"']},
    "_dmarc.forged.test": {"TXT": ['"v=DMARC1; p=reject"']},
}
BASE = {"PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "127.0.0.9/32", "PILLARBOX_SMTP_IN__KEEP_REJECTS_DAYS": "7"}
ALICE, BOB = "alice@example.test", "bob@example.test"
FORGED = b"From: ceo@forged.test\r\nSubject: your code\r\n\r\n123456\r\n"


@pytest.fixture(scope="module")
def dns():
    with DnsServer(ZONES) as running:
        yield running


@pytest.fixture(scope="module")
def server(start, dns):
    with start({**BASE, "PILLARBOX_DNS__RESOLVERS": dns.setting}) as running:
        running.add_accounts(dict.fromkeys((ALICE, BOB), PASSWORD))
        yield running


def offer(client, content, *recipients, sender=b"ceo@forged.test"):
    client.ask(b"EHLO client.test")
    client.ask(b"MAIL FROM:<" + sender + b">")
    for recipient in recipients:
        assert client.ask(b"RCPT TO:<" + recipient.encode() + b">").startswith(b"250 ")
    client.ask(b"DATA")
    client.send(content)
    return client.ask(b".")


def rejects(server, account):
    """The contents of an account's Rejects, and its keywords; None where there is no such mailbox."""

    async def read():
        async with open_client(server.data_dir, Role.IMAP) as imap:
            grant = (await imap.auth.login(account, PASSWORD, "127.0.0.1")).grant
            try:
                box = (await imap.mailboxes.status(grant, "Rejects")).mailbox_id
            except NoSuchMailbox:
                return None
            page = await imap.messages.changes(grant, box, 0, 0, 100)
            ranges = tuple(ContentRange(uid) for uid in unpack_u32(page.uids))
            return list(await imap.messages.read(grant, box, ranges)), page.keywords

    return trio.run(read)


def test_what_a_check_refused_is_found(server, dial):
    with dial(server.port("smtp")) as client:
        assert offer(client, FORGED, ALICE, BOB).startswith(b"550 5.7.26 ")
    for account in (ALICE, BOB):
        (content,), keywords = rejects(server, account)
        first, second, third = content.split(b"\r\n", 3)[:3]
        assert first == b"Return-Path: <ceo@forged.test>"
        assert second.startswith(b"X-Rejected: 550 5.7.26 The owner of the domain")
        assert third.startswith(b"Authentication-Results: mx.example.test;")
        assert content.endswith(FORGED)
        assert keywords == ("$Rejected",)

    async def find(store):
        while True:
            history = await store.history.find("ceo@forged.test", 5)
            if history.passages:
                return history.passages

    (passage,) = server.administer(find)
    assert passage.text.endswith(", kept in Rejects for 2")


def test_what_is_not_kept(server, dial):
    server.add_accounts({"none@example.test": PASSWORD})
    to = "none@example.test"
    loop = b"Received: x\r\n" * 60
    with dial(server.port("smtp"), source="127.0.0.9") as client:
        assert offer(client, loop + FORGED, to).startswith(b"554 5.4.6 ")
        assert offer(client, FORGED.replace(b"\r\n\r\n", b"\r\n\r\n\n"), to).startswith(b"550 5.6.11 ")
        assert offer(client, b"", to).startswith(b"250 ")
    with dial(server.port("smtp"), source="127.0.0.8") as client:
        assert offer(client, FORGED + b"x" * 70 * 4000 + b"\r\n", to).startswith(b"550 5.7.26 ")
    with dial(server.port("submissions"), tls=True) as client:
        client.ask(b"EHLO client.test")
        client.ask(b"AUTH PLAIN " + base64.b64encode(f"\0{to}\0{PASSWORD}".encode()))
        assert offer(client, FORGED, to, sender=to.encode()).startswith(b"550 5.7.1 ")
    assert rejects(server, to) is None


def test_a_minute_has_a_bound_and_a_client_its_share(start, dns, dial):
    settings = {**BASE, "PILLARBOX_DNS__RESOLVERS": dns.setting, "PILLARBOX_SMTP_IN__KEEP_REJECTS_PER_MINUTE": "12"}
    with start(settings) as own:
        own.add_accounts({ALICE: PASSWORD})
        for source in ("127.0.0.2", "127.0.0.3"):
            with dial(own.port("smtp"), source=source) as client:
                for _ in range(4):
                    assert offer(client, FORGED, ALICE).startswith(b"550 5.7.26 ")
        assert len(rejects(own, ALICE)[0]) == 4


def test_off_by_default(start, dns, dial):
    with start({**BASE, "PILLARBOX_DNS__RESOLVERS": dns.setting, "PILLARBOX_SMTP_IN__KEEP_REJECTS_DAYS": "0"}) as own:
        own.add_accounts({ALICE: PASSWORD})
        with dial(own.port("smtp")) as client:
            assert offer(client, FORGED, ALICE).startswith(b"550 5.7.26 ")
        assert rejects(own, ALICE) is None


def test_a_store_that_is_away_changes_nothing(start, dns, dial):
    """The refusal needs nothing of the store; the keeping gives up after a second."""
    with start({**BASE, "PILLARBOX_DNS__RESOLVERS": dns.setting}) as own:
        own.add_accounts({ALICE: PASSWORD})
        with dial(own.port("smtp")) as client:
            client.ask(b"EHLO client.test")
            client.ask(b"MAIL FROM:<ceo@forged.test>")
            client.ask(b"RCPT TO:<alice@example.test>")
            client.ask(b"DATA")
            own["store"].stop()
            client.send(FORGED)
            assert client.ask(b".").startswith(b"550 5.7.26 ")
