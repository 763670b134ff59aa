"""ENVELOPE: NIL rules, defaults, groups, quoting, bounds. RFC 3501 §7.4.2."""

import pytest

from shared.mail.envelope import build_envelope
from shared.mail.imap_list import nstring, string
from shared.mail.index import build_index
from shared.mail.limits import DEFAULT_LIMITS, IndexLimits
from shared.testing.imap_list import Value, check_envelope, parse_imap_list


def envelope(head: bytes) -> list[Value]:
    return check_envelope(parse_imap_list(build_index(head + b"\r\n\r\n").envelope))


def test_everything_absent() -> None:
    assert build_index(b"").envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_present_but_empty() -> None:
    assert build_index(b"Subject:\r\nDate: \r\nFrom:\r\nTo:\r\nMessage-ID:\r\nIn-Reply-To:\r\n\r\n").envelope == (
        b'("" "" NIL NIL NIL NIL NIL NIL "" "")'
    )


def test_sender_and_reply_to_default_to_from() -> None:
    got = envelope(b"From: A <a@b>\r\nSender:\r\nReply-To: (nobody)")
    assert got[2] == got[3] == got[4] == [[b"A", None, b"a", b"b"]]
    got = envelope(b"From: A <a@b>\r\nSender: s@b\r\nReply-To: r@b")
    assert got[3] == [[None, None, b"s", b"b"]]
    assert got[4] == [[None, None, b"r", b"b"]]


def test_groups() -> None:
    got = envelope(
        b"To: Team: alice@example.com, Bob <bob@example.org>;, zoe@example.net\r\nCc: undisclosed-recipients:;"
    )
    assert got[5] == [
        [None, None, b"Team", None],
        [None, None, b"alice", b"example.com"],
        [b"Bob", None, b"bob", b"example.org"],
        [None, None, None, None],
        [None, None, b"zoe", b"example.net"],
    ]
    assert got[6] == [[None, None, b"undisclosed-recipients", None], [None, None, None, None]]


def test_several_fields() -> None:
    got = envelope(b"To: a@b\r\nTo: c@d\r\nFrom: one@b\r\nFrom: two@b\r\nSubject: one\r\nSubject: two")
    assert got[5] == [[None, None, b"a", b"b"], [None, None, b"c", b"d"]]
    assert got[2] == [[None, None, b"one", b"b"], [None, None, b"two", b"b"]]
    assert got[1] == b"one"


def test_folded_values() -> None:
    got = envelope(b"Subject: one\r\n\ttwo\r\n  three\r\nTo:\r\n a@b,\r\n\tc@d")
    assert got[1] == b"one two  three"
    assert got[5] == [[None, None, b"a", b"b"], [None, None, b"c", b"d"]]


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'say "hi" \\o/', b'"say \\"hi\\" \\\\o/"'),
        (b"a\tb\r\nc", b'"a b  c"'),
        (b"a\0b", b'"ab"'),
        (b"\xed\x99\x8d", b"{3}\r\n\xed\x99\x8d"),
        (b'"\xff\0"', b'{3}\r\n"\xff"'),
        (b"\x01", b"{1}\r\n\x01"),
        (b"\x7f", b"{1}\r\n\x7f"),
        (b"NIL", b'"NIL"'),
    ],
)
def test_strings(value: bytes, rendered: bytes) -> None:
    assert string(value) == nstring(value) == rendered
    assert isinstance(parse_imap_list(rendered), bytes)


def test_every_octet_in_a_string() -> None:
    for octet in range(256):
        value = parse_imap_list(string(b"a" + bytes([octet]) + b"b"))
        expected = b"" if octet == 0 else b" " if octet in b"\t\r\n" else bytes([octet])
        assert value == b"a" + expected + b"b"


def test_nil() -> None:
    assert nstring(None) == b"NIL"


def test_address_limit() -> None:
    fields = {b"to": [b",".join(b"u%d@h" % number for number in range(5000))], b"cc": [b"last@h"]}
    built = build_envelope(fields, DEFAULT_LIMITS)
    assert len(built.addresses[b"to"]) == DEFAULT_LIMITS.addresses
    assert b"cc" not in built.addresses


def test_octet_limit_ends_an_open_group() -> None:
    fields = {b"to": [b"g:" + b",".join(b"u%d@h" % number for number in range(50)) + b";"]}
    rendered = build_envelope(fields, IndexLimits(envelope_octets=300)).rendered
    got = check_envelope(parse_imap_list(rendered))
    assert isinstance(got[5], list)
    assert got[5][0] == [None, None, b"g", None]
    assert got[5][-1] == [None, None, None, None]
    assert 5 < len(got[5]) < 50


def test_string_limit() -> None:
    got = check_envelope(
        parse_imap_list(build_envelope({b"subject": [b"x" * 99]}, IndexLimits(string_octets=10)).rendered)
    )
    assert got[1] == b"x" * 10
