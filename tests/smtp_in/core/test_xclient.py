"""XCLIENT: what it may say, what it never may, and that a new session begins behind it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.xclient import XClient, parse_xclient
from services.smtp_in.transaction import Account, Client
from shared.model.ids import AccountId, Grant
from shared.testing.splits import splits_of

Drive = Callable[..., Any]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"ADDR=192.0.2.7", XClient("192.0.2.7")),
        (b"addr=192.0.2.7 Helo=c.test proto=esmtp", XClient("192.0.2.7", "c.test", True)),
        (b"ADDR=IPV6:2001:DB8::7 PROTO=SMTP", XClient("2001:db8::7", None, False)),
        (b"ADDR=ipv6:::ffff:192.0.2.7", XClient("192.0.2.7")),
        (b"ADDR=2001:db8::7", XClient("2001:db8::7")),
        (b"HELO=a+2Bb+3D.test", XClient(None, "a+b=.test")),
        (b"HELO=[192.0.2.7]", XClient(None, "[192.0.2.7]")),
        (b"NAME=[UNAVAILABLE] HELO=[TEMPUNAVAIL] LOGIN=[unavailable] PROTO=[UNAVAILABLE] ADDR=192.0.2.7", XClient("192.0.2.7")),
        (
            b"NAME=c.test REVERSE_NAME=r.test PORT=4711 DESTADDR=198.51.100.1 DESTPORT=25 ADDR=192.0.2.7",
            XClient("192.0.2.7"),
        ),
    ],
)
def test_what_it_says(argument: bytes, expected: XClient) -> None:
    assert parse_xclient(argument) == expected


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b"", replies.NEEDS_ARGUMENT),
        (b"ADDR", replies.BAD_XCLIENT),
        (b"ADDR=", replies.BAD_XCLIENT),
        (b"ADDR=192.0.2", replies.BAD_XCLIENT),
        (b"ADDR=192.0.2.7/32", replies.BAD_XCLIENT),
        (b"ADDR=fe80::1%25eth0", replies.BAD_XCLIENT),
        (b"ADDR=192.0.2.7 ADDR=192.0.2.8", replies.BAD_XCLIENT),
        (b"ADDR=[UNAVAILABLE]", replies.XCLIENT_NEEDS_ADDRESS),
        (b"ADDR=[TEMPUNAVAIL] HELO=c.test", replies.XCLIENT_NEEDS_ADDRESS),
        (b"COLOUR=blue", replies.BAD_XCLIENT),
        (b"PORT=65536", replies.BAD_XCLIENT),
        (b"PORT=x", replies.BAD_XCLIENT),
        (b"DESTADDR=nowhere", replies.BAD_XCLIENT),
        (b"PROTO=LMTP", replies.BAD_XCLIENT),
        (b"HELO=a+20b", replies.BAD_XCLIENT),
        (b"HELO=a+0D+0AMAIL", replies.BAD_XCLIENT),
        (b"HELO=a+2", replies.BAD_XCLIENT),
        (b"HELO=+FF", replies.BAD_XCLIENT),
        (b"NAME=a=b", replies.BAD_XCLIENT),
        (b"LOGIN=alice@example.test ADDR=192.0.2.7", replies.XCLIENT_LOGIN),
    ],
)
def test_what_it_may_not_say(argument: bytes, reply: Reply) -> None:
    with pytest.raises(Refused) as refused:
        parse_xclient(argument)
    assert refused.value.reply is reply


@given(st.binary(max_size=100) | st.lists(st.sampled_from([b"ADDR=", b"HELO=", b"+41", b" ", b"1.2.3.4", b"\xff"])).map(b"".join))
def test_any_octets_give_a_client_or_refused(argument: bytes) -> None:
    try:
        told = parse_xclient(argument)
    except Refused:
        return
    assert told.helo is None or not set(told.helo) & set(" \r\n\0")


def test_a_new_session_begins_behind_it(drive: Drive) -> None:
    data = (
        b"EHLO proxy.test\r\nXCLIENT ADDR=192.0.2.7 HELO=c.test\r\nMAIL FROM:<a@b.test>\r\nEHLO proxy.test\r\n"
        b"MAIL FROM:<a@b.test>\r\nXCLIENT ADDR=192.0.2.8\r\nRSET\r\nXCLIENT ADDR=192.0.2.8\r\n"
    )
    whole = drive(data, "front")
    assert whole.codes == ["220", "250", "220", "503 5.5.1", "250", "250 2.1.0", "503 5.5.1", "250 2.0.0", "220"]
    assert whole.announced == [XClient("192.0.2.7", "c.test"), XClient("192.0.2.8")]
    assert b"XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME\r\n" in whole.output
    assert b"LOGIN" not in whole.output
    for pieces in splits_of(data):
        assert drive(pieces, "front").facts == whole.facts


def test_a_stranger_is_neither_told_of_it_nor_heard(drive: Drive) -> None:
    for port in ("relay", "submission", "trusted"):
        outcome = drive(b"EHLO c.test\r\nXCLIENT ADDR=192.0.2.7\r\n", port)
        assert outcome.codes[-1] == "502 5.5.1"
        assert outcome.announced == []
        assert b"XCLIENT" not in outcome.output


def test_refused_and_repeated_it_ends_the_connection(drive: Drive) -> None:
    assert drive(b"XCLIENT HELO=c.test\r\n" * 3, "front", limits=Limits(errors=3)).codes[-2:] == ["501 5.5.4", "421 4.7.0"]
    assert drive(b"XCLIENT ADDR=192.0.2.7\r\n" * 9, "front", limits=Limits(idle_commands=5)).connection.close_reason == "errors"


def test_the_client_that_comes_of_it() -> None:
    proxy = Client("10.0.0.1", submission=True, tls="TLSv1.3", account=Account(AccountId(1), "a@b.test", Grant(b"")))
    assert proxy.replaced_by(XClient(helo="c.test")) is None
    client = proxy.replaced_by(XClient("192.0.2.7", "c.test", esmtp=False))
    assert client is not None
    client.said("proxy.test", esmtp=True)
    assert (client.ip, client.helo, client.esmtp, client.account, client.tls) == ("192.0.2.7", "c.test", False, None, "TLSv1.3")
    more = client.replaced_by(XClient(esmtp=True))
    assert more is not None
    assert more.announced == XClient("192.0.2.7", "c.test", True)
    other = client.replaced_by(XClient("192.0.2.8"))
    assert other is not None
    other.said("proxy.test", esmtp=True)
    assert (other.ip, other.helo, other.esmtp) == ("192.0.2.8", "proxy.test", True)
