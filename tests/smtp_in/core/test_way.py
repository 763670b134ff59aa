"""REQUIRETLS, HOLDFOR, HOLDUNTIL and BY: their grammar, what is offered to whom, and 501 or 555 for the rest."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.protocol import parse, replies, way
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.data import inspect_header
from services.smtp_in.protocol.events import MailRequested, Profile
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.way import Asked, WayOffer

LIMITS = Limits()
OFFER = WayOffer(86400, "2026-11-29T12:00:00Z", 60)


@pytest.mark.parametrize(
    ("parameters", "asked"),
    [
        (b"REQUIRETLS", Asked(require_tls=True)),
        (b"requiretls HOLDFOR=1", Asked(require_tls=True, hold_seconds=1)),
        (b"HOLDFOR=999999999", Asked(hold_seconds=999_999_999)),
        (b"HOLDUNTIL=2026-11-28T14:00:00Z", Asked(hold_until=1_795_874_400.0)),
        (b"holduntil=2026-11-28t14:00:00.5z", Asked(hold_until=1_795_874_400.0)),
        (b"HOLDUNTIL=2026-11-28T16:30:00+02:30", Asked(hold_until=1_795_874_400.0)),
        (b"HOLDUNTIL=2026-11-28T13:59:60Z", Asked(hold_until=1_795_874_399.0)),
        (b"BY=120;R", Asked(by_seconds=120, by_mode="R")),
        (b"BY=-5;nt", Asked(by_seconds=-5, by_mode="N", by_trace=True)),
        (b"BY=+000000060;RT", Asked(by_seconds=60, by_mode="R", by_trace=True)),
    ],
)
def test_mail(parameters: bytes, asked: Asked) -> None:
    assert parse.parse_mail(b"FROM:<a@x.test> " + parameters, LIMITS).asked == asked


@pytest.mark.parametrize(
    "parameters",
    [
        *(b"REQUIRETLS=yes", b"REQUIRETLS=", b"REQUIRETLS REQUIRETLS"),
        *(b"HOLDFOR", b"HOLDFOR=", b"HOLDFOR=0", b"HOLDFOR=01", b"HOLDFOR=-1", b"HOLDFOR=1000000000", b"HOLDFOR=1.5"),
        *(b"HOLDFOR=1 HOLDFOR=1", b"HOLDUNTIL", b"HOLDUNTIL=2026-11-28", b"HOLDUNTIL=2026-11-28T14:00:00"),
        *(b"HOLDUNTIL=2026-13-28T14:00:00Z", b"HOLDUNTIL=2026-11-28T24:00:00Z", b"HOLDUNTIL=0000-01-01T00:00:00Z"),
        *(b"HOLDUNTIL=2026-11-28T14:00:61Z", b"HOLDUNTIL=2026-11-28T14:00:00+25:00"),
        *(b"BY", b"BY=", b"BY=60", b"BY=60;", b"BY=;R", b"BY=60;X", b"BY=60;RN", b"BY=60;T", b"BY=1234567890;R"),
        *(b"BY=--1;N", b"BY=60;R BY=60;N", "BY=٦;R".encode()),
    ],
)
def test_mail_is_refused(parameters: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse.parse_mail(b"FROM:<a@x.test> " + parameters, LIMITS)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    ("asked", "offer", "tls", "reply"),
    [
        (Asked(), WayOffer(), False, None),
        (Asked(require_tls=True), WayOffer(), True, None),
        (Asked(require_tls=True), OFFER, False, replies.REQUIRETLS_NEEDS_TLS),
        (Asked(hold_seconds=86400), OFFER, True, None),
        (Asked(hold_seconds=86401), OFFER, True, replies.HELD_TOO_LONG),
        (Asked(hold_seconds=1), WayOffer(by_seconds=60), True, replies.UNKNOWN_PARAMETER),
        (Asked(hold_until=1.0), OFFER, True, None),
        (Asked(hold_until=1.0), WayOffer(), True, replies.UNKNOWN_PARAMETER),
        (Asked(hold_seconds=1, hold_until=1.0), OFFER, True, replies.TWO_HOLDS),
        (Asked(by_seconds=60, by_mode="R"), OFFER, False, None),
        (Asked(by_seconds=59, by_mode="R"), OFFER, False, replies.BY_TOO_SOON),
        (Asked(by_seconds=0, by_mode="R"), OFFER, False, replies.BAD_PARAMETER),
        (Asked(by_seconds=-1, by_mode="R"), OFFER, False, replies.BAD_PARAMETER),
        # who only wants to be told may be late already
        (Asked(by_seconds=0, by_mode="N"), OFFER, False, None),
        (Asked(by_seconds=-99, by_mode="N"), OFFER, False, None),
        (Asked(by_seconds=60, by_mode="R"), WayOffer(86400, "x"), False, replies.UNKNOWN_PARAMETER),
    ],
)
def test_what_is_offered(asked: Asked, offer: WayOffer, tls: bool, reply: Reply | None) -> None:
    assert way.objection(asked, offer, tls=tls) is reply


def test_ehlo_tells_it_where_it_is_so() -> None:
    assert list(way.keywords(WayOffer(), tls=False)) == []
    assert list(way.keywords(WayOffer(), tls=True)) == ["REQUIRETLS"]
    assert list(way.keywords(OFFER, tls=False)) == ["FUTURERELEASE 86400 2026-11-29T12:00:00Z", "DELIVERBY 60"]


def test_the_latest_date_is_one_that_is_taken() -> None:
    told = way.written_date(1_795_874_459.9)
    assert told == "2026-11-28T14:00:00Z"
    assert way.parse_hold_until(told.encode()) == 1_795_874_400.0


def lines(connection: Connection, *commands: bytes) -> list[bytes]:
    connection.greet()
    connection.feed(b"".join(command + b"\r\n" for command in commands))
    while (event := connection.next_event()) is not None:
        assert isinstance(event, MailRequested)
        connection.answer(replies.SENDER_OK)
    return connection.take_output().split(b"\r\n")


def test_a_relay_offers_requiretls_under_tls_and_nothing_else() -> None:
    profile = Profile("h.test", submission=False)
    plain = lines(Connection(profile, LIMITS), b"EHLO c.test", b"MAIL FROM:<a@x.test> REQUIRETLS")
    assert b"250-REQUIRETLS" not in plain
    assert plain[-2].startswith(b"555 5.5.4 ")
    secure = lines(
        Connection(profile, LIMITS, tls=True), b"EHLO c.test", b"MAIL FROM:<a@x.test> HOLDFOR=5",
        b"MAIL FROM:<a@x.test> BY=60;R", b"MAIL FROM:<a@x.test> REQUIRETLS",
    )  # fmt: skip
    assert b"250-REQUIRETLS" in secure
    assert not any(b"FUTURERELEASE" in line or b"DELIVERBY" in line for line in secure)
    assert [line[:3] for line in secure[-4:-1]] == [b"555", b"555", b"250"]


def test_a_submission_offers_the_rest_and_wants_a_login_first(drive: Callable[..., Any]) -> None:
    profile = Profile("h.test", submission=True, plaintext_auth=True, way=OFFER)
    told = lines(Connection(profile, LIMITS), b"EHLO c.test", b"MAIL FROM:<a@x.test> HOLDFOR=5")
    assert b"250-FUTURERELEASE 86400 2026-11-29T12:00:00Z" in told
    assert b"250-DELIVERBY 60" in told
    assert told[-2].startswith(b"530 ")


@pytest.mark.parametrize(
    ("header", "optional"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:no\r\n", True),
        (b"X: y\r\nTLS-Required:\r\n No \r\nZ: z\r\n", True),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required: No, please\r\n", False),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),
        (b"X-TLS-Required: No\r\n", False),
        (b"Subject: TLS-Required: No\r\n", False),
        (b"Subject: a\r\n TLS-Required: No\r\n", False),
        (b"Subject: a\r\n", False),
    ],
)
def test_the_header_that_does_without_tls(header: bytes, optional: bool) -> None:
    assert inspect_header(header + b"\r\nTLS-Required: No\r\n").tls_optional is optional


@given(st.binary(max_size=40))
def test_any_octets_give_a_value_or_none(value: bytes) -> None:
    way.parse_hold_for(value)
    way.parse_hold_until(value)
    way.parse_by(value)
    inspect_header(b"TLS-Required:" + value)
