"""What lists and searches see: decoded fields, previews, attachments, text of parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.body_text import decode_body, decode_transfer, iter_text
from shared.mail.date import SentDate
from shared.mail.html_text import html_to_text
from shared.mail.index import Person, Summary, build_index, unpack_parts, unpack_summary
from shared.mail.limits import IndexLimits
from shared.testing.corpus import header, messages, multipart, plain_message

CORPUS = messages()


def summary(content: bytes) -> Summary:
    return unpack_summary(build_index(content).summary)


def with_body(kind: bytes, body: bytes, *more: bytes) -> bytes:
    return header(b"x", b"Content-Type: " + kind, *more) + b"\r\n" + body


def test_fields() -> None:
    got = summary(
        b'From: =?utf-8?B?7ZmN6ri464+Z?= <gildong@example.kr>\r\nTo: g: a@b, "Q, R" <c@d>;\r\nCc: root\r\nBcc: e@f\r\n'
        b"Reply-To: r@s\r\nSender: t@u\r\nSubject: =?euc-kr?B?yLjAxw==?=\r\nDate: Thu, 1 Jan 1970 09:00:00 +0900\r\n"
        b"Message-ID: <one@two>\r\nIn-Reply-To: <p@q> (from Joe)\r\nReferences: <n@o>\r\n <p@q>\r\n\r\nHi\r\n"
    )
    assert got == Summary(
        subject="회의",
        from_=(Person("홍길동", "gildong", "example.kr"),),
        sender=(Person("", "t", "u"),),
        reply_to=(Person("", "r", "s"),),
        to=(Person("", "a", "b"), Person("Q, R", "c", "d")),
        cc=(Person("", "root", ""),),
        bcc=(Person("", "e", "f"),),
        sent=SentDate(0, 540),
        message_id="one@two",
        in_reply_to=("p@q",),
        references=("n@o", "p@q"),
        preview="Hi",
        has_attachment=False,
    )
    assert got.from_[0].address == "gildong@example.kr"
    assert got.cc[0].address == "root"


def test_nothing_at_all() -> None:
    assert summary(b"") == Summary("", (), (), (), (), (), (), None, "", (), (), "", False)


def test_headers_in_the_charset_of_the_body() -> None:
    content = "Subject: 견적서\r\nFrom: 홍길동 <a@b>\r\nContent-Type: text/plain; charset=euc-kr\r\n\r\n안녕".encode(
        "cp949"
    )
    got = summary(content)
    assert (got.subject, got.from_[0].display, got.preview) == ("견적서", "홍길동", "안녕")


@pytest.mark.parametrize("name", [name for name in CORPUS if name.startswith("korean-") and "attach" not in name])
def test_korean(name: str) -> None:
    got = summary(CORPUS[name])
    assert got.subject == "견적서 확인"
    assert got.preview.startswith("안녕하세요, 회의록을 첨부하여 보내드립니다.")


def test_korean_attachment_names() -> None:
    parts = unpack_parts(build_index(CORPUS["korean-attachments"]).parts)
    assert [part.file_name for part in parts[2:4]] == ["회의록 2026.hwp"] * 2
    assert summary(CORPUS["korean-attachments"]).has_attachment


def test_references_keep_the_first_and_the_latest() -> None:
    got = summary(CORPUS["many-references"])
    assert len(got.references) == 200
    assert got.references[0] == "r0@example.com"
    assert got.references[1:] == tuple(f"r{number}@example.com" for number in range(201, 400))
    small = unpack_summary(build_index(CORPUS["many-references"], IndexLimits(references=1)).summary)
    assert small.references == ("r0@example.com",)


def test_many_people_are_bounded() -> None:
    people = b",\r\n ".join(b"%b <u%d@example.com>" % (b"n" * 200, number) for number in range(900))
    index = build_index(b"To: " + people + b"\r\n\r\n")
    assert 100 < len(unpack_summary(index.summary).to) < 900
    assert len(index.summary) < 80_000


@pytest.mark.parametrize(
    ("content", "preview"),
    [
        (plain_message(4096), None),
        (
            with_body(b"text/plain", b"> quoted\r\n> more\r\nMy  answer\r\n\r\n is this.\r\n-- \r\nsignature\r\n"),
            "My answer is this.",
        ),
        (
            with_body(b"text/html", b"<title>no</title><style>x</style><p>Hello&nbsp;&amp; <b>wel</b>come</p>"),
            "Hello & welcome",
        ),
        (
            with_body(b"text/plain; charset=utf-8", b"=EC=95=88=\r\n!", b"Content-Transfer-Encoding: quoted-printable"),
            "안!",
        ),
        (with_body(b"text/plain", b"SGVs\r\nbG8=\r\n", b"Content-Transfer-Encoding: base64"), "Hello"),
        (with_body(b"image/png", b"\x89PNG"), ""),
        (with_body(b"text/plain", b"a\0b\x07c\r\n"), "abc"),
        (CORPUS["nested-1"], "Forwarded, level 0."),
        (CORPUS["related"], "Hello & welcome"),
        (with_body(b"text/html", b"<style>" + b"x{y:z} " * 4000 + b"</style><p>Late</p>"), "Late"),
    ],
)
def test_previews(content: bytes, preview: str | None) -> None:
    got = summary(content).preview
    if preview is None:
        assert 190 < len(got) <= 200
        assert got.isprintable()
    else:
        assert got == preview


def test_preview_does_not_end_in_a_broken_character() -> None:
    for cut in range(790, 812):
        body = ("가" * 150 + " " * cut + "나" * 600).encode()
        assert "\ufffd" not in summary(with_body(b"text/plain; charset=utf-8", body)).preview


def test_alternatives_prefer_plain_text() -> None:
    plain = b"Content-Type: text/plain\r\n\r\nplain words\r\n"
    html = b"Content-Type: text/html\r\n\r\n<p>html words\r\n"
    kind = b"Content-Type: multipart/alternative; boundary=b"
    assert summary(header(b"x", kind) + multipart(b"b", html, plain)).preview == "plain words"
    empty = b"Content-Type: text/plain\r\n\r\n \r\n"
    assert summary(header(b"x", kind) + multipart(b"b", empty, html)).preview == "html words"


TEXT = b"Content-Type: text/plain\r\n\r\nwords\r\n"


@pytest.mark.parametrize(
    ("part", "attached"),
    [
        (b"Content-Type: text/plain\r\n\r\nx\r\n", False),
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx\r\n", True),
        (b"Content-Type: text/plain; name=a.txt\r\n\r\nx\r\n", True),
        (b"Content-Type: text/plain; name=a.txt\r\nContent-Disposition: inline\r\n\r\nx\r\n", False),
        (b"Content-Type: application/pdf\r\n\r\nx\r\n", True),
        (b"Content-Type: image/png\r\nContent-ID: <a@b>\r\n\r\nx\r\n", False),
        (b"Content-Type: image/png\r\nContent-Disposition: inline; filename=a.png\r\n\r\nx\r\n", False),
        (b"Content-Type: image/png\r\n\r\nx\r\n", True),
        (b"Content-Type: application/pgp-signature; name=signature.asc\r\n\r\nx\r\n", False),
        (b"Content-Type: application/pkcs7-signature\r\nContent-Disposition: attachment\r\n\r\nx\r\n", False),
        (b"Content-Type: message/rfc822\r\n\r\nFrom: a\r\n\r\nx\r\n", True),
        (b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n", False),
        (b"Content-Type: text/calendar; name=a.ics; method=REQUEST\r\n\r\nx\r\n", False),
    ],
)
def test_attachments(part: bytes, attached: bool) -> None:
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=b") + multipart(b"b", TEXT, part)
    assert summary(content).has_attachment is attached


def test_text_of_all_parts() -> None:
    content = CORPUS["nested-1"]
    texts = list(iter_text(content, unpack_parts(build_index(content).parts), 1 << 20))
    assert texts[0] == "Forwarded, level 0."
    assert len(texts) == 2
    few = list(iter_text(content, unpack_parts(build_index(content).parts), 30))
    assert [len(text) for text in few] == [19, 11]


@pytest.mark.parametrize(
    ("data", "encoding", "octets"),
    [
        (b"SGVsbG8=", "base64", b"Hello"),
        (b"SGV\r\nsbG8", "base64", b"Hello"),
        (b"@@S G-V*sbG8=garbage", "base64", b"Hello"),
        (b"A", "base64", b""),
        (b"a=3D=\r\nb=ZZ=", "quoted-printable", b"a=b=ZZ"),
        (b"a=3D", "7bit", b"a=3D"),
        (b"a=3D", "x-unknown", b"a=3D"),
    ],
)
def test_transfer_encodings(data: bytes, encoding: str, octets: bytes) -> None:
    assert decode_transfer(data, encoding)[:5] == octets[:5]


@given(
    st.binary(max_size=300),
    st.sampled_from(["base64", "quoted-printable", "7bit"]),
    st.sampled_from(["euc-kr", "utf-7", "x"]),
)
def test_bodies_never_raise(data: bytes, encoding: str, charset: str) -> None:
    decode_body(data, encoding, charset)
    decode_body(data, encoding, charset, is_html=True)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1 2"),
        ("<head><title>t</title></head><body>x", "x"),
        ("<head><meta><body>x", "x"),
        ("a <!-- b --> c <!-- open", "a c"),
        ("<script>if (a < b) c()</script>d", "d"),
        ("<style>a{b:c}", ""),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("&lt;b&gt; &#50504; &eacute; &nosuch;", "<b> 안 é &nosuch;"),
        ("x\n  y\t z", "x y z"),
        ("zero\u200b\u00adwidth", "zerowidth"),
        ("<a href='x>y'>z", "y'>z"),
        ("<", "<"),
        ("", ""),
    ],
)
def test_html(html: str, text: str) -> None:
    assert html_to_text(html) == text
