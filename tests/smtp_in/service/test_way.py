"""REQUIRETLS, TLS-Required, FUTURERELEASE and DELIVERBY by real clients, into the store's queue and out of it again."""

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from shared.contract.queue_types import HERE, QueueItem
from shared.contract.wishes_types import ByMode, TlsWish
from shared.testing.stack import PASSWORD, Stack

ALICE, BOB = "alice@example.test", "bob@example.test"
WAIT_SECONDS = 15.0


@contextmanager
def client(stack: Stack, port: str = "submission", *, tls: bool = True, login: bool = True) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", stack.port(port), local_hostname="client.test") as one:
        if tls:
            context = ssl.create_default_context(cafile=str(stack.certificate))
            context.check_hostname = False
            one.starttls(context=context)
        one.ehlo()
        if login:
            one.login(ALICE, PASSWORD)
        yield one


def send(
    one: smtplib.SMTP, subject: str, parameters: str, *recipients: str, sender: str = ALICE, header: str = "", notify: str = ""
) -> tuple[int, str]:
    code, text = one.docmd(f"MAIL FROM:<{sender}> {parameters}".rstrip())
    if code != 250:
        return code, text.decode()
    for recipient in recipients:
        assert one.docmd(f"RCPT TO:<{recipient}> {notify}".rstrip())[0] == 250
    return one.data(f"{header}From: {sender}\r\nSubject: {subject}\r\n\r\nbody\r\n")[0], ""


def queued(eyes: Any, recipient: str) -> list[QueueItem]:
    return [item for item in eyes.queue() if item.recipient == recipient]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.03)


def test_what_is_offered(stack: Stack) -> None:
    with client(stack) as one:
        assert one.has_extn("requiretls")
        seconds, date = one.esmtp_features["futurerelease"].split()
        assert (seconds, one.esmtp_features["deliverby"]) == ("2592000", "60")
        assert send(one, "x", f"HOLDUNTIL={date}", "held@elsewhere.test")[0] == 250
        assert send(one, "x", "HOLDFOR=2592001", BOB)[0] == 501
        assert send(one, "x", "HOLDUNTIL=2020-01-01T00:00:00Z", BOB) == (501, "5.5.4 The time of HOLDUNTIL is over")
        assert send(one, "x", "HOLDUNTIL=2199-01-01T00:00:00Z", BOB)[0] == 501
        assert send(one, "x", "BY=59;R", BOB)[0] == 550
    with client(stack, "smtp", tls=False, login=False) as one:
        assert not any(map(one.has_extn, ("requiretls", "futurerelease", "deliverby")))
        assert send(one, "x", "REQUIRETLS", BOB, sender="a@b.test")[0] == 555
        assert send(one, "x", "HOLDFOR=60", BOB, sender="a@b.test")[0] == 555


def test_a_message_for_later_waits_for_everybody(stack: Stack, eyes: Any) -> None:
    with client(stack) as one:
        begun = time.time()
        assert send(one, "later", "HOLDFOR=2", BOB, "later@elsewhere.test")[0] == 250
    assert eyes.with_subject(BOB, b"later") == []
    (copy,) = [item for item in queued(eyes, BOB) if item.destination == HERE]
    (away,) = queued(eyes, "later@elsewhere.test")
    assert copy.due_at == away.due_at >= begun + 2
    wait_for(lambda: bool(eyes.with_subject(BOB, b"later")))
    assert time.time() >= begun + 2
    (content,) = eyes.with_subject(BOB, b"later")
    assert content.startswith(b"Return-Path: <alice@example.test>\r\nReceived: ")


def test_no_success_is_told_before_it_is_one(stack: Stack, eyes: Any) -> None:
    with client(stack) as one:
        assert send(one, "confirm", "HOLDFOR=2 ENVID=early", BOB, notify="NOTIFY=SUCCESS")[0] == 250
    assert not any(b"Original-Envelope-Id: early" in message for message in eyes.mailbox(ALICE))


def test_requiretls_goes_along_where_an_alias_leads(stack: Stack, eyes: Any) -> None:
    with client(stack, "smtp", login=False) as one:
        assert send(one, "secret", "REQUIRETLS ENVID=secret", "team@example.test", sender="joe@far.test", notify="NOTIFY=SUCCESS")[0] == 250
    items = [item for item in eyes.queue() if item.wishes.tls is TlsWish.REQUIRED]
    # what the alias sends on, and the report that it was expanded
    assert sorted((item.recipient, bool(item.sender)) for item in items) == [("carol@elsewhere.test", True), ("joe@far.test", False)]
    assert eyes.with_subject(BOB, b"secret")


def test_the_header_asks_for_less(stack: Stack, eyes: Any) -> None:
    with client(stack) as one:
        assert send(one, "x", "", "lax@elsewhere.test", header="TLS-Required: No\r\n")[0] == 250
        assert send(one, "x", "REQUIRETLS", "strict@elsewhere.test", header="TLS-Required: No\r\n")[0] == 250
    assert [item.wishes.tls for item in queued(eyes, "lax@elsewhere.test")] == [TlsWish.OPTIONAL]
    assert [item.wishes.tls for item in queued(eyes, "strict@elsewhere.test")] == [TlsWish.REQUIRED]


def test_the_time_to_deliver_in_is_kept(stack: Stack, eyes: Any) -> None:
    with client(stack) as one:
        begun = time.time()
        assert send(one, "x", "BY=120;RT", "by@elsewhere.test")[0] == 250
    (item,) = queued(eyes, "by@elsewhere.test")
    assert (item.wishes.by_mode, item.wishes.by_trace, item.expires_at) == (ByMode.RETURN, True, item.wishes.deliver_by)
    assert begun + 120 <= item.expires_at <= time.time() + 120


def test_what_accounts_submit_waits_a_while_where_that_is_set(start: Callable[..., Stack], watch: Callable[[Stack], Any]) -> None:
    with start({"PILLARBOX_SMTP_IN__HOLD_SECONDS": "2", "PILLARBOX_SMTP_IN__FUTURE_RELEASE_SECONDS": "0"}) as stack:
        stack.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        eyes = watch(stack)
        with client(stack, "smtp", login=False) as one:
            # what comes from elsewhere does not wait
            assert send(one, "at once", "", BOB, sender="joe@far.test")[0] == 250
        assert len(eyes.with_subject(BOB, b"at once")) == 1
        with client(stack) as one:
            assert not one.has_extn("futurerelease")
            assert send(one, "no", "HOLDFOR=60", BOB)[0] == 555
            assert send(one, "oops", "", BOB)[0] == 250
        assert eyes.with_subject(BOB, b"oops") == []
        wait_for(lambda: len(eyes.with_subject(BOB, b"oops")) == 1)
        assert eyes.queue() == []
