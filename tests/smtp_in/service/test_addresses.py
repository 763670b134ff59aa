"""Who gets what: spellings of an address, subaddresses, quota before the body, bounces of what was sent on. Whose From it is."""

import smtplib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack

Dial = Callable[..., Any]
Start = Callable[..., Stack]
ALICE = "alice@example.test"


def say(client: Any, recipient: str, mail: str = "MAIL FROM:<s@far.test>") -> bytes:
    """The answer to one RCPT in a transaction of its own."""
    client.ask(b"RSET")
    assert client.ask(mail.encode()).startswith(b"250 ")
    return bytes(client.ask(f"RCPT TO:<{recipient}>".encode()))


def test_spellings_of_an_address(stack: Stack, dial: Dial) -> None:
    async def prepare(store: StoreClient) -> None:
        await store.admin.domain_add("straße.test")
        await store.admin.domain_alias("bücher.test", "straße.test")
        await store.admin.account_add("jörg@straße.test", PASSWORD)
        await store.admin.alias_add('"with space"@straße.test', (ALICE,))

    stack.administer(prepare)
    utf8 = "MAIL FROM:<s@far.test> SMTPUTF8"
    with dial(stack.port("smtp")) as client:
        client.ask(b"EHLO c.test")
        for recipient in (
            "alice@example.test", "ALICE@EXAMPLE.TEST", '"alice"@example.test', '"al\\ice"@example.test',
            "alice+tag@example.test", "Alice+Tag+More@example.test", '"alice+a b"@example.test',
            '"With Space"@xn--strae-oqa.test', '"with\\ space"@xn--bcher-kva.test',
        ):  # fmt: skip
            assert say(client, recipient) == b"250 2.1.5 Ok", recipient
        for recipient in ("jörg@straße.test", "JÖRG+x@STRAẞE.test", "jo\u0308rg@BÜCHER.test", "jörg@xn--strae-oqa.test"):
            assert say(client, recipient, utf8) == b"250 2.1.5 Ok", recipient
        for recipient, reply in (
            ("alic@example.test", b"550 5.1.1 "), ("+alice@example.test", b"550 5.1.1 "), ('"alice "@example.test', b"550 5.1.1 "),
            ("alice@strasse.test", b"550 5.7.1 "), ('"alice@example.test"@far.test', b"550 5.7.1 "),
        ):  # fmt: skip
            assert say(client, recipient).startswith(reply), recipient


def test_another_separator(start: Start, dial: Dial) -> None:
    with start({"PILLARBOX_STORE__SUBADDRESS_SEPARATOR": "-"}) as own:
        own.add_accounts({"anne-marie@example.test": PASSWORD})
        with dial(own.port("smtp")) as client:
            client.ask(b"EHLO c.test")
            assert say(client, "anne-marie-list-x@example.test").startswith(b"250 ")
            assert say(client, "anne-marie+tag@example.test").startswith(b"550 ")
            assert say(client, "anne@example.test").startswith(b"550 ")


@pytest.mark.parametrize(("setting", "code"), [("temporary", b"452 4.2.2 "), ("permanent", b"552 5.2.2 ")])
def test_over_quota(start: Start, dial: Dial, watch: Callable[[Stack], Any], setting: str, code: bytes) -> None:
    with start({"PILLARBOX_SMTP_IN__OVER_QUOTA": setting}) as own:
        own.add_accounts({ALICE: PASSWORD, "bob@example.test": PASSWORD})
        own.add_alias("both@example.test", ALICE, "bob@example.test")

        def quota(messages: int | None, octets: int | None) -> None:
            own.administer(lambda store: store.admin.quota_set(ALICE, messages, octets))

        quota(None, 5000)
        with dial(own.port("smtp")) as client:
            client.ask(b"EHLO c.test")
            assert say(client, ALICE, "MAIL FROM:<s@far.test> SIZE=5000").startswith(b"250 ")
            assert say(client, ALICE, "MAIL FROM:<s@far.test> SIZE=5001") == code + b"Mailbox has no room for a message of this size"
            assert say(client, "both@example.test", "MAIL FROM:<s@far.test> SIZE=5001").startswith(b"250 ")
            # without a size the transaction decides, and nothing of it happens
            assert say(client, ALICE).startswith(b"250 ")
            client.ask(b"DATA")
            assert client.ask(b"Subject: too big\r\n\r\n" + b"\r\n".join([b"x" * 70] * 80) + b"\r\n.").startswith(code)
            # together with somebody who has room it is taken
            say(client, ALICE)
            assert client.ask(b"RCPT TO:<bob@example.test>").startswith(b"250 ")
            client.ask(b"DATA")
            assert client.ask(b"Subject: shared\r\n\r\n" + b"\r\n".join([b"x" * 70] * 80) + b"\r\n.").startswith(b"250 ")
            assert say(client, ALICE) == code + b"Mailbox is full"
            assert say(client, "both@example.test").startswith(b"250 ")
            own.administer(lambda store: store.admin.quota_set("bob@example.test", 1, None))
            assert say(client, "both@example.test") == code + b"Mailbox is full"
            # a domain is full for all of its accounts
            for root in (ALICE, "bob@example.test"):
                own.administer(lambda store, root=root: store.admin.quota_set(root, None, None))
            assert say(client, ALICE).startswith(b"250 ")
            own.administer(lambda store: store.admin.quota_set("@example.test", 2, None))
            assert say(client, ALICE) == say(client, "bob@example.test") == code + b"Mailbox is full"
        eyes = watch(own)
        assert (len(eyes.mailbox(ALICE)), len(eyes.mailbox("bob@example.test"))) == (1, 1)


def test_a_forward_and_its_bounce(stack: Stack, dial: Dial, watch: Callable[[Stack], Any]) -> None:
    stack.add_alias("away@example.test", ALICE, "me@big-provider.test")
    eyes = watch(stack)
    with dial(stack.port("smtp")) as client:
        client.begin(b"away@example.test", sender=b"A.Rather.Long.Name.Of.A.Person@a-rather-long-name.of-a-domain.test")
        assert client.ask(b"Subject: sent on\r\n\r\nhello\r\n.").startswith(b"250 ")
    (entry,) = [item for item in eyes.queue() if item.recipient == "me@big-provider.test"]
    assert entry.sender.endswith("=a-rather-long-name.of-a-domain.test=A.Rather.Long.Name.Of.A.Person@example.test")
    (copy,) = eyes.with_subject(ALICE, b"sent on")
    assert copy.startswith(b"Return-Path: <A.Rather.Long.Name.Of.A.Person@a-rather-long-name.of-a-domain.test>\r\n")
    with dial(stack.port("smtp")) as client:
        client.begin(entry.sender.encode(), sender=b"")
        assert client.ask(b"Subject: bounced\r\n\r\nsorry\r\n.").startswith(b"250 ")
        client.ask(b"MAIL FROM:<>")
        assert client.ask(b"RCPT TO:<" + entry.sender.replace("SRS0=", "SRS0=z").encode() + b">").startswith(b"550 5.1.1 ")
    (back,) = [item for item in eyes.queue() if item.recipient.endswith("@a-rather-long-name.of-a-domain.test")]
    assert back.recipient == "A.Rather.Long.Name.Of.A.Person@a-rather-long-name.of-a-domain.test"
    assert back.sender == ""


def submit(stack: Stack, header: str, sender: str = ALICE) -> tuple[int, bytes]:
    """The answer to a submission of alice's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", stack.port("submissions"), context=context) as client:
        client.login(ALICE, PASSWORD)
        client.ehlo()
        client.mail(sender, ["SMTPUTF8"])
        client.rcpt("bob@example.test")
        return client.data(f"{header}\r\nSubject: author\r\n\r\nbody\r\n".encode())


MINE = (
    "From: alice@example.test", "From: Alice <ALICE@Example.Test>", 'From: "ceo@bank.test" <alice+x@example.test>',
    'From: <"alice"@example.test>', "From: team@example.test, alice@example.test\r\nSender: alice@example.test",
    "From: =?utf-8?q?ceo=40bank=2Etest?= <alice@example.test>", "From: alice@sister.test", "To: x@far.test",
    "From :\r\n alice@example.test (x)", "From: team: alice@example.test;",
)  # fmt: skip
NOT_MINE = (
    ("From: bob@example.test", b"bob@example.test"), ("From: Alice <ceo@bank.test>", b"ceo@bank.test"),
    ("From: alice@example.test, ceo@bank.test", b"ceo@bank.test"), ("From: alice", b"alice@"),
    ("From: alice@example.test\r\nSender: bob@example.test", b"bob@example.test"), ("From: nobody@example.test", b"nobody@"),
    ("From: ", b"no address"), ("From: people:;", b"people:;"), ("From: Alice", b"Alice"), ("from: <bob@sister.test>", b"bob@sister.test"),
    ("From: é@bank.test", b"??@bank.test"), ("From: SRS0=a=bb=c.test=alice@example.test", b"SRS0=a=bb=c.test=alice@example.test"),
)  # fmt: skip


@pytest.fixture(scope="module")
def sisters(stack: Stack) -> Stack:
    """The stack with a domain that stands for example.test."""
    stack.administer(lambda store: store.admin.domain_alias("sister.test", "example.test"))
    return stack


@pytest.mark.parametrize("header", MINE)
def test_an_author_of_ones_own(sisters: Stack, header: str) -> None:
    assert submit(sisters, header)[0] == 250


@pytest.mark.parametrize(("header", "named"), NOT_MINE)
def test_an_author_of_somebody_elses(sisters: Stack, header: str, named: bytes) -> None:
    code, text = submit(sisters, header)
    assert code == 550
    assert text.startswith(b"5.7.1 From or Sender does not belong to the account that logged in: " + named)


def test_odd_authors(sisters: Stack) -> None:
    assert submit(sisters, "From: alice@example.test\r\nfrom: ceo@bank.test")[1].startswith(b"5.6.0 ")
    crowd = ", ".join(f"alice+{number}@example.test" for number in range(21))
    assert submit(sisters, f"From: {crowd}") == (550, b"5.7.1 Message names too many addresses in From and Sender")
    assert submit(sisters, "From: alice@example.test", "alice@sister.test")[0] == 250


def test_another_server_may_write_any_from(sisters: Stack, dial: Dial) -> None:
    with dial(sisters.port("smtp")) as client:
        client.begin(b"bob@example.test")
        assert client.ask(b"From: ceo@bank.test\r\n\r\nx\r\n.").startswith(b"250 ")


@pytest.mark.parametrize("setting", ["log", "off"])
def test_the_check_can_be_relaxed(start: Start, setting: str) -> None:
    with start({"PILLARBOX_SMTP_IN__CHECK_FROM": setting}) as own:
        own.add_accounts({ALICE: PASSWORD, "bob@example.test": PASSWORD})
        assert submit(own, "From: ceo@bank.test")[0] == 250
