"""Realistic messages, the same ones for the same numbers: 70 % multipart/alternative, 20 % plain, 10 % with an attachment."""

import base64
import random

_seed = random.Random(1)
_WORDS = ["".join(_seed.choice("abcdefghijklmnoprstuvw") for _ in range(_seed.randint(2, 9))) for _ in range(4000)]
COMMON_WORD = next(word for word in _WORDS if len(word) == 8)
"""In every ninth message or so."""


def _text(source: random.Random, octets: int) -> str:
    lines, size, line = [], 0, ""
    while size < octets:
        word = source.choice(_WORDS)
        if len(line) + len(word) > 72:
            lines.append(line)
            size += len(line) + 2
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n".join(lines) + "\r\n"


def _header(number: int, size: int, to: str, source: random.Random) -> str:
    day, hour, minute = 1 + number % 28, 10 + number % 10, number % 60
    date = f"Mon, {day} Jun 2026 {hour}:{minute:02}:00 +0000"
    here = f"example{number % 50}.test"
    return (
        f"Received: from mx{number % 7}.sender.test (mx{number % 7}.sender.test [192.0.2.{number % 250}])\r\n"
        f"\tby mx.bench.test with ESMTPS id {number:08x}\r\n\tfor <{to}>; {date}\r\n"
        f"Date: {date}\r\n"
        f'From: "Sender Number {number % 500}" <sender{number % 500}@{here}>\r\n'
        f'To: Bench User <{to}>, "Second, R." <second{number % 20}@bench.test>\r\n'
        f"Cc: list{number % 5}@lists.test\r\n"
        f"Subject: {' '.join(source.choice(_WORDS) for _ in range(6))}\r\n"
        f"Message-ID: <{number}.{size}@{here}>\r\n"
        f"In-Reply-To: <{number - 1}.{size}@{here}>\r\n"
        f"References: <{number - 2}.{size}@{here}>\r\n\t<{number - 1}.{size}@{here}>\r\n"
        "MIME-Version: 1.0\r\n"
    )


def message(number: int, size: int = 4096, to: str = "user0@bench.test") -> bytes:
    """Message `number` of about `size` octets."""
    source = random.Random(number)
    head = _header(number, size, to, source)
    kind, boundary = number % 10, f"=_b{number:x}"
    room = max(200, size - len(head) - 450)
    plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    if kind < 2:
        return (head + plain + _text(source, room + 350)).encode()
    if kind < 9:
        return (
            f'{head}Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n--{boundary}\r\n{plain}'
            f"{_text(source, room * 2 // 5)}--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            f"<html><body><p>{_text(source, room * 3 // 5)}</p></body></html>\r\n--{boundary}--\r\n"
        ).encode()
    attachment = base64.encodebytes(source.randbytes(room * 3 // 8)).decode().replace("\n", "\r\n")
    return (
        f'{head}Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n{plain}'
        f"{_text(source, room * 2 // 5)}--{boundary}\r\n"
        f'Content-Type: application/octet-stream; name="f{number}.bin"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="f{number}.bin"\r\n\r\n{attachment}--{boundary}--\r\n'
    ).encode()
