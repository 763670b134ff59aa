"""Exim sends to us: to the MX port with and without each extension that it uses by itself, and as a client with a password."""

import smtplib
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.model.ids import EntryId
from shared.testing.exim import Exim
from shared.testing.mail_samples import assert_intact, korean_message, large_message, plain_message
from shared.testing.stack import PASSWORD, Stack
from shared.testing.world import message_in_inbox

LARGE = 20_000_000
BOB = "bob@example.test"


def hand_over(exim: Exim, sender: str, to: str, message: bytes, *, mail: tuple[str, ...] = (), rcpt: tuple[str, ...] = ()) -> None:
    """Somebody of exim.test gives a message to their server."""
    with smtplib.SMTP(exim.address, exim.port) as client:
        client.sendmail(sender, [to], message, ("BODY=8BITMIME", *mail), rcpt)


def arrived(stack: Stack, exim: Exim, message_id: str) -> bytes:
    """Bob's message as it is in the INBOX once Exim has been told that we have it."""
    queue_id = exim.wait_logged(rf"(\S+) <= [^\n]* id={message_id}\b")[1]
    exim.wait_logged(rf"{queue_id} => ")
    return message_in_inbox(stack.port("imap"), BOB, message_id)


WAYS: dict[str, tuple[Mapping[str, str], str, str]] = {
    "all": ({}, " L K ", "with ESMTPS"),
    "no-chunking": ({"hosts_try_chunking": ""}, " L C=", "with ESMTPS"),
    "no-pipelining": ({"hosts_avoid_pipelining": "*"}, " K C=", "with ESMTPS"),
    "no-tls": ({"hosts_avoid_tls": "*"}, " L K ", "with ESMTP"),
    "helo": ({"hosts_avoid_esmtp": "*"}, " C=", "with SMTP"),
}
"""Options of the transport; what marks the delivery in Exim's log (L: pipelining, K: chunking); what our Received says."""


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_keeps_every_byte(mail_stack: Stack, cache: Path, way: str) -> None:
    options, marks, protocol = WAYS[way]
    sent = korean_message(f"{way}@exim.test", BOB, "carol@exim.test")
    with Exim(cache, next_hop=("127.0.0.1", mail_stack.port("smtp")), transport=options) as exim:
        hand_over(exim, "carol@exim.test", BOB, sent)
        got = arrived(mail_stack, exim, f"{way}@exim.test")
        (told,) = [line for line in exim.logged.splitlines() if f"=> {BOB}" in line]
    assert_intact(got, sent)
    assert marks in told
    assert (" X=TLS1.3" in told) == protocol.endswith("S")
    assert f"{protocol} id" in b" ".join(got.split()[:30]).decode("utf-8", "replace")


def test_large_utf8_and_notifications(mail_stack: Stack, cache: Path) -> None:
    with Exim(cache, next_hop=("127.0.0.1", mail_stack.port("smtp"))) as exim:
        large = large_message("large@exim.test", LARGE, "carol@exim.test")
        hand_over(exim, "carol@exim.test", BOB, large)
        assert_intact(arrived(mail_stack, exim, "large@exim.test"), large)

        addressed = plain_message("utf8@exim.test", "밥@example.test", "carol@exim.test")
        hand_over(exim, "carol@exim.test", "밥@example.test", addressed, mail=("SMTPUTF8",))
        assert_intact(arrived(mail_stack, exim, "utf8@exim.test"), addressed)

        # RFC 3461 §5.2.2: the request goes along to us who speak DSN, and the report is ours
        asking = plain_message("dsn@exim.test", BOB, "carol@exim.test")
        hand_over(exim, "carol@exim.test", BOB, asking, mail=("RET=HDRS", "ENVID=e1"), rcpt=("NOTIFY=SUCCESS",))
        assert_intact(arrived(mail_stack, exim, "dsn@exim.test"), asking)
        (report,) = mail_stack.administer(lambda store: store.admin.queue_list(EntryId(0), 10))
        assert (report.sender, report.recipient) == ("", "carol@exim.test")

        nobody = plain_message("nobody@exim.test", "nobody@example.test", "carol@exim.test")
        hand_over(exim, "carol@exim.test", "nobody@example.test", nobody)
        exim.wait_logged(r"\*\* nobody@example\.test [^\n]*550 5\.1\.1")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_as_a_client_with_a_password(mail_stack: Stack, cache: Path, mechanism: str, listener: str) -> None:
    alice = f"alice-{mechanism.lower()}-{listener}@example.test"
    mail_stack.add_account(alice)
    words = f"^{alice}^{PASSWORD}" if mechanism == "PLAIN" else f": {alice} : {PASSWORD}"
    authenticators = f"client:\n  driver = plaintext\n  public_name = {mechanism}\n  client_send = {words}\n"
    options = {"hosts_require_auth": "*", "hosts_require_tls": "*"}
    if listener == "submissions":
        options["protocol"] = "smtps"
    sent = korean_message(f"{mechanism}-{listener}@exim.test", BOB, alice)
    hop = ("127.0.0.1", mail_stack.port(listener))
    with Exim(cache, next_hop=hop, transport=options, authenticators=authenticators) as exim:
        hand_over(exim, alice, BOB, sent)
        got = arrived(mail_stack, exim, f"{mechanism}-{listener}@exim.test")
        (told,) = [line for line in exim.logged.splitlines() if f"=> {BOB}" in line]
    assert_intact(got, sent)
    assert " A=client " in told
    assert b"with ESMTPSA id" in b" ".join(got.split()[:30])
