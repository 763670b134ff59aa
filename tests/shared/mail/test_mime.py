"""Content-Type and Content-Disposition: parameters of RFC 2045 and RFC 2231, and of the wild."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.mime import (
    ContentType,
    Parameters,
    file_name,
    parse_content_type,
    parse_disposition,
    parse_encoding,
    parse_parameters,
)


def params(value: bytes) -> dict[bytes, bytes]:
    return dict(parse_parameters(value, 50).pairs)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", (b"text", b"plain", {})),
        (b"Text/PLAIN; CharSet=US-ASCII", (b"text", b"plain", {b"charset": b"US-ASCII"})),
        (b"text/plain; charset=us-ascii (Plain text)", (b"text", b"plain", {b"charset": b"us-ascii"})),
        (b'text/plain; charset="us-ascii"', (b"text", b"plain", {b"charset": b"us-ascii"})),
        (b"text (hm) / plain", (b"text", b"plain", {})),
        (b"text/plain;", (b"text", b"plain", {})),
        (b"text/plain;;charset=a;", (b"text", b"plain", {b"charset": b"a"})),
        (
            b'multipart/mixed; boundary="gc0pJq0M:08jU534c0p"',
            (b"multipart", b"mixed", {b"boundary": b"gc0pJq0M:08jU534c0p"}),
        ),
        (b"multipart/mixed; boundary=a(b)c", (b"multipart", b"mixed", {b"boundary": b"a(b)c"})),
        (b'multipart/mixed; boundary="XX', (b"multipart", b"mixed", {b"boundary": b"XX"})),
        (b"multipart/mixed; boundary=A; boundary=B", (b"multipart", b"mixed", {b"boundary": b"A"})),
        (b'text/plain; name="a\\"b;c"', (b"text", b"plain", {b"name": b'a"b;c'})),
        (b"text/plain; name=my file.txt; x=1 2", (b"text", b"plain", {b"name": b"my file.txt", b"x": b"1"})),
        (
            b"text/plain; charset = utf-8 ; format = flowed",
            (b"text", b"plain", {b"charset": b"utf-8", b"format": b"flowed"}),
        ),
        (b"text/plain; nonsense; charset=a", (b"text", b"plain", {b"charset": b"a"})),
        (b"text/plain; charset=", (b"text", b"plain", {b"charset": b""})),
        (b"text", None),
        (b"/;;=", None),
        (b"", None),
        (b"text/", None),
        (b"text/plain/x", None),
        (b"\xff/\xff", None),
    ],
)
def test_content_types(value: bytes, expected: tuple[bytes, bytes, dict[bytes, bytes]] | None) -> None:
    got = parse_content_type(value, 50)
    assert (None if got is None else (got.media, got.subtype, dict(got.parameters.pairs))) == expected


# RFC 2231 §3, §4, §4.1
def test_continuations() -> None:
    assert params(b'message/external-body; access-type=URL; URL*0="ftp://";\r\n URL*1="cs.utk.edu/pub/moore"') == {
        b"access-type": b"URL",
        b"url": b"ftp://cs.utk.edu/pub/moore",
    }
    extended = parse_parameters(b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", 50)
    assert extended.text(b"title") == "This is ***fun***"
    both = parse_parameters(
        b"x/y; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
        50,
    )
    assert both.text(b"title") == "This is even more ***fun*** isn't it!"
    assert both.raw(b"title*") == b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't it!"


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (b"a; filename*1=b; filename*0=a; filename*3=gap", b"filename", "ab"),
        (b"a; filename*=utf-8''%ED%9A%8C; filename=plain", b"filename", "회"),
        (b"a; filename*=euc-kr''%C8%B8%C0%C7.hwp", b"filename", "회의.hwp"),
        (b"a; filename*0*=utf-8'ko'%ED%9A; filename*1*=%8C", b"filename", "회"),
        (b"a; filename*0=100%; filename*1*=%41", b"filename", "100%A"),
        (b"a; filename*=no-quotes%41", b"filename", "no-quotesA"),
        (b"a; filename*=x-unknown''%ED%9A%8C", b"filename", "회"),
        (b'a; filename="=?ks_c_5601-1987?B?yLjAxw==?="', b"filename", "회의"),
        (b"a; filename==?utf-8?B?7ZqM7J2Y?=", b"filename", "회의"),
        (b'a; filename="\xed\x9a\x8c"', b"filename", "회"),
        (b"a; other=1", b"filename", ""),
    ],
)
def test_text_of_parameters(value: bytes, name: bytes, text: str) -> None:
    assert parse_parameters(value, 50).text(name) == text


def test_file_names_hold_no_paths_and_no_controls() -> None:
    nothing = ContentType(b"a", b"b", Parameters())
    named = ContentType(b"a", b"b", Parameters(((b"name", b"from-type.txt"),)))
    evil = parse_disposition(b'attachment; filename="../../etc/pass\x00wd\\\\x"', 50)
    assert file_name(nothing, evil) == ".._.._etc_pass wd_x"
    assert file_name(named, None) == "from-type.txt"
    assert file_name(named, parse_disposition(b"inline", 50)) == "from-type.txt"
    assert file_name(nothing, None) == ""
    assert len(file_name(ContentType(b"a", b"b", Parameters(((b"name", b"n" * 999),))), None)) == 255


def test_disposition_and_encoding() -> None:
    disposition = parse_disposition(
        b'ATTACHMENT; FileName=genome.jpeg; modification-date="Wed, 12 Feb 1997 16:29:51 -0500"', 50
    )
    assert disposition is not None
    assert disposition.kind == b"attachment"
    assert dict(disposition.parameters.pairs) == {
        b"filename": b"genome.jpeg",
        b"modification-date": b"Wed, 12 Feb 1997 16:29:51 -0500",
    }
    assert parse_disposition(b"; filename=x", 50) is None
    assert parse_encoding(b"Base64") == b"base64"
    assert parse_encoding(b"8bit (really)") == b"8bit"
    assert parse_encoding(b"") == b"7bit"


def test_parameter_limit() -> None:
    value = b"text/plain" + b"".join(b"; p%d=v" % number for number in range(200))
    assert len(parse_parameters(value, 50).pairs) == 50


@given(st.text(alphabet="ab*0123'%=;\"\\ ()\té", max_size=80).map(lambda text: text.encode("latin-1")))
def test_never_raises(value: bytes) -> None:
    got = parse_content_type(b"a/b;" + value, 50)
    assert got is not None
    for name, _ in got.parameters.pairs:
        assert isinstance(got.parameters.text(name.removesuffix(b"*")), str)
