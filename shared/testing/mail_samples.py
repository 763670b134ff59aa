"""Messages for the tests that follow mail through every path byte by byte.

`korean_message` carries what breaks on the way when anything on it decodes, re-folds or re-encodes: EUC-KR,
ISO-2022-KR (RFC 1557: escape and shift bytes in 7 bit) and UTF-8 as raw 8 bit, RFC 2047 words in two character sets,
an RFC 2231 file name in three pieces, a binary attachment, a message inside, dots at line starts, lines of 998 octets,
trailing white space, header fields in odd case and folding. All of it is legal.
"""

import base64
import hashlib
from email.header import Header

GREETING = "안녕하세요. 사진과 계약서를 첨부합니다."
"""Korean text of the sample, for what a client shows."""
SUBJECT = "한글 제목: 회의록과 첨부 파일"
FILE_NAME = "2026년 계약서 최종본.pdf"
TRACE_FIELDS = frozenset(
    {"return-path", "received", "delivered-to", "x-original-to", "authentication-results", "dkim-signature"}
)
"""What a mail server may put in front of a message; anything else is a change to it."""


def plain_message(message_id: str, to: str = "bob@example.test", sender: str = "alice@example.test") -> bytes:
    """A small plain message that is known by its Message-ID (without angle brackets)."""
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {message_id}\r\nMessage-ID: <{message_id}>\r\n"
        "Date: Mon, 01 Jun 2026 10:00:00 +0900\r\n\r\nHello.\r\n"
    ).encode()


def large_message(message_id: str, octets: int, sender: str = "alice@example.test") -> bytes:
    """A message with one attachment, `octets` long or a little more, that does not compress."""
    head = (
        f"From: {sender}\r\nTo: bob@example.test\r\nSubject: large\r\nMessage-ID: <{message_id}>\r\n"
        "Date: Mon, 01 Jun 2026 10:00:00 +0900\r\nMIME-Version: 1.0\r\n"
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()
    noise = hashlib.shake_256(message_id.encode()).digest(octets * 57 // 78 + 57)
    return head + _base64_lines(noise)


def korean_message(message_id: str, to: str = "bob@example.test", sender: str = "alice@example.test") -> bytes:
    """See the head of this file."""
    two_sets = f"{_word(SUBJECT[:6], 'euc-kr')}\r\n {_word(SUBJECT[6:], 'utf-8')}"
    photo = hashlib.shake_256(b"photo").digest(30_000)
    parts = [
        b'Content-Type: text/plain; charset="euc-kr"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + _base64_lines(GREETING.encode("euc-kr")),
        b"Content-Type: text/plain; charset=EUC-KR\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + f"{GREETING}\r\n".encode("euc-kr"),
        b"Content-Type: text/plain; charset=ISO-2022-KR\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        + f"{GREETING}\r\n".encode("iso2022_kr"),
        b"content-type:TEXT/plain;\r\n\tcharset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + f"{GREETING}\r\n.\x20\r\n..두 점\r\n.\r\n끝 \t\r\n{'긴' * 332}..\r\n".encode(),
        (
            b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            b"<p>=EC=95=88=EB=85=95=20=\r\n.=EC=95=88</p>\r\n"
        ),
        b"Content-Type: application/pdf;\r\n"
        + _rfc2231("name", FILE_NAME, "utf-8")
        + b"\r\nContent-Disposition: attachment;\r\n"
        + _rfc2231("filename", FILE_NAME, "euc-kr")
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + _base64_lines(photo),
        b"Content-Type: message/rfc822\r\n\r\n" + plain_message(f"inner-{message_id}"),
    ]
    head = (
        f"From: {_word('김철수', 'iso-2022-kr')} <{sender}>\r\n"
        f"To: =?UTF-8?Q?=EB=B0=95=EC=98=81=ED=9D=AC?= <{to}>\r\n"
        f"SUBJECT: {two_sets}\r\n"
        f"Message-ID: <{message_id}>\r\n"
        "Date: Mon, 01 Jun 2026 10:00:00 +0900\r\n"
        "X-Folded:\r\n\ttabs  and   spaces \r\n  stay\r\n"
        "MIME-Version: 1.0 (made by hand)\r\n"
        'Content-Type: multipart/mixed;\r\n boundary="=_경계"\r\n\r\n'.replace("경계", "b/:=?'()+_,-./")
    ).encode()
    boundary = b"=_b/:=?'()+_,-./"
    body = b"".join(b"--" + boundary + b"\r\n" + part for part in parts)
    return head + b"A preamble.\r\n\r\n" + body + b"--" + boundary + b"--\r\nAn epilogue.\r\n"


def assert_intact(arrived: bytes, sent: bytes) -> None:
    """What arrived is what was sent, behind nothing but trace fields."""
    if not arrived.endswith(sent):
        where = next(
            (at for at, (a, b) in enumerate(zip(reversed(arrived), reversed(sent), strict=False)) if a != b), len(sent)
        )
        start = max(0, len(sent) - where - 60)
        raise AssertionError(
            f"changed on the way, {where} octets before the end: sent {sent[start : start + 120]!r}, "
            f"arrived {arrived[max(0, len(arrived) - where - 60) :][:120]!r}"
        )
    in_front = arrived[: len(arrived) - len(sent)]
    fields = [line for line in in_front.split(b"\r\n") if line and line[:1] not in b" \t"]
    strange = [line for line in fields if line.split(b":", 1)[0].decode().lower() not in TRACE_FIELDS]
    assert not strange, f"put in front of the message: {strange}"


def _word(text: str, charset: str) -> str:
    return Header(text, charset).encode(splitchars="", maxlinelen=0)


def _rfc2231(name: str, value: str, charset: str) -> bytes:
    third = len(value) // 3
    pieces = [value[:third], value[third : 2 * third], value[2 * third :]]
    texts = ["".join(f"%{octet:02X}" for octet in piece.encode(charset)) for piece in pieces]
    texts[0] = f"{charset}''{texts[0]}"
    lines = [f" {name}*{number}*={text}" for number, text in enumerate(texts)]
    return ";\r\n".join(lines).encode()


def _base64_lines(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
