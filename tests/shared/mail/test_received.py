"""Received fields: written so that nobody else's words can break them, counted for the loop limit."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.mail.header import iter_fields
from shared.mail.received import build_received, count_received, protocol_name


def test_all_clauses() -> None:
    field = build_received(
        helo="client.example",
        reverse_name="host.example",
        client_ip="192.0.2.1",
        by="nas.example",
        protocol="ESMTPSA",
        trace="abc-1",
        seconds=1700000000,
        offset_minutes=540,
        recipient="bob@example.test",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    )
    assert field == (
        b"Received: from client.example (host.example [192.0.2.1])\r\n"
        b"\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tby nas.example with ESMTPSA id abc-1\r\n"
        b"\tfor <bob@example.test>;\r\n"
        b"\tWed, 15 Nov 2023 07:13:20 +0900\r\n"
    )


# RFC 3848, RFC 6531 §4.3
@pytest.mark.parametrize(
    ("esmtp", "tls", "authenticated", "smtputf8", "name"),
    [
        (False, False, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, True, False, False, "ESMTPS"),
        (True, False, True, False, "ESMTPA"),
        (True, True, True, False, "ESMTPSA"),
        (True, False, False, True, "UTF8SMTP"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_protocol_names(esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool, name: str) -> None:
    assert protocol_name(esmtp=esmtp, tls=tls, authenticated=authenticated, smtputf8=smtputf8) == name


def test_no_recipient_no_tls_and_ipv6() -> None:
    field = build_received(
        helo="[IPv6:2001:db8::1]",
        reverse_name="",
        client_ip="2001:db8::1",
        by="n",
        protocol="SMTP",
        trace="t",
        seconds=0,
    )
    assert field == (
        b"Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n\tby n with SMTP id t;\r\n"
        b"\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
    )


@example("한" * 900, "n" * 900, "가" * 400, "UTF8SMTP")
@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300), st.sampled_from(["ESMTP", "UTF8SMTP"]))
def test_foreign_words_cannot_end_the_field(helo: str, name: str, recipient: str, protocol: str) -> None:
    field = build_received(
        helo=helo,
        reverse_name=name,
        client_ip="192.0.2.1",
        by="n",
        protocol=protocol,
        trace="t",
        seconds=0,
        recipient=recipient,
    )
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert field.count(b"\n") == field.count(b"\r") == len(lines)
    assert len(list(iter_fields(field, 0, len(field)))) == 1
    first = lines[0]
    assert first.count(b"(") == first.count(b")") == 1
    assert first.count(b" ") == 4
    assert max(map(len, lines)) <= 998
    if protocol == "ESMTP":
        assert field.isascii()


def test_counting() -> None:
    head = b"Received: a\r\nX: y\r\nRECEIVED : b\r\n c\r\nreceived:c\n"
    assert count_received(head + b"\r\nReceived: in the body\r\n") == 3
    assert count_received(memoryview(head)) == 3
    assert count_received(b"") == 0
    assert count_received(b"X-Received: no\r\n Received: folded\r\n\r\n") == 0
