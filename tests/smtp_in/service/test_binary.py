"""BINARYMIME from the wire to a reader: IMAP, POP3's lines, the next hop's queue."""

import email
from typing import Any

from shared.testing.stack import Stack

OCTETS = bytes(range(256)) * 3 + b"\r\n.\r\n\n.\n--c\r\n"
TEXT = "안녕\r\n".encode()


def message(subject: bytes, data: bytes = OCTETS) -> bytes:
    return (
        b"From: s@elsewhere.test\r\nSubject: " + subject + b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n" + TEXT + b"\r\n--b\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n" + data + b"\r\n--b--\r\n"
    )  # fmt: skip


def send(client: Any, content: bytes, *recipients: bytes) -> bytes:
    """The reply to the last chunk."""
    assert client.ask(b"EHLO client.test").startswith(b"250 ")
    assert client.ask(b"MAIL FROM:<s@elsewhere.test> BODY=BINARYMIME").startswith(b"250 ")
    for recipient in recipients:
        assert client.ask(b"RCPT TO:<" + recipient + b">").startswith(b"250 ")
    half = len(content) // 2
    client.send(b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (half, content[:half], len(content) - half, content[half:]))
    assert client.reply().startswith(b"250 ")
    reply: bytes = client.reply()
    return reply


def test_binary_content_is_stored_as_lines(stack: Stack, eyes: Any, dial: Any) -> None:
    with dial(stack["smtp_in"].port("smtp")) as client:
        for subject, data in ((b"small", OCTETS), (b"large", OCTETS * 2000)):
            assert send(client, message(subject, data), b"team@example.test").startswith(b"250 ")
            (content,) = eyes.with_subject("alice@example.test", subject)
            assert b"\0" not in content
            assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")
            assert b"Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n" in content
            assert TEXT in content
            text, part = email.message_from_bytes(content).get_payload()
            assert text["content-transfer-encoding"] == "8bit"
            assert part["content-transfer-encoding"] == "base64"
            assert part.get_payload(decode=True) == data
    assert len(eyes.queue()) == 2


def test_what_cannot_become_lines_is_refused(stack: Stack, eyes: Any, dial: Any) -> None:
    with dial(stack["smtp_in"].port("smtp")) as client:
        signed = message(b"signed").replace(b"multipart/mixed", b"multipart/signed")
        assert send(client, signed, b"alice@example.test").startswith(b"554 5.6.3 Binary content cannot be converted: it is signed")
        assert send(client, b"Subject: bare\n\r\n\r\nx\r\n", b"alice@example.test").startswith(b"550 5.6.11 ")
        assert send(client, message(b"then"), b"alice@example.test").startswith(b"250 ")
    assert not eyes.with_subject("alice@example.test", b"signed")
    assert len(eyes.with_subject("alice@example.test", b"then")) == 1
