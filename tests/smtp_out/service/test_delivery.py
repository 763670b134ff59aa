"""The real service on a real store: mail that goes out, waits, or comes back."""

from __future__ import annotations

import email
import email.policy
import re
import urllib.request
from typing import cast

import pytest

from shared.contract.history_types import Passage
from shared.contract.types import OutcomeKind
from shared.model.dialogue import unpack
from shared.model.ids import EntryId
from shared.rpc.store_client import StoreClient
from shared.testing.dns_server import Trouble
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import Close, Gate, Say

MAIL = b"From: alice@example.test\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\n.dots\r\nbody\r\n"


def bounce_of(content: bytes) -> tuple[str, list[email.message.Message]]:
    """The words for people and the per-recipient fields of a DSN."""
    message = cast("email.message.EmailMessage", email.message_from_bytes(content, policy=email.policy.default))
    assert message.get_content_type() == "multipart/report"
    human, status, _ = message.iter_parts()
    return human.get_content(), cast("list[email.message.Message]", status.get_payload())[1:]


def test_a_message_goes_out_byte_for_byte(world: OutboundWorld) -> None:
    with world.peer("go.test") as peer:
        world.submit(ALICE, ["bob@go.test", "eve@go.test"], b"Return-Path: <x>\r\n" + MAIL, skip_octets=18)
        (mail,) = peer.wait_messages(1)
        world.wait_queue_empty()
    assert mail.content == MAIL
    assert (mail.sender, set(mail.recipients)) == (ALICE, {"bob@go.test", "eve@go.test"})
    assert mail.hello == "mail.example.test"
    assert f"SIZE={len(MAIL)}" in mail.mail_parameters
    (line,) = world.smtp_out.wait_for_log(r"delivered.*bob@go\.test")
    assert re.search(r"mx\.go\.test\[127\.", line)
    assert "taken" in line


def test_a_large_message_streams(world: OutboundWorld) -> None:
    content = MAIL + (b"x" * 76 + b"\r\n") * 40_000
    with world.peer("large.test") as peer:
        world.submit(ALICE, ["bob@large.test"], content)
        assert peer.wait_messages(1)[0].content == content
        world.wait_queue_empty()


def test_many_messages_share_connections(world: OutboundWorld) -> None:
    with world.peer("many.test") as peer:
        world.submit_many([(ALICE, [f"r{i}@many.test"], MAIL) for i in range(100)])
        mails = peer.wait_messages(100)
        world.wait_queue_empty()
        assert sorted(mail.recipients[0] for mail in mails) == sorted(f"r{i}@many.test" for i in range(100))
        assert peer.most_connections <= 20
        assert peer.connections < 50


def test_temporary_failures_are_retried(world: OutboundWorld) -> None:
    script = {
        "RCPT": [Say("450 4.2.0 greylisted")],
        "CONNECT": [Say("421 busy"), Close()],
        "END": [Say("451 4.3.0 disk full"), Close()],
    }
    with world.peer("later.test", script) as peer:
        world.submit(ALICE, ["bob@later.test"], MAIL)
        world.wait_queue_empty()
        assert len(peer.messages) == 1
    lines = world.smtp_out.wait_for_log(r"deferred.*bob@later\.test", count=5)
    assert "greylisted" in "".join(lines)


def test_what_an_attempt_led_to_is_kept(world: OutboundWorld) -> None:
    with world.peer("kept.test", {"RCPT": Say("450 4.2.0 come back in a year")}):
        (entry,) = world.submit(ALICE, ["bob@kept.test"], MAIL)
        world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
        attempt = world.show(entry).history[0]
        assert (attempt.kind, attempt.code, attempt.enhanced) == (OutcomeKind.DEFERRED, 450, "4.2.0")
        assert attempt.remote.startswith("mx.kept.test[127.")
        said = [f"{line.way.value} {line.text}" for line in unpack(attempt.dialogue)]
        assert re.fullmatch(r"\* connected to mx\.kept\.test\[127\..*\]:\d+", said[0])
        assert said[1].startswith("< 220 ")
        assert "> EHLO mail.example.test" in said
        assert "* no TLS" in said
        assert [line for line in said if line.startswith("> RCPT")] == ["> RCPT TO:<bob@kept.test>"]
        assert "< 450 4.2.0 come back in a year" in said
        assert "hello" not in "\n".join(said)
        world.stack.administer(lambda store: store.admin.queue_remove((entry,)))


def test_recipients_of_one_transaction_share_its_dialogue(world: OutboundWorld) -> None:
    script = {f"RCPT {name}@shared.test": Say("550 5.1.1 nobody here") for name in ("x", "y")}
    with world.peer("shared.test", {**script, "RCPT z@shared.test": Say("450 later")}) as peer:
        world.submit(ALICE, [f"{name}@shared.test" for name in "xyz"] + ["bob@shared.test"], MAIL)
        peer.wait_messages(1)
        world.wait(lambda: len(world.queue()) == 1, "not tried")
    (waiting,) = world.queue()

    async def passages(store: StoreClient) -> tuple[Passage, ...]:
        return (await store.history.find(waiting.trace, 1)).passages

    told = [passage for passage in world.stack.administer(passages) if passage.at < waiting.queued_at + 60 and passage.dialogue]
    first = [passage for passage in told if passage.dialogue == told[0].dialogue]
    assert sorted(passage.recipients[0][0] for passage in first) == ["b", "x", "y", "z"]
    (data,) = world.stack.administer(lambda store: store.history.dialogues((told[0].dialogue,)))
    said = [line.text for line in unpack(data)]
    assert sum(text.startswith("550") for text in said) == 2
    assert f"({len(MAIL) + 1 + 3} octets)" in said  # one dot is doubled, and the last line is one
    world.stack.administer(lambda store: store.admin.queue_remove((waiting.entry_id,)))


@pytest.mark.parametrize(
    ("domain", "zone", "status", "words"),
    [
        ("missing.test", None, "5.1.2", "no such mail domain"),
        ("null.test", {"MX": ["0 ."]}, "5.1.10", "takes no mail"),
        ("noaddress.test", {"MX": ["10 nowhere.noaddress.test."]}, "5.4.4", "no mail server"),
    ],
)
def test_domains_that_take_no_mail_bounce(
    world: OutboundWorld, domain: str, zone: dict[str, list[str]] | None, status: str, words: str
) -> None:
    if zone is not None:
        world.dns.set(domain, zone)
    before = len(world.inbox())
    world.submit(ALICE, [f"bob@{domain}"], MAIL)
    text, (recipient,) = bounce_of(world.wait_inbox(before + 1)[-1])
    world.wait_queue_empty()
    assert recipient["Status"] == status
    assert recipient["Final-Recipient"] == f"rfc822;bob@{domain}"
    assert words in text


def test_a_refused_recipient_bounces_once_and_the_others_get_it(world: OutboundWorld) -> None:
    before = len(world.inbox())
    script = {f"RCPT {name}@part.test": Say("550 5.1.1 nobody here") for name in ("x", "y")}
    with world.peer("part.test", script) as peer:
        world.submit(ALICE, ["x@part.test", "ok@part.test", "y@part.test"], MAIL)
        assert peer.wait_messages(1)[0].recipients == ("ok@part.test",)
        world.wait_queue_empty()
    inbox = world.wait_inbox(before + 1)
    assert len(inbox) == before + 1
    text, recipients = bounce_of(inbox[-1])
    assert {part["Final-Recipient"] for part in recipients} == {"rfc822;x@part.test", "rfc822;y@part.test"}
    assert all(part["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody here" for part in recipients)
    assert text.index("no such address") < text.index("nobody here")
    assert b"<1@example.test>" in inbox[-1]


def test_the_null_sender_gets_no_bounce(world: OutboundWorld) -> None:
    before = len(world.inbox())
    world.submit("", ["bob@missing2.test"], MAIL)
    world.smtp_out.wait_for_log("null sender")
    world.wait_queue_empty()
    assert len(world.inbox()) == before


def test_a_bounce_to_a_remote_sender_goes_out_with_the_null_sender_and_ends_there(world: OutboundWorld) -> None:
    with world.peer("origin.test", {"RCPT": Say("550 5.1.1 no")}) as peer:
        world.submit("forwarder@origin.test", ["bob@missing3.test"], MAIL)
        peer.wait_command("RCPT TO:<forwarder@origin.test>")
        world.wait_queue_empty()
        assert "MAIL FROM:<>" in " ".join(peer.commands)
        assert not peer.messages


def test_dns_trouble_defers(world: OutboundWorld) -> None:
    world.dns.set("flaky.test", Trouble.SERVFAIL)
    (entry,) = world.submit(ALICE, ["bob@flaky.test"], MAIL)
    world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
    assert "DNS" in world.show(entry).last_text
    with world.peer("flaky.test") as peer:
        peer.wait_messages(1)
        world.wait_queue_empty()


def test_a_hop_without_8bitmime_gets_converted_content_and_no_signed_one(world: OutboundWorld) -> None:
    before = len(world.inbox())
    with world.peer("seven.test", extensions=("SIZE",)) as peer:
        content = "Subject: x\r\n\r\n한글\r\n".encode()
        world.submit(ALICE, ["bob@seven.test"], content, eight_bit=True)
        (mail,) = peer.wait_messages(1)
        assert mail.content == (
            b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n7ZWc6riADQo=\r\n"
        )
        signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b--\r\n"
        world.submit(ALICE, ["bob@seven.test"], signed, eight_bit=True)
        _, (recipient,) = bounce_of(world.wait_inbox(before + 1)[-1])
        assert recipient["Status"] == "5.6.3"
        assert "signature" in recipient["Diagnostic-Code"]
        assert len(peer.messages) == 1


def test_content_goes_in_chunks_where_offered(world: OutboundWorld) -> None:
    with world.peer("chunks.test", extensions=("PIPELINING", "CHUNKING")) as peer:
        large = MAIL + b"x" * 70 * 10_000 + b"\r\n"
        world.submit(ALICE, ["bob@chunks.test"], MAIL)
        world.submit(ALICE, ["bob@chunks.test"], large)
        assert sorted(mail.content for mail in peer.wait_messages(2)) == sorted((MAIL, large))
        assert "DATA" not in peer.commands
        world.wait_queue_empty()


def test_a_destination_that_is_down_never_delays_another(world: OutboundWorld) -> None:
    gate = Gate()
    dead = [f"dead{i}.test" for i in range(30)]
    with world.peer("dead.test", {"CONNECT": gate}) as tarpit, world.peer("alive.test") as alive:
        for domain in dead:
            world.point(domain, tarpit.address[0])
        world.submit_many([(ALICE, [f"r{i}@{domain}"], MAIL) for domain in dead for i in range(5)])
        tarpit.wait_for(gate.reached.is_set)
        world.submit_many([(ALICE, [f"r{i}@alive.test"], MAIL) for i in range(50)])
        alive.wait_messages(50)
        gate.opened.set()
        tarpit.wait_messages(150)
        world.wait_queue_empty()


def test_metrics(world: OutboundWorld) -> None:
    with world.peer("counted.test") as peer:
        world.submit(ALICE, ["bob@counted.test"], MAIL)
        peer.wait_messages(1)
        world.wait_queue_empty()
        world.submit(ALICE, [f"r{number}@counted.test" for number in range(30)], MAIL)
        peer.wait_messages(2)
        world.wait_queue_empty()
    host, port = world.smtp_out.metrics_address()
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as response:
        text = response.read().decode()
    assert re.search(r'pillarbox_smtp_out_attempts_total{kind="delivered"} \d+', text)
    assert re.search(r"pillarbox_smtp_out_leased \d+", text)
    assert re.search(r'pillarbox_smtp_out_destination_attempts_total{destination="other",kind="delivered"} \d+', text)
    assert re.search(r'pillarbox_smtp_out_destination_attempts_total{destination="counted.test",kind="delivered"} 30', text)
    assert re.search(r'pillarbox_smtp_out_destination_seconds_count{destination="counted.test"} 1', text)


def test_an_entry_taken_out_stays_out(world: OutboundWorld) -> None:
    with world.peer("taken.test", {"CONNECT": Say("421 later")}):
        (entry,) = world.submit(ALICE, ["bob@taken.test"], MAIL)
        world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
        world.stack.administer(lambda store: store.admin.queue_remove((EntryId(entry),)))
        world.wait_queue_empty()


def test_a_bounce_for_many_recipients_with_long_replies_arrives(world: OutboundWorld) -> None:
    before = len(world.inbox())
    header = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 900) for number in range(80))
    with world.peer("wordy.test", {"RCPT": Say("550-5.1.1 " + "긴" * 600 + "\n550 5.1.1 " + "말" * 600)}):
        world.submit(ALICE, [f"{'r' * 50}{i}@wordy.test" for i in range(100)], header + MAIL)
        bounce = world.wait_inbox(before + 1)[-1]
        world.wait_queue_empty()
    assert bounce.count(b"\r\nFinal-Recipient:") == 100
    assert len(bounce) > 256 * 1024
