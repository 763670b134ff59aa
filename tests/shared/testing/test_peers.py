"""The peers themselves: DNS answers what the test said, Postfix takes mail for its users and relays the rest."""

import smtplib
from collections.abc import Iterator
from email import message_from_bytes, policy

import dns.resolver
import pytest

from shared.testing.dnsmasq import Dnsmasq
from shared.testing.mail_samples import (
    FILE_NAME,
    GREETING,
    SUBJECT,
    assert_intact,
    korean_message,
    large_message,
    plain_message,
)
from shared.testing.postfix import Postfix
from shared.testing.smtp_peer import SmtpPeer


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with Postfix() as peer:
        yield peer


def test_dnsmasq_answers_mx_and_says_no_to_the_rest() -> None:
    with Dnsmasq({"remote.test": ["a.remote.test", "b.remote.test"]}, {"a.remote.test": "127.0.0.5"}) as server:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [server.address], server.port
        found = sorted((answer.preference, str(answer.exchange)) for answer in resolver.resolve("remote.test", "MX"))
        assert found == [(10, "a.remote.test."), (20, "b.remote.test.")]
        assert [str(answer) for answer in resolver.resolve("a.remote.test", "A")] == ["127.0.0.5"]
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolver.resolve("nobody.test", "MX")


def test_postfix_receives_byte_for_byte_and_refuses_unknown_users(postfix: Postfix) -> None:
    sent = korean_message("k1@example.test", "carol@remote.test")
    with smtplib.SMTP(postfix.address, postfix.port) as client:
        client.starttls()
        refused = client.sendmail("a@example.test", ["carol@remote.test", "nobody@remote.test"], sent)
    assert refused["nobody@remote.test"][0] == 550
    arrived = postfix.wait_message("carol", "k1@example.test")
    assert_intact(arrived, sent)


def test_postfix_relays_along_its_transports() -> None:
    sent = plain_message("r1@remote.test")
    with SmtpPeer() as ours, Postfix(transports={"example.test": ("127.0.0.1", ours.port)}) as peer:
        with smtplib.SMTP(peer.address, peer.port) as client:
            client.sendmail("carol@remote.test", ["bob@example.test"], sent)
        ours.wait_messages(1)
        assert_intact(bytes(ours.messages[0].content), sent)


def test_the_korean_message_is_what_it_says() -> None:
    sent = korean_message("k2@example.test")
    parsed = message_from_bytes(sent, policy=policy.default)
    assert parsed["Subject"] == SUBJECT
    parts = [part for part in parsed.walk() if not part.is_multipart()]
    texts = [part.get_content() for part in parts if part.get_content_type() == "text/plain"]
    assert [GREETING in text for text in texts] == [True, True, True, True, False]
    assert [part.get_filename() for part in parts if part.get_filename()] == [FILE_NAME]
    assert max(map(len, sent.split(b"\r\n"))) == 998
    assert b"\n" not in sent.replace(b"\r\n", b"")


def test_assert_intact_sees_every_change() -> None:
    sent = korean_message("k3@example.test")
    assert_intact(b"Return-Path: <>\r\nReceived: by a\r\n\t(here)\r\n" + sent, sent)
    for changed in (b"X-Spam: no\r\n" + sent, sent + b"\r\n", sent.replace(b"\r\n\ttabs", b" tabs"), sent[:-2]):
        with pytest.raises(AssertionError):
            assert_intact(changed, sent)
    assert 20_000_000 <= len(large_message("l1", 20_000_000)) < 20_001_000
