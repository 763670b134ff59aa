"""Mail for tests, made here and always the same: ordinary, Korean, nested, and ugly.

`messages()` gives them by name, `varied_messages()` as many well-formed ones as wanted. They are meant to be mutated, delivered and read
back byte for byte; lines end in CRLF except where the name says otherwise.
"""

from __future__ import annotations

import random
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Iterator
from typing import Final

_SENTENCES: Final = (
    "the backup of the NAS finished with two warnings please find minutes meeting below could you check invoice before Friday"
    " thanks that worked for me new build fails see attached log your parcel has left our warehouse and will arrive tomorrow"
)
_KOREAN: Final = "안녕하세요, 회의록을 첨부하여 보내드립니다. 금요일까지 견적서를 확인해 주시기 바랍니다."
_BEYOND_KSX: Final = "뷁쀍 같은 글자는 EUC-KR에 없습니다."
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def _lines(octets: int, seed: int) -> bytes:
    dice = random.Random(seed)
    words = _SENTENCES.split()
    lines: list[str] = []
    size = 0
    while size < octets:
        line = " ".join(dice.choice(words) for _ in range(dice.randint(6, 11)))
        size += len(line) + 2
        lines.append(line)
    return ("\r\n".join(lines)[: max(octets - 2, 0)] + "\r\n").encode("ascii")


def _octets(count: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(count)


def _base64(data: bytes) -> bytes:
    return encodebytes(data).replace(b"\n", b"\r\n")


def _word(text: str, charset: str, codec: str) -> bytes:
    return b"=?" + charset.encode() + b"?B?" + b64encode(text.encode(codec)) + b"?="


def header(subject: bytes = b"Minutes of the meeting", *more: bytes, serial: int = 1) -> bytes:
    """The header of an ordinary message that came over two hops, without the empty line."""
    fields = [
        b"Return-Path: <alice@example.com>",
        b"Received: from mx1.example.net (mx1.example.net [192.0.2.7])\r\n"
        b"\tby nas.example.kr with ESMTPS id 4f2a9c%06d;\r\n\tWed, 01 Apr 2026 10:00:02 +0000" % serial,
        b"Received: from [192.0.2.88] (client.example.com [192.0.2.88])\r\n"
        b"\tby mx1.example.net with ESMTPSA id 77aa10%06d\r\n\tfor <bob@example.kr>;\r\n\tWed, 01 Apr 2026 10:00:01 +0000"
        % serial,
        b"Message-ID: <%d.20260401@mail.example.com>" % serial,
        b"Date: Wed, 01 Apr 2026 19:00:00 +0900",
        b"From: Alice Smith <alice@example.com>",
        b'To: "Bob O\'Neil" <bob@example.kr>, zoe@example.net',
        b"Subject: " + subject,
        b"MIME-Version: 1.0",
        *more,
    ]
    return b"\r\n".join(fields) + b"\r\n"


def plain_message(octets: int, serial: int = 1) -> bytes:
    """An ordinary text/plain message of that size (at least its header's)."""
    head = header(
        b"The backup finished",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: 7bit",
        serial=serial,
    )
    return head + b"\r\n" + _lines(max(octets - len(head) - 2, 2), serial)


def multipart_message(octets: int, serial: int = 1) -> bytes:
    """Text and HTML alternatives and an attachment, as mail clients send it; of about that size."""
    text = _lines(1500, serial)
    html = (
        b"<html><head><title>t</title></head><body><p>"
        + _lines(3000, serial).replace(b"\r\n", b"</p>\r\n<p>")
        + b"</body></html>\r\n"
    )
    attachment = _base64(_octets(max((octets - 6500) * 3 // 4, 100), serial))
    return (
        header(b"Minutes", b'Content-Type: multipart/mixed;\r\n\tboundary="=_mixed_1"', serial=serial)
        + b"\r\nThis is a multi-part message in MIME format.\r\n--=_mixed_1\r\n"
        + b'Content-Type: multipart/alternative; boundary="=_alt_1"\r\n\r\n--=_alt_1\r\n'
        + b"Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        + text
        + b"\r\n--=_alt_1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        + html
        + b"\r\n--=_alt_1--\r\n\r\n--=_mixed_1\r\n"
        + b'Content-Type: application/pdf; name="report.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        + b'Content-Disposition: attachment; filename="report.pdf"\r\n\r\n'
        + attachment
        + b"\r\n--=_mixed_1--\r\n"
    )


def _korean() -> Iterator[tuple[str, bytes]]:
    for label, codec, text in (
        ("utf-8", "utf-8", _KOREAN + _BEYOND_KSX),
        ("euc-kr", "euc_kr", _KOREAN),
        ("ks_c_5601-1987", "cp949", _KOREAN + _BEYOND_KSX),
        ("iso-2022-kr", "iso2022_kr", _KOREAN),
    ):
        encoding = b"7bit" if label == "iso-2022-kr" else b"8bit"
        kind = b"Content-Type: text/plain; charset=" + label.encode()
        subject = _word("견적서 확인", label, codec)
        raw = (text + "\r\n").encode(codec)
        yield f"korean-{label}", header(subject, kind, b"Content-Transfer-Encoding: " + encoding) + b"\r\n" + raw
        yield (
            f"korean-{label}-base64",
            header(subject, kind, b"Content-Transfer-Encoding: base64") + b"\r\n" + _base64(raw),
        )


def _korean_attachments() -> bytes:
    name = "회의록 2026.hwp"
    extended = "".join(f"%{octet:02X}" for octet in name.encode()).encode()
    legacy = _word(name, "ks_c_5601-1987", "cp949")
    blob = _base64(b"\xd0\xcf\x11\xe0" + _octets(500, 3))
    parts = (
        b"Content-Type: text/plain; charset=euc-kr\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + _KOREAN.encode("euc_kr")
        + b"\r\n",
        b"Content-Type: application/x-hwp\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment;\r\n filename*0*=utf-8'ko'"
        + extended[:20]
        + b";\r\n filename*1*="
        + extended[20:]
        + b"\r\n\r\n"
        + blob,
        b'Content-Type: application/x-hwp; name="' + legacy + b'"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="' + legacy + b'"\r\n\r\n' + blob,
        b"Content-Type: application/x-hwp\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name.encode("cp949") + b'"\r\n\r\n' + blob,
    )
    return header(_word("첨부", "utf-8", "utf-8"), b"Content-Type: multipart/mixed; boundary=ko") + multipart(
        b"ko", *parts
    )


def multipart(boundary: bytes, *parts: bytes, close: bool = True) -> bytes:
    """The body of a multipart with the empty line before it; parts hold their own header and end in a line end."""
    body = b"".join(b"\r\n--" + boundary + b"\r\n" + part.removesuffix(b"\r\n") for part in parts)
    return body + (b"\r\n--" + boundary + b"--\r\n" if close else b"\r\n")


def nested_messages(levels: int) -> bytes:
    """Messages within messages, each a multipart of text and the next."""
    inner = plain_message(900, 99)
    for level in range(levels):
        boundary = b"=_level_%d" % level
        text = b"Content-Type: text/plain\r\n\r\nForwarded, level %d.\r\n" % level
        wrapped = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + inner
        kind = b"Content-Type: multipart/mixed; boundary=" + boundary
        inner = header(b"Fwd: level %d" % level, kind, serial=level + 2) + multipart(boundary, text, wrapped)
    return inner


def nested_multiparts(levels: int) -> bytes:
    """Multiparts within each other, never closed: the parser's patience is what is tested."""
    head = header(b"deep", b"Content-Type: multipart/mixed; boundary=b0") + b"\r\n"
    return head + b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level, level + 1) for level in range(levels)
    )


def _related() -> bytes:
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<style>p{x:y}</style><p>Hello &amp; <b>welcome</b><img src='cid:logo'>\r\n"
    image = (
        b'Content-Type: image/png; name="logo.png"\r\nContent-ID: <logo@example.com>\r\nContent-Transfer-Encoding: base64\r\n'
        b"Content-Disposition: inline\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Language: ko, en-US\r\n"
        b"Content-Location: http://example.com/logo.png\r\nContent-Description: the logo\r\n\r\n"
        + _base64(_PNG + _octets(300, 5))
    )
    return header(b"related", b'Content-Type: multipart/related; type="text/html"; boundary="a b"') + multipart(
        b"a b", html, image
    )


def _report() -> bytes:
    words = b"\r\nIt could not be delivered.\r\n"
    status = (
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822;b@c\r\n"
    )
    original = b"Content-Type: text/rfc822-headers\r\n\r\nFrom: a@example.com\r\nSubject: lost\r\n"
    kind = b"Content-Type: multipart/report; report-type=delivery-status; boundary=r"
    return header(b"Undelivered", kind) + multipart(b"r", words, status, original)


def _receipt() -> bytes:
    """RFC 8098: what was read stands in a part of type message/..., which is no message."""
    words = b"Content-Type: text/plain\r\n\r\nYour message was displayed.\r\n"
    note = (
        b"Content-Type: message/disposition-notification\r\n\r\nReporting-UA: nas; reader\r\n"
        b"Final-Recipient: rfc822;receipt-reader@example.net\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"
    )
    kind = b"Content-Type: multipart/report; report-type=disposition-notification; boundary=r"
    return header(b"Read", kind) + multipart(b"r", words, note)


def _sections_with_a_gap() -> bytes:
    part = (
        b"Content-Type: application/octet-stream; name*0*=utf-8''%ED%9A%8C; name*1*=%EC%9D%98; name*2=\"rok.bin\"\r\n"
        b"Content-Disposition: attachment; filename*1=b; filename*0=a; filename*3=gap\r\n\r\nx\r\n"
    )
    return header(b"x", b"Content-Type: multipart/mixed; boundary=XX") + multipart(b"XX", part)


def _digest() -> bytes:
    issues = [b"\r\n" + plain_message(800, serial) for serial in (11, 12)]
    return header(b"Digest", b"Content-Type: multipart/digest; boundary=d") + multipart(b"d", *issues)


def _encoded(subject: bytes) -> bytes:
    return header(subject) + b"\r\nhi\r\n"


def _ugly() -> Iterator[tuple[str, bytes]]:
    whole = "안녕하세요".encode()
    split = b"=?utf-8?B?" + b64encode(whole[:4]) + b"?=\r\n =?utf-8?B?" + b64encode(whole[4:]) + b"?="
    yield "split-encoded-word", _encoded(split)
    yield "encoded-line-end", _encoded(b"=?utf-8?Q?=0D=0ABcc:_evil@example.com?=")
    yield "unknown-charset", _encoded(b"=?x-unknown?B?aGk=?= =?utf-8?B?*?= =?utf-8?B?aGk?=")
    yield "raw-8bit-header", _encoded("견적서".encode("cp949"))
    yield "raw-utf8-header", _encoded("견적서".encode())
    yield "nul-in-header", _encoded(b"a\0b\x01c\x7f")
    yield "empty", b""
    yield "only-line-end", b"\r\n"
    yield "only-body", b"\r\nno header at all\r\n"
    yield "only-header", header()
    yield "header-without-end", b"Subject: cut off"
    yield (
        "garbage-in-header",
        b"From old@mbox Wed Apr  1\r\nnot a field\r\n: no name\r\nSubject : spaced\r\n\r\nbody\r\n",
    )
    yield "bare-lf", plain_message(1200).replace(b"\r\n", b"\n")
    yield "bare-cr", plain_message(1200).replace(b"\r\n", b"\r")
    yield "mixed-line-ends", header() + b"\nSubject: in the body\r\n\n"
    yield "odd-folding", b"Subject:\r\n first\r\n\tsecond\r\n   \r\n  third\r\nFrom:\r\n a@b\r\n\r\nbody\r\n"
    people = (
        b'From: "Doe, \\"JD\\" John" <jd@example.com>',
        b"Sender: jd@example.com (John (JD) Doe)",
        b"Reply-To: ",
        b"To: Team: alice@example.com, Bob <bob@example.org>;, <@a.example,@b.example:route@example.com>",
        b"Cc: ,,root,, broken <no-at-sign, John Q. Public <jqp@[192.0.2.5]>",
        b'Bcc: "a b"@example.com, undisclosed-recipients:;',
    )
    yield "strange-addresses", b"\r\n".join(people) + b"\r\n\r\nbody\r\n"
    yield "eai", "From: 홍길동 <길동@예시.한국>\r\nTo: δοκιμή@παράδειγμα.δοκιμή\r\n\r\nbody\r\n".encode()
    kind = b"Content-Type: multipart/mixed; boundary=XX"
    part = b"Content-Type: text/plain\r\n\r\npart one\r\n"
    yield "no-closing-boundary", header(b"x", kind) + multipart(b"XX", part, part, close=False)
    yield "no-boundary-at-all", header(b"x", kind) + b"\r\nnothing here\r\n"
    yield "no-boundary-parameter", header(b"x", b"Content-Type: multipart/mixed") + multipart(b"XX", part)
    yield "boundary-never-quoted", header(b"x", b'Content-Type: multipart/mixed; boundary="XX') + multipart(b"XX", part)
    yield "empty-parts", header(b"x", kind) + b"\r\n--XX\r\n--XX\r\n\r\n--XX\r\n\r\n\r\n--XX--"
    yield "only-closing-boundary", header(b"x", kind) + b"\r\n--XX--\r\nepilogue\r\n"
    same = b"Content-Type: multipart/mixed; boundary=XX\r\n\r\n--XX\r\n\r\ninner\r\n--XX--\r\n"
    yield "same-boundary-inside", header(b"x", kind) + multipart(b"XX", same, part)
    longer = b"Content-Type: multipart/mixed; boundary=XXY\r\n" + multipart(b"XXY", part, part)
    yield "boundary-begins-with-outer", header(b"x", kind) + multipart(b"XX", longer, part)
    preamble = b"\r\npreamble\r\n--not-it\r\n" + multipart(b"XX", part)[2:] + b"epilogue\r\n--XX\r\n"
    yield "preamble-epilogue", header(b"x", kind) + preamble
    yield (
        "bad-content-type",
        header(b"x", b"Content-Type: /;;=", b"Content-Transfer-Encoding: x-y (no)") + b"\r\nhi\r\n",
    )
    encoded = header(b"x", b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64")
    yield "encoded-message", encoded + b"\r\n" + _base64(plain_message(500))
    yield "message-at-top", header(b"x", b"Content-Type: message/rfc822") + b"\r\n" + plain_message(600)
    yield (
        "bad-base64",
        header(b"x", b"Content-Type: text/plain", b"Content-Transfer-Encoding: base64") + b"\r\n@@@!A=BC\r\n",
    )
    yield "bad-qp", header(b"x", b"Content-Transfer-Encoding: quoted-printable") + b"\r\na=ZZ =\r\n=C3=\r\n"
    yield (
        "duplicates",
        b"Subject: one\r\nSubject: two\r\nTo: a@b\r\nTo: c@d\r\nContent-Type: text/html\r\n" + header() + b"\r\nx",
    )
    yield "long-lines", header(b"very " * 400, b"X: " + b"x" * 9000) + b"\r\n" + b"y" * 20000
    ids = b" ".join(b"<r%d@example.com>" % number for number in range(400))
    yield (
        "many-references",
        header(b"x", b"References: " + ids, b"In-Reply-To: <p@example.com> (from Joe)") + b"\r\nhi\r\n",
    )
    yield "sections-with-a-gap", _sections_with_a_gap()
    yield "mbox-line-in-front", b"From alice@example.com Wed Apr  1 10:00:00 2026\r\n" + plain_message(700)
    yield "nul-in-body", plain_message(700) + b"a\0b\r\n"
    dates = header(b"x").replace(b"Date: Wed", b"Date: tomorrow, Wed")
    yield "no-such-date", dates + b"\r\nhi\r\n"
    empty = b'From: "" <>\r\nTo: a@b\r\nDate: Wed, 1 Apr 26 10:00:00 EST\r\n\r\nbody\r\n'
    yield "empty-address", empty
    yield "uuencoded", header(b"x", b"Content-Transfer-Encoding: x-uuencode") + b"\r\nbegin 644 a\r\n#0V%T\r\nend\r\n"


def _leaf(dice: random.Random) -> bytes:
    label, codec, text = dice.choice(
        (
            ("us-ascii", "ascii", _SENTENCES),
            ("utf-8", "utf-8", _KOREAN + _BEYOND_KSX),
            ("euc-kr", "euc_kr", _KOREAN),
            ("iso-2022-jp", "iso2022_jp", "会議の議事録をお送りします。"),
            ("koi8-r", "koi8_r", "Пожалуйста, проверьте счёт."),
        )
    )
    raw = b"".join(text[: dice.randint(3, len(text))].encode(codec) + b"\r\n" for _ in range(dice.randint(1, 30)))
    kind = b"Content-Type: text/plain; charset=%b\r\n" % label.encode()
    match dice.randrange(4):
        case 0:
            return kind + b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(raw)
        case 1:
            quoted = b2a_qp(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
            return kind + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted
        case 2:
            disposition = b'Content-Disposition: attachment; filename="file %d.bin"\r\n' % dice.randrange(99)
            head = (
                b"Content-Type: application/octet-stream\r\n"
                + disposition
                + b"Content-Transfer-Encoding: base64\r\n\r\n"
            )
            return head + _base64(dice.randbytes(dice.randint(1, 6000)))
        case _:
            return kind + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + raw


def _part(dice: random.Random, depth: int) -> bytes:
    """Header fields of MIME, an empty line, a body that ends in a line end."""
    match dice.randrange(6) if depth else 5:
        case 0 | 1 | 2:
            boundary = b"=_%08x" % dice.getrandbits(32)
            subtype = dice.choice((b"mixed", b"alternative", b"related", b"x-unknown"))
            kind = b'Content-Type: multipart/%b;\r\n\tboundary="%b"\r\n' % (subtype, boundary)
            before = dice.choice((b"", b"\r\nbefore the parts"))
            behind = dice.choice((b"\r\n", b"behind the parts\r\n"))
            parts = [_part(dice, depth - 1) for _ in range(dice.randint(1, 4))]
            return kind + before + multipart(boundary, *parts) + behind
        case 3:
            inner = header(b"Fwd: %d" % dice.randrange(1000), serial=dice.randrange(1000)) + _part(dice, depth - 1)
            return b"Content-Type: message/rfc822\r\n\r\n" + inner
        case _:
            return _leaf(dice)


def varied_messages(count: int, seed: int = 20260401) -> list[bytes]:
    """Well-formed messages, no two alike: trees of parts in several charsets and encodings; the same seed gives the same ones."""
    dice = random.Random(seed)
    found = []
    for serial in range(1, count + 1):
        subject = dice.choice((b"Minutes %d" % serial, _word(f"견적서 {serial}", "utf-8", "utf-8"), b"Re: the backup"))
        found.append(header(subject, serial=serial) + _part(dice, 4))
    return found


def messages() -> dict[str, bytes]:
    """All of them by name."""
    return {
        "plain": plain_message(4096),
        "plain-1k": plain_message(1024),
        "multipart": multipart_message(20_000),
        "related": _related(),
        "report": _report(),
        "receipt": _receipt(),
        "digest": _digest(),
        "nested-1": nested_messages(1),
        "nested-5": nested_messages(5),
        "deep-multiparts": nested_multiparts(20),
        "korean-attachments": _korean_attachments(),
        **dict(_korean()),
        **dict(_ugly()),
    }
