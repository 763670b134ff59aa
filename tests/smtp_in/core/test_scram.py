"""SCRAM in the sans-IO connection: RFC 7677's example over SMTP, what is offered, every end of an exchange, any split."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.events import MailRequested, Profile, ScramRequested
from services.smtp_in.protocol.limits import Limits
from shared.sasl.credentials import MAX_RESPONSE_OCTETS
from shared.testing.scram_judge import CLIENT_FINAL, CLIENT_FIRST, SERVER_FINAL, SERVER_FIRST, WRONG_FINAL
from shared.testing.splits import random_splits, splits_of
from shared.wire import base64

Drive = Callable[..., Any]
EHLO = b"EHLO c.test\r\n"
SCRAM = b"AUTH SCRAM-SHA-256"


def lines(*texts: bytes) -> bytes:
    return b"".join(text + b"\r\n" for text in texts)


WHOLE = EHLO + lines(SCRAM + b" " + CLIENT_FIRST, CLIENT_FINAL, b"", b"MAIL FROM:<a@b.test>")
GREETED = ["220", "250"]


@pytest.mark.parametrize("initial", [True, False])
def test_rfc7677_example(drive: Drive, initial: bool) -> None:
    # RFC 7677 §3, RFC 4954 §4
    begin = lines(SCRAM + b" " + CLIENT_FIRST) if initial else lines(SCRAM, CLIENT_FIRST)
    outcome = drive([EHLO, begin, lines(CLIENT_FINAL), lines(b""), lines(b"MAIL FROM:<a@b.test>")], "trusted")
    asked = b"" if initial else b"334 \r\n"
    assert outcome.output.split(b"LIMITS", 1)[1].split(b"\r\n", 1)[1] == (
        asked
        + lines(b"334 " + SERVER_FIRST, b"334 " + SERVER_FINAL)
        + replies.AUTH_OK.wire
        + replies.SENDER_OK.wire
    )
    assert outcome.connection.authenticated
    assert drive(WHOLE, "trusted").facts == drive(splits_of_whole(), "trusted").facts


def splits_of_whole() -> list[bytes]:
    return [bytes([octet]) for octet in WHOLE]


# RFC 4954 §4, §6: how an exchange ends; the NOOP behind it shows that lines are commands again.
ENDS: dict[str, tuple[list[bytes], list[str]]] = {
    "wrong proof": ([CLIENT_FIRST, WRONG_FINAL], ["334", "535 5.7.8"]),
    "cancelled at once": ([b"*"], ["501 5.7.0"]),
    "cancelled after the challenge": ([CLIENT_FIRST, b"*"], ["334", "501 5.7.0"]),
    "our signature is not believed": ([CLIENT_FIRST, CLIENT_FINAL, b"*"], ["334", "334", "501 5.7.0"]),
    "no base64": ([b"???"], ["501 5.5.2"]),
    "nothing": ([b""], ["501 5.5.2"]),
    "no first message": ([base64.encode(b"n,,hello")], ["501 5.5.2"]),
    "no final message": ([CLIENT_FIRST, b"NOOP"], ["334", "501 5.5.2"]),
    "too long": ([CLIENT_FIRST, b"A" * 10_000], ["334", "500 5.5.6"]),
    "bound, but by the mechanism without": (
        [base64.encode(b"p=tls-exporter,,n=user,r=abc")],
        ["501 5.5.2"],
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_of_an_exchange(drive: Drive, name: str) -> None:
    sent, codes = ENDS[name]
    data = EHLO + lines(SCRAM, *sent, b"NOOP")
    outcome = drive(data, "trusted")
    assert outcome.codes == [*GREETED, "334", *codes, "250 2.0.0"]
    assert not outcome.connection.authenticated
    for pieces in splits_of(data):
        assert drive(pieces, "trusted").facts == outcome.facts
    again = drive(data + lines(SCRAM + b" " + CLIENT_FIRST, CLIENT_FINAL, b""), "trusted")
    assert again.codes[-3:] == ["334", "334", "235 2.7.0"]


def test_a_store_that_is_away_ends_the_exchange() -> None:
    connection = Connection(Profile("h.test", submission=True, plaintext_auth=True), Limits())
    connection.feed(WHOLE)
    assert isinstance(connection.next_event(), ScramRequested)
    assert not connection.authenticated
    connection.answer(replies.AUTH_UNAVAILABLE)
    assert connection.next_event() is None
    assert not connection.authenticated
    # what the client had sent ahead is no part of an exchange any more
    codes = [line[:9] for line in connection.take_output().split(b"\r\n") if line[3:4] == b" "]
    assert codes[1:] == [b"454 4.7.0", b"500 5.5.2", b"500 5.5.2", b"530 5.7.0"]


def test_messages_say_which_exchange_they_belong_to() -> None:
    connection = Connection(Profile("h.test", submission=True, plaintext_auth=True), Limits())
    seen = []
    connection.feed(EHLO + lines(SCRAM, CLIENT_FIRST, b"*", SCRAM + b" " + CLIENT_FIRST, CLIENT_FINAL, b"*"))
    while (event := connection.next_event()) is not None:
        assert isinstance(event, ScramRequested)
        assert CLIENT_FINAL.decode() not in repr(event)
        seen.append((event.message.first, event.message.mechanism))
        connection.challenge(b"whatever")
    assert seen == [(first, "SCRAM-SHA-256") for first in (True, True, False)]


def offered(output: bytes) -> list[bytes]:
    return [line[8:] for line in output.split(b"\r\n") if line.startswith(b"250-AUTH")]


def test_what_is_offered_is_what_works(drive: Drive) -> None:
    # RFC 5802 §6: -PLUS only where the channel can be bound
    every = b" SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
    assert offered(drive(EHLO, "submissions", binding=True).output) == [every]
    assert offered(drive(EHLO, "submissions").output) == [b" SCRAM-SHA-256 PLAIN LOGIN"]
    assert offered(drive(EHLO, "trusted", binding=True).output) == [b" SCRAM-SHA-256 PLAIN LOGIN"]
    assert offered(drive(EHLO, "submission", binding=True).output) == []
    assert offered(drive(EHLO, "relay", binding=True).output) == []
    after_tls = drive([EHLO + b"STARTTLS\r\n", EHLO], "submission", binding=True)
    assert offered(after_tls.output) == [every]
    for port in ("submissions", "trusted"):
        assert drive(EHLO + lines(SCRAM + b"-PLUS"), port).codes[-1] == "504 5.5.4"
    assert drive(EHLO + lines(SCRAM + b"-PLUS"), "submissions", binding=True).codes[-1] == "334"
    assert drive(EHLO + lines(SCRAM), "submission").codes[-1] == "538 5.7.11"
    assert drive(EHLO + lines(SCRAM), "relay").codes[-1] == "502 5.5.1"


def test_wrong_proofs_count_as_wrong_passwords_do(drive: Drive) -> None:
    attempt = lines(SCRAM + b" " + CLIENT_FIRST, WRONG_FINAL)
    outcome = drive(EHLO + attempt * 2 + b"AUTH PLAIN AGEAd3Jvbmc=\r\nNOOP\r\n", "trusted")
    assert outcome.codes[2:] == ["334", "535 5.7.8"] * 2 + ["535 5.7.8", "421 4.7.0"]
    assert outcome.connection.close_reason == "authentication failures"


def test_malformed_and_cancelled_exchanges_count_as_errors(drive: Drive) -> None:
    for last in (b"*", b"QUFB"):
        attempt = lines(SCRAM + b" " + CLIENT_FIRST, last)
        outcome = drive(EHLO + attempt * 5, "trusted", limits=Limits(errors=4))
        assert outcome.codes[2:-1] == ["334", f"501 {'5.7.0' if last == b'*' else '5.5.2'}"] * 4
        assert outcome.codes[-1] == "421 4.7.0"
        assert outcome.connection.close_reason == "errors"


def test_the_longest_message_passes(drive: Drive) -> None:
    longest = base64.encode(b"A" * MAX_RESPONSE_OCTETS)
    assert drive(EHLO + lines(SCRAM, longest), "trusted").codes[-1] == "501 5.5.2"
    # a command is short again once the client is in
    assert drive(WHOLE + lines(b"RSET", b"NOOP " + b"x" * 3000), "trusted").codes[-1] == "500 5.5.2"


def test_a_drain_ends_an_exchange_that_waits_for_its_client() -> None:
    connection = Connection(Profile("h.test", submission=True, plaintext_auth=True), Limits())
    connection.feed(EHLO + lines(SCRAM + b" " + CLIENT_FIRST))
    assert isinstance(connection.next_event(), ScramRequested)
    connection.drain()
    assert not connection.closed
    connection.challenge(b"r=x")
    assert connection.next_event() is None
    assert connection.close_reason == "drained"
    assert connection.take_output().endswith(replies.unavailable("h.test").wire)


def test_misuse_by_the_driver_is_told() -> None:
    connection = Connection(Profile("h.test", submission=True, plaintext_auth=True), Limits())
    with pytest.raises(RuntimeError):
        connection.challenge(b"x")
    connection.authenticated = True
    connection.feed(EHLO + b"MAIL FROM:<a@b.test>\r\n")
    assert isinstance(connection.next_event(), MailRequested)
    with pytest.raises(RuntimeError):
        connection.challenge(b"x")


fragments = st.sampled_from(
    [
        *[SCRAM + b"\r\n", lines(SCRAM + b" " + CLIENT_FIRST), lines(CLIENT_FIRST), lines(CLIENT_FINAL), b"\r\n", b"*\r\n"],
        *[lines(WRONG_FINAL), EHLO, b"MAIL FROM:<a@b.c>\r\n", b"AUTH PLAIN\r\n", b"x" * 50, b"\n", b"RSET\r\n", b"\xff\r\n"],
    ]
)


@given(st.lists(fragments | st.binary(max_size=20), max_size=25), random_splits())
@settings(max_examples=150, deadline=None)
def test_arbitrary_lines_split_the_same(drive: Drive, parts: list[bytes], seed: int) -> None:
    data = EHLO + b"".join(parts)
    whole = drive(data, "trusted")
    for pieces in splits_of(data, seed=seed):
        assert drive(pieces, "trusted").facts == whole.facts
    if whole.connection.authenticated:
        assert CLIENT_FINAL in data
