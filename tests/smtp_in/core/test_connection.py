"""Dialogues with the sans-IO connection: the RFCs' examples, pipelining, content, limits, TLS, AUTH, drain, any split."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.events import Event, Profile, RcptRequested
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.state import State
from shared.testing.splits import random_splits, splits_of

Drive = Callable[..., Any]
EHLO = b"EHLO c.test\r\n"
ENVELOPE = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"


def lines(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\r\n" for text in texts)


# The RFCs' examples, client side; codes of the answers.

DIALOGUES: dict[str, tuple[str, bytes, list[str]]] = {
    # RFC 5321 Appendix D.1: one of three recipients is unknown
    "typical": (
        "relay",
        lines(
            "EHLO bar.com",
            "MAIL FROM:<Smith@bar.com>",
            "RCPT TO:<Jones@foo.com>",
            "RCPT TO:<unknown@foo.com>",
            "RCPT TO:<Brown@foo.com>",
            "DATA",
            "Blah blah blah...",
            "...etc. etc. etc.",
            ".",
            "QUIT",
        ),
        ["220", "250", "250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"],
    ),
    # RFC 5321 Appendix D.2
    "aborted": (
        "relay",
        lines(
            "EHLO bar.com",
            "MAIL FROM:<Smith@bar.com>",
            "RCPT TO:<Jones@foo.com>",
            "RCPT TO:<unknown@foo.com>",
            "RSET",
            "QUIT",
        ),
        ["220", "250", "250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.0.0", "221 2.0.0"],
    ),
    # RFC 5321 Appendix D.3: a source route is accepted and ignored
    "relayed": (
        "relay",
        lines(
            "EHLO bar.com",
            "MAIL FROM:<JQP@bar.com>",
            "RCPT TO:<@foo.com:Jones@XYZ.COM>",
            "DATA",
            "Received: from bar.com by foo.com ; Thu, 21 May 1998 05:33:29 -0700",
            "Date: Thu, 21 May 1998 05:33:22 -0700",
            "",
            "text",
            ".",
            "QUIT",
        ),
        ["220", "250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"],
    ),
    # RFC 5321 Appendix D.4
    "verifying": (
        "relay",
        lines("EHLO bar.com", "VRFY Crispin", "QUIT"),
        ["220", "250", "252 2.5.0", "221 2.0.0"],
    ),
    # RFC 2920 §4, second example: pipelined, no recipient is valid
    "pipelined, all recipients fail": (
        "relay",
        lines(
            "EHLO dbc.mtview.ca.us",
            "MAIL FROM:<mrose@dbc.mtview.ca.us>",
            "RCPT TO:<unknown@nisc.sri.com>",
            "RCPT TO:<unknown@emoryu1.test>",
            "DATA",
            "QUIT",
        ),
        ["220", "250", "250 2.1.0", "550 5.1.1", "550 5.1.1", "554 5.5.1", "221 2.0.0"],
    ),
    # RFC 1870 §8, shortened; whole in test_rfc_examples
    "size": (
        "relay",
        lines("EHLO ymir.claremont.edu", "MAIL FROM:<ned@thor.innosoft.com> SIZE=500000", "RCPT TO:<ned@h.test>", "RSET"),
        ["220", "250", "250 2.1.0", "250 2.1.5", "250 2.0.0"],
    ),
    "size too big": (
        "relay",
        lines("EHLO h.test", "MAIL FROM:<ned@h.test> SIZE=99999999999999999999", "RCPT TO:<ned@h.test>"),
        ["220", "250", "552 5.3.4", "503 5.5.1"],
    ),
    # RFC 4954 §4.1, first example
    "auth with initial response": (
        "submissions",
        lines("EHLO client.example.com", "AUTH PLAIN dGVzdAB0ZXN0AHNlY3JldA==", "MAIL FROM:<a@b.test>"),
        ["220", "250", "235 2.7.0", "250 2.1.0"],
    ),
    # RFC 4954 §4.1: wrong password, then the exchange with a challenge
    "auth fails, then succeeds": (
        "submissions",
        lines("EHLO c.test", "AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=", "AUTH PLAIN", "dGVzdAB0ZXN0AHNlY3JldA=="),
        ["220", "250", "535 5.7.8", "334", "235 2.7.0"],
    ),
    "auth login": (
        "trusted",
        lines("EHLO c.test", "AUTH LOGIN", "dGVzdA==", "c2VjcmV0", "AUTH PLAIN"),
        ["220", "250", "334", "334", "235 2.7.0", "503 5.5.1"],
    ),
    "auth cancelled, malformed, unknown": (
        "trusted",
        lines("EHLO c.test", "AUTH PLAIN", "*", "AUTH PLAIN", "???", "AUTH GSSAPI", "AUTH", "AUTH PLAIN =", "NOOP"),
        ["220", "250", "334", "501 5.7.0", "334", "501 5.5.2", "504 5.5.4", "501 5.5.4", "501 5.5.2", "250 2.0.0"],
    ),
    "auth only under TLS": (
        "submission",
        lines("EHLO c.test", "AUTH PLAIN dGVzdAB0ZXN0AHNlY3JldA==", "MAIL FROM:<a@b.test>"),
        ["220", "250", "538 5.7.11", "530 5.7.0"],
    ),
    "auth required": (
        "submissions",
        lines("EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>"),
        ["220", "250", "530 5.7.0", "503 5.5.1"],
    ),
    "no auth on a relay port": (
        "relay",
        lines("EHLO c.test", "AUTH PLAIN dGVzdAB0ZXN0AHNlY3JldA=="),
        ["220", "250", "502 5.5.1"],
    ),
    "arguments": (
        "relay",
        lines("EHLO", "EHLO c.test", "DATA x", "RSET x", "QUIT x", "STARTTLS x", "NOOP x", "HELP x", "VRFY", "MAIL", "QUIT"),
        [
            *["220", "501 5.5.4", "250", "503 5.5.1", "501 5.5.4", "501 5.5.4", "501 5.5.4"],
            *["250 2.0.0", "214 2.0.0", "501 5.5.4", "501 5.5.4", "221 2.0.0"],
        ],
    ),
    "null sender": (
        "relay",
        lines("EHLO c.test", "MAIL FROM:<>", "RCPT TO:<a@b.test>", "RCPT TO:<c@b.test>", "DATA", "x", "."),
        ["220", "250", "250 2.1.0", "250 2.1.5", "452 4.5.3", "354", "250 2.0.0"],
    ),
    "empty message": (
        "relay",
        EHLO + ENVELOPE + b"DATA\r\n.\r\nQUIT\r\n",
        ["220", "250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"],
    ),
    "two transactions, EHLO in a third": (
        "relay",
        EHLO + 2 * (ENVELOPE + b"DATA\r\nx\r\n.\r\n") + ENVELOPE + EHLO + b"DATA\r\n",
        ["220", "250"] + 2 * ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"] + ["250 2.1.0", "250 2.1.5", "250", "503 5.5.1"],
    ),
    "bare newlines in commands": (
        "relay",
        b"EHLO c.test\nEHLO c.test\r\nMAIL FROM:<a@b.test>\rRCPT TO:<c@d.test>\r\nNOOP\r\n",
        ["220", "500 5.5.2", "250", "500 5.5.2", "250 2.0.0"],
    ),
    "a browser": ("relay", b"POST / HTTP/1.1\r\nHost: x\r\nEHLO c.test\r\n", ["220", "421 4.7.0"]),
    "control characters": ("relay", b"EHLO c\x00.test\r\nNOOP \x1b[2J\r\n", ["220", "500 5.5.2", "500 5.5.2"]),
}


@pytest.mark.parametrize("name", list(DIALOGUES))
def test_dialogue_at_any_split(name: str, drive: Drive) -> None:
    port, data, codes = DIALOGUES[name]
    whole = drive(data, port)
    assert whole.codes == codes
    for pieces in splits_of(data):
        assert drive(pieces, port).facts == whole.facts


def test_bytes_behind_quit_are_left_alone(drive: Drive) -> None:
    outcome = drive(b"QUIT\r\nEHLO c.test\r\n")
    assert outcome.codes == ["220", "221 2.0.0"]
    assert outcome.connection.close_reason == "quit"


@given(st.lists(st.sampled_from(sorted(DIALOGUES)), max_size=3), random_splits())
@settings(max_examples=20, deadline=None)
def test_dialogues_in_a_row(drive: Drive, names: list[str], seed: int) -> None:
    data = b"".join(DIALOGUES[name][1] for name in names)
    for port in ("relay", "submission", "submissions", "trusted"):
        whole = drive(data, port)
        for pieces in splits_of(data, seed=seed):
            assert drive(pieces, port).facts == whole.facts


fragments = st.sampled_from(
    [
        *[b"EHLO c\r\n", b"MAIL FROM:<a@b.c>\r\n", b"RCPT TO:<a@b.c>\r\n", b"DATA\r\n", b"\r\n.\r\n", b".", b"\r", b"\n"],
        *[b"\0", b"RSET\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN =\r\n", b"*\r\n", b"\xff", b"x" * 50, b"STARTTLS\r\n", b"<"],
        *[b"XCLIENT ADDR=192.0.2.7\r\n", b"LHLO c\r\n"],
    ]
)
small = Limits(command_line_octets=40, auth_line_octets=60, message_octets=100, errors=6, idle_commands=5, messages=3)


@given(st.lists(fragments | st.binary(max_size=20), max_size=25), random_splits(), st.sampled_from(["relay", "trusted", "front", "lmtp"]))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_never_raise_and_split_the_same(
    drive: Drive, parts: list[bytes], seed: int, port: str
) -> None:
    # STARTTLS throws away what came behind it in one piece, so there the split does count.
    data = b"".join(parts)
    whole = drive(data, port, limits=small)
    assert all(len(line) <= 510 for line in whole.output.split(b"\r\n"))
    if b"STARTTLS" in data:
        return
    for pieces in splits_of(data, seed=seed):
        assert drive(pieces, port, limits=small).facts == whole.facts


# Pipelining.


def test_a_batch_is_answered_with_one_write(drive: Drive) -> None:
    # RFC 2920 §4, first example
    batch = lines("MAIL FROM:<m@a.test>", "RCPT TO:<a@b.test>", "RCPT TO:<c@b.test>", "RCPT TO:<d@b.test>", "DATA")
    outcome = drive([EHLO, batch, b"x\r\n.\r\nQUIT\r\n"])
    assert len(outcome.writes) == 4
    assert outcome.writes[2].count(b"\r\n") == 5
    assert outcome.writes[2].endswith(replies.START_DATA.wire)
    assert outcome.writes[3].startswith(b"250 2.0.0 Ok: queued as ")
    assert outcome.writes[3].endswith(b"closing connection\r\n")


def test_ehlo_announces_what_the_port_has(drive: Drive) -> None:
    def keywords(port: str, data: bytes = EHLO) -> set[str]:
        text = drive(data, port).output.decode()
        return {line[4:] for line in text.split("\r\n")[2:-1]}

    base = {"PIPELINING", "SIZE 52428800", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN"}
    base.add("LIMITS MAILMAX=1000 RCPTMAX=1000")
    assert keywords("relay") == base | {"STARTTLS"}
    assert keywords("submission") == base | {"STARTTLS"}
    assert keywords("submissions") == base | {"REQUIRETLS", "AUTH SCRAM-SHA-256 PLAIN LOGIN"}
    assert keywords("trusted") == base | {"STARTTLS", "AUTH SCRAM-SHA-256 PLAIN LOGIN"}
    assert drive(b"HELO c.test\r\n").output.endswith(b"250 mx.example.test\r\n")


# Content.


def content(data: bytes, drive: Drive, **options: Any) -> Any:
    whole = drive(EHLO + ENVELOPE + b"DATA\r\n" + data, **options)
    for pieces in splits_of(data):
        assert drive([EHLO + ENVELOPE + b"DATA\r\n", *pieces], **options).facts == whole.facts
    return whole


def test_dots_are_removed(drive: Drive) -> None:
    outcome = content(b"..a\r\n.b\r\n...\r\nc\r\n.\r\nQUIT\r\n", drive)
    assert outcome.messages == [b".a\r\nb\r\n..\r\nc\r\n"]
    assert outcome.codes[-2:] == ["250 2.0.0", "221 2.0.0"]


@pytest.mark.parametrize(
    "marker",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r"],
)
def test_smuggling(marker: bytes, drive: Drive) -> None:
    smuggled = b"MAIL FROM:<admin@b.test>\r\nRCPT TO:<victim@d.test>\r\nDATA\r\nevil\r\n.\r\n"
    outcome = content(b"Subject: x\r\n\r\nhello" + marker + smuggled + b"NOOP\r\n", drive)
    assert outcome.senders == ["a@b.test"]
    assert outcome.messages == []
    assert outcome.dropped == [replies.BARE_NEWLINE]
    # In step: the command behind the real end is read as a command.
    assert outcome.codes[-2:] == ["550 5.6.11", "250 2.0.0"]


def test_too_big_while_receiving(drive: Drive) -> None:
    limits = Limits(message_octets=100)
    outcome = content(b"x" * 98 + b"\r\n.\r\nNOOP\r\n", drive, limits=limits)
    assert outcome.codes[-2:] == ["250 2.0.0", "250 2.0.0"]
    assert len(outcome.messages) == 1
    outcome = content(b"x" * 99 + b"\r\n.\r\nNOOP\r\n", drive, limits=limits)
    assert outcome.codes[-2:] == ["552 5.3.4", "250 2.0.0"]
    assert outcome.messages == []
    outcome = content(b"x" * 300 + b"\r\n.\r\nNOOP\r\n", drive, limits=limits)
    assert outcome.codes[-1] == "552 5.3.4"
    assert outcome.connection.closed


def test_a_refused_content_leaves_the_session_usable(drive: Drive) -> None:
    def full(event: Event) -> Reply:
        return replies.RECIPIENT_OK if isinstance(event, RcptRequested) else replies.OK if first(event) else replies.LOOP

    def first(event: Event) -> bool:
        return type(event).__name__ == "MailRequested"

    outcome = drive(EHLO + 2 * (ENVELOPE + b"DATA\r\nx\r\n.\r\n"), answer=full)
    assert outcome.codes[-1] == "554 5.4.6"
    assert outcome.connection.state is State.READY
    assert outcome.connection.messages == 2


# Limits.


def test_line_limit(drive: Drive) -> None:
    limits = Limits(command_line_octets=512)
    fits = b"NOOP " + b"x" * 505 + b"\r\n"
    assert len(fits) == 512
    assert drive(fits, limits=limits).codes == ["220", "250 2.0.0"]
    assert drive(b"NOOP x" + fits[5:] + b"NOOP\r\n", limits=limits).codes == ["220", "500 5.5.2", "250 2.0.0"]
    endless = drive([b"x" * 1000] * 100 + [b"\r\nNOOP\r\n"], limits=limits)
    assert endless.codes == ["220", "500 5.5.2", "250 2.0.0"]


def test_auth_line_limit(drive: Drive) -> None:
    outcome = drive(EHLO + b"AUTH PLAIN\r\n" + b"A" * 10_000 + b"\r\nNOOP\r\n", "trusted")
    assert outcome.codes == ["220", "250", "334", "500 5.5.6", "250 2.0.0"]


def test_recipient_limit(drive: Drive) -> None:
    data = EHLO + b"MAIL FROM:<a@b.test>\r\n" + b"".join(b"RCPT TO:<u%d@d.test>\r\n" % n for n in range(102))
    outcome = drive(data + b"DATA\r\nx\r\n.\r\n", limits=Limits(recipients=100))
    assert outcome.codes.count("250 2.1.5") == 100
    assert outcome.codes.count("452 4.5.3") == 2
    assert outcome.codes[-1] == "250 2.0.0"


def test_too_many_errors(drive: Drive) -> None:
    outcome = drive(b"FROB\r\n" * 30, limits=Limits(errors=5))
    assert outcome.codes == ["220"] + 5 * ["500 5.5.2"] + ["421 4.7.0"]
    assert outcome.connection.close_reason == "errors"


def test_too_many_refused_recipients(drive: Drive) -> None:
    data = EHLO + b"MAIL FROM:<a@b.test>\r\n" + b"RCPT TO:<unknown@d.test>\r\n" * 10
    outcome = drive(data, limits=Limits(refused_recipients=3))
    assert outcome.codes[-4:] == 3 * ["550 5.1.1"] + ["421 4.7.0"]
    assert outcome.connection.close_reason == "refused recipients"


def test_too_many_idle_commands(drive: Drive) -> None:
    outcome = drive(b"NOOP\r\n" * 10, limits=Limits(idle_commands=4))
    assert outcome.codes == ["220"] + 4 * ["250 2.0.0"] + ["421 4.7.0"]
    # A message sets the count back.
    work = b"NOOP\r\n" * 2 + ENVELOPE + b"DATA\r\nx\r\n.\r\n"
    assert not drive(EHLO + 5 * work, limits=Limits(idle_commands=4)).connection.closed


def test_too_many_messages(drive: Drive) -> None:
    outcome = drive(EHLO + 3 * (ENVELOPE + b"DATA\r\nx\r\n.\r\n"), limits=Limits(messages=2))
    assert len(outcome.messages) == 2
    assert outcome.codes[-1] == "421 4.7.0"


def test_too_many_auth_failures(drive: Drive) -> None:
    outcome = drive(EHLO + b"AUTH PLAIN AGEAd3Jvbmc=\r\n" * 5, "trusted", limits=Limits(auth_failures=3))
    assert outcome.codes == ["220", "250"] + 3 * ["535 5.7.8"] + ["421 4.7.0"]


def test_a_store_that_is_away_is_no_failed_login(drive: Drive) -> None:
    outcome = drive(EHLO + b"AUTH PLAIN AGEAd3Jvbmc=\r\n" * 5, "trusted", answer=lambda _: replies.AUTH_UNAVAILABLE)
    assert outcome.codes == ["220", "250"] + 5 * ["454 4.7.0"]


# TLS.


def test_starttls_forgets_everything(drive: Drive) -> None:
    # RFC 3207 §5 (the example) and §4.2, CVE-2011-0411: what was sent in plaintext behind STARTTLS is never executed.
    injected = b"AUTH PLAIN AGEAc2VjcmV0\r\nRSET\r\n"
    outcome = drive([EHLO + b"STARTTLS\r\n" + injected, b"MAIL FROM:<a@b.test>\r\n" + EHLO], "submission")
    assert outcome.codes == ["220", "250", "220 2.0.0", "503 5.5.1", "250"]
    assert outcome.plaintext_dropped == len(injected)
    assert b"AUTH SCRAM-SHA-256 PLAIN LOGIN" in outcome.writes[-1]
    assert b"STARTTLS" not in outcome.writes[-1]
    assert outcome.writes[1].endswith(replies.TLS_READY.wire)
    assert not outcome.connection.authenticated


def test_starttls_forgets_a_login_in_plaintext(drive: Drive) -> None:
    login = b"AUTH PLAIN AGEAc2VjcmV0\r\n"
    outcome = drive([EHLO + login + b"STARTTLS\r\n", EHLO + b"MAIL FROM:<a@b.test>\r\n" + login], "trusted")
    assert outcome.codes[2:] == ["235 2.7.0", "220 2.0.0", "250", "530 5.7.0", "235 2.7.0"]


def test_starttls_twice_and_where_it_is_not_offered(drive: Drive) -> None:
    outcome = drive([EHLO + b"STARTTLS\r\n", EHLO + b"STARTTLS\r\nNOOP\r\n"])
    assert outcome.codes[-2:] == ["503 5.5.1", "250 2.0.0"]
    assert drive(EHLO + b"STARTTLS\r\n", "submissions").codes[-1] == "503 5.5.1"


def test_starttls_without_a_certificate() -> None:
    connection = Connection(Profile("h.test", submission=False, starttls=False), Limits())
    connection.feed(EHLO + b"STARTTLS\r\n")
    assert connection.next_event() is None
    output = connection.take_output()
    assert output.endswith(replies.TLS_NOT_OFFERED.wire)
    assert b"STARTTLS\r\n" not in output.replace(replies.TLS_NOT_OFFERED.wire, b"")


# Drain, timeout, refusal at connect.


def feed(connection: Connection, data: bytes) -> list[Event]:
    connection.feed(data)
    events = []
    while (event := connection.next_event()) is not None:
        events.append(event)
        if type(event).__name__ in ("MailRequested", "RcptRequested", "ContentEnded"):
            connection.answer(replies.OK)
    return events


def test_drain_when_idle_and_inside_a_transaction() -> None:
    connection = Connection(Profile("h.test", submission=False), Limits())
    feed(connection, EHLO)
    connection.drain()
    assert connection.closed
    assert connection.take_output().endswith(replies.unavailable("h.test").wire)

    connection = Connection(Profile("h.test", submission=False), Limits())
    feed(connection, EHLO + b"MAIL FROM:<a@b.test>\r\n")
    connection.drain()
    feed(connection, b"RCPT TO:<c@d.test>\r\nDATA\r\nhel")
    assert not connection.closed
    feed(connection, b"lo\r\n.\r\nMAIL FROM:<a@b.test>\r\n")
    assert connection.closed
    assert connection.take_output().endswith(replies.OK.wire + replies.unavailable("h.test").wire)
    assert connection.messages == 1


@pytest.mark.parametrize("end", [b"RSET\r\n", b"EHLO c.test\r\n", b"RCPT TO:<c@d.test>\r\nDATA\r\nbare\n\r\n.\r\n"])
def test_drain_after_a_transaction_that_came_to_nothing(end: bytes) -> None:
    connection = Connection(Profile("h.test", submission=False), Limits())
    feed(connection, EHLO + b"MAIL FROM:<a@b.test>\r\n")
    connection.drain()
    feed(connection, end)
    assert connection.closed
    assert connection.close_reason == "drained"


def test_timeout_and_refusal() -> None:
    connection = Connection(Profile("h.test", submission=False), Limits())
    connection.time_out()
    assert connection.take_output() == b"421 4.4.2 h.test timed out waiting for you\r\n"
    assert connection.close_reason == "timeout"
    connection = Connection(Profile("h.test", submission=False), Limits())
    connection.greet(replies.reply(554, "5.7.1", "Go away"))
    assert connection.closed
    assert connection.take_output() == b"554 5.7.1 Go away\r\n"


def test_misuse_by_the_driver_is_told() -> None:
    connection = Connection(Profile("h.test", submission=False), Limits())
    with pytest.raises(RuntimeError):
        connection.answer(replies.OK)
    connection.feed(EHLO + b"MAIL FROM:<a@b.test>\r\n")
    assert connection.next_event() is not None
    with pytest.raises(RuntimeError):
        connection.next_event()
