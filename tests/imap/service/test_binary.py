"""BINARY, PREVIEW, SAVEDATE, EMAILID and THREADID over real sockets."""

import base64
import random
import re

import pytest

DATA = random.Random(5).randbytes(300)
BIG = random.Random(6).randbytes(1_500_000)


def message_of(*parts):
    text = b'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    for encoding, kind, body in parts:
        text += b"--b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n" % (kind, encoding, body)
    return text + b"--b--\r\n"


MIXED = message_of(
    (b"quoted-printable", b"text/plain", b"caf=C3=A9 =3D=\r\n fine"),
    (b"base64", b"application/octet-stream", base64.encodebytes(DATA + b"\0").replace(b"\n", b"\r\n")),
    (b"8bit", b"text/plain; charset=utf-8", "안녕".encode()),
    (b"7bit", b"message/rfc822", b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD"),
    (b"x-uuencode", b"application/x", b"begin"),
)


def value(answer, label):
    """The literal behind a label, and whether it is a literal8."""
    for line in answer.untagged:
        match = re.search(re.escape(label) + rb" (~?)\{(\d+)\}\r\n", line)
        if match:
            return bool(match.group(1)), line[match.end() : match.end() + int(match.group(2))]
    raise AssertionError(answer)


@pytest.fixture
def client(connect):
    client = connect()
    assert client.append(b"INBOX", MIXED).ok
    client.ok("SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"1", (False, "café = fine".encode())),
        (b"2", (True, DATA + b"\0")),
        (b"3", (False, "안녕".encode())),
        (b"4", (False, b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD")),
        (b"4.1", (False, b"ABC")),
        (b"", (False, MIXED)),
    ],
)
def test_parts(client, path, expected):
    label = b"BINARY[" + path + b"]"
    answer = client.ok(b"FETCH 1 (BINARY.PEEK[" + path + b"] BINARY.SIZE[" + path + b"])")
    assert value(answer, label) == expected
    assert b"BINARY.SIZE[%b] %d)" % (path, len(expected[1])) in answer.untagged[0]
    # RFC 3516 §4.2: a partial counts decoded octets
    answer = client.ok(b"FETCH 1 BINARY.PEEK[" + path + b"]<1.4>")
    assert value(answer, label + b"<1>")[1] == expected[1][1:5]
    assert value(client.ok(b"FETCH 1 BINARY.PEEK[" + path + b"]<99999.4>"), label + b"<99999>") == (False, b"")


def test_seen(client):
    assert b"\\Seen" not in b"".join(client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[2])").untagged)
    assert b"FLAGS (\\Seen" in client.ok("FETCH 1 BINARY[1]").untagged[0]


def test_what_is_not_there(client):
    answer = client.ok("FETCH 1 (BINARY.PEEK[9] BINARY.SIZE[9] BODY.PEEK[9])")
    assert b"(BINARY[9] NIL BINARY.SIZE[9] 0 BODY[9] NIL)" in answer.untagged[0]
    for wrong in ("BINARY[HEADER]", "BINARY[1.MIME]", "BINARY[1", "BINARY.SIZE[1]<0.1>", "BINARY"):
        assert client.command(f"FETCH 1 {wrong}").tagged.startswith(b"BAD")


def test_unknown_encoding(client):
    for item in ("BINARY.PEEK[5]", "BINARY.SIZE[5]"):
        assert client.command(f"FETCH 1 {item}").tagged.startswith(b"NO [UNKNOWN-CTE]")
    assert value(client.ok("FETCH 1 BODY.PEEK[5]"), b"BODY[5]") == (False, b"begin")


def test_large_parts_stream(connect):
    client = connect()
    encoded = base64.encodebytes(BIG).replace(b"\n", b"\r\n")
    client.append(b"INBOX", message_of((b"base64", b"image/png", encoded), (b"x-foo", b"image/png", encoded)))
    client.ok("SELECT INBOX")
    answer = client.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] UID)")
    assert b"BINARY.SIZE[1] 1500000 " in answer.untagged[0]
    assert value(answer, b"BINARY[1]") == (True, BIG)
    assert value(client.ok("FETCH 1 BINARY.PEEK[1]<700000.600000>"), b"BINARY[1]<700000>") == (
        True,
        BIG[700_000:1_300_000],
    )
    assert client.command("FETCH 1 BINARY.PEEK[2]").tagged.startswith(b"NO [UNKNOWN-CTE]")
    assert client.ok("NOOP").ok


def test_literal8_in_append(connect):
    client = connect()
    message = message_of((b"binary", b"application/octet-stream", b"a\0b"))
    client.ok(b"APPEND INBOX ~{%d+}\r\n%b" % (len(message), message))
    client.ok("SELECT INBOX")
    assert value(client.ok("FETCH 1 BINARY.PEEK[1]"), b"BINARY[1]") == (True, b"a\0b")
    assert value(client.ok("FETCH 1 BINARY.PEEK[]"), b"BINARY[]") == (True, message)
    # RFC 3501 §9: a literal has no NUL
    assert value(client.ok("FETCH 1 BODY.PEEK[1]"), b"BODY[1]") == (False, b"a\x80b")


def test_previews(connect):
    client = connect()
    client.append(b"INBOX", b"Subject: a\r\n\r\nPreview text!\r\n")
    client.append(b"INBOX", b"Subject: b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "안녕하세요".encode())
    client.append(b"INBOX", b"Subject: c\r\nContent-Type: image/png\r\n\r\nxxxx")
    client.append(b"INBOX", b"Subject: d\r\n\r\n" + b"word " * 500)
    client.ok("SELECT INBOX")
    for modifier in (b"", b" (LAZY)"):
        rows = client.ok(b"FETCH 1:4 (PREVIEW" + modifier + b" UID)").untagged
        # RFC 8970 §3.2, in UTF-8; empty where there is nothing to be shown, and never NIL
        assert rows[0] == b'* 1 FETCH (PREVIEW "Preview text!" UID 1)'
        assert rows[1] == b"* 2 FETCH (PREVIEW {15}\r\n" + "안녕하세요".encode() + b" UID 2)"
        assert rows[2] == b'* 3 FETCH (PREVIEW "" UID 3)'
        assert 100 < len(rows[3]) < 300
    assert client.ok("FETCH 1 PREVIEW (LAZY)").untagged == (b'* 1 FETCH (PREVIEW "Preview text!")',)
    assert client.command("FETCH 1 (PREVIEW (EAGER))").tagged.startswith(b"BAD")


def test_ids_and_dates(connect):
    client = connect()
    for name in (b"a", b"b"):
        client.append(b"INBOX", b"Subject: " + name + b"\r\n\r\nx", b'"17-Jul-1996 02:44:25 -0700"')
    client.ok("SELECT INBOX")
    rows = client.ok("FETCH 1:2 (EMAILID THREADID SAVEDATE)").untagged
    ids = [re.search(rb"EMAILID \((E[0-9a-f]+)\) THREADID NIL SAVEDATE \"", row).group(1) for row in rows]
    assert ids[0] != ids[1]
    assert b"1996" not in rows[0]
    # RFC 8474 §5.1: the same after COPY and MOVE
    client.ok("COPY 1 Sent")
    client.ok("MOVE 2 Sent")
    client.ok("SELECT Sent")
    again = client.ok("FETCH 1:2 EMAILID").untagged
    assert [re.search(rb"\((E[0-9a-f]+)\)", row).group(1) for row in again] == ids
