"""NOTIFY=SUCCESS for who is here: a report with the commit, to the account or queued to the sender (RFC 3461 §5.2.3, §5.2.7)."""

import email
import email.policy
import smtplib
from collections.abc import Callable
from typing import Any

from shared.testing.stack import Stack

Dial = Callable[..., Any]


def reports_of(eyes: Any, address: str, envelope_id: str) -> list[Any]:
    found = [message for message in eyes.mailbox(address) if f"Original-Envelope-Id: {envelope_id}\r\n".encode() in message]
    return [email.message_from_bytes(message, policy=email.policy.default) for message in found]


def send(stack: Stack, sender: str, recipients: list[tuple[str, list[str]]], mail: list[str]) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("smtp"), local_hostname="client.test") as client:
        client.ehlo()
        assert client.has_extn("dsn")
        assert client.mail(sender, mail)[0] == 250
        for recipient, options in recipients:
            assert client.rcpt(recipient, options)[0] == 250
        assert client.data("Subject: notify\r\n\r\nbody\r\n")[0] == 250


def test_delivered_here_is_told_to_a_sender_here(stack: Stack, eyes: Any) -> None:
    wanted = ["NOTIFY=SUCCESS", "ORCPT=rfc822;Bob+2B1@old.test"]
    send(stack, "alice@example.test", [("bob@example.test", wanted)], ["ENVID=local+2B1", "RET=FULL"])
    (report,) = reports_of(eyes, "alice@example.test", "local+1")
    _, status, returned = report.iter_parts()
    _, told = status.get_payload()
    assert (told["Action"], told["Status"]) == ("delivered", "2.0.0")
    assert told["Final-Recipient"] == "rfc822;bob@example.test"
    assert told["Original-Recipient"] == "rfc822;Bob+1@old.test"
    # no failure in it: the header is enough
    assert returned.get_content_type() == "text/rfc822-headers"


def test_a_sender_elsewhere_gets_it_by_the_queue_under_the_null_sender(stack: Stack, eyes: Any) -> None:
    send(stack, "far@elsewhere.test", [("bob@example.test", ["NOTIFY=SUCCESS,FAILURE"])], ["ENVID=far1"])
    (entry,) = [item for item in eyes.queue() if item.recipient == "far@elsewhere.test"]
    assert entry.sender == ""


def test_nobody_else_is_told(stack: Stack, eyes: Any) -> None:
    before = len(eyes.queue())
    for wanted in ([], ["NOTIFY=NEVER"], ["NOTIFY=FAILURE,DELAY"]):
        send(stack, "alice@example.test", [("bob@example.test", wanted)], ["ENVID=quiet1"])
    send(stack, "", [("bob@example.test", ["NOTIFY=SUCCESS"])], ["ENVID=quiet1"])
    assert reports_of(eyes, "alice@example.test", "quiet1") == []
    assert len(eyes.queue()) == before


def test_wrong_parameters_are_501(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("smtp")) as client:
        client.ask(b"EHLO client.test")
        assert client.ask(b"MAIL FROM:<a@b.test> RET=SOME").startswith(b"501 ")
        assert client.ask(b"MAIL FROM:<a@b.test> RET=HDRS ENVID=x").startswith(b"250 ")
        assert client.ask(b"RCPT TO:<bob@example.test> NOTIFY=NEVER,SUCCESS").startswith(b"501 ")
        assert client.ask(b"RCPT TO:<bob@example.test> NOTIFY=NEVER").startswith(b"250 ")
