"""RFC 2047: the RFC's examples, words as senders write them, and words of our own."""

import email.header
from base64 import b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail.charset import _CODECS, codec_name, decode_text, decode_unlabelled
from shared.mail.encoded_word import decode_base64, decode_words, encode_words
from shared.mail.index import build_index, unpack_summary


def b(text: str, charset: str, codec: str) -> bytes:
    return b"=?" + charset.encode() + b"?B?" + b64encode(text.encode(codec)) + b"?="


HELLO = "안녕하세요"
TABLE = [
    # RFC 2047 §8
    (b"=?ISO-8859-1?Q?a?=", "a"),
    (b"=?ISO-8859-1?Q?a?= b", "a b"),
    (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
    (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
    (b"=?ISO-8859-1?Q?a_b?=", "a b"),
    (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
    (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
    (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
    (
        b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example.",
    ),
    # RFC 2231 §5
    (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    # Korean labels
    (b(HELLO, "euc-kr", "euc_kr"), HELLO),
    (b(HELLO, "EUC-KR", "euc_kr"), HELLO),
    (b("뷁쀍", "euc-kr", "cp949"), "뷁쀍"),
    (b("뷁쀍", "ks_c_5601-1987", "cp949"), "뷁쀍"),
    (b(HELLO, "iso-2022-kr", "iso2022_kr"), HELLO),
    (b(HELLO, "cp949", "cp949"), HELLO),
    (b(HELLO, "UTF8", "utf-8"), HELLO),
    # split inside a character
    (b"=?utf-8?B?" + b64encode(HELLO.encode()[:4]) + b"?= =?UTF-8?B?" + b64encode(HELLO.encode()[4:]) + b"?=", HELLO),
    (b"=?utf-8?Q?=EC=95?= =?utf-8?B?" + b64encode(b"\x88") + b"?=", "안"),
    # glued, unknown, broken
    (b"=?utf-8?Q?a_b?==?utf-8?Q?c?=", "a bc"),
    (b"x=?utf-8?Q?y?=z", "xyz"),
    (b"=?x-unknown?B?aGk=?=", "=?x-unknown?B?aGk=?="),
    (b"=?utf-8?B?YQ?=", "a"),
    (b"=?utf-8?q?=EC=95?=", "�"),
    (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
    (b"=?utf-8?Q?open", "=?utf-8?Q?open"),
    (b"=?utf-8?Q??=", ""),
    (b"=?", "=?"),
    # no line end gets out
    (b"=?utf-8?Q?=0D=0ABcc:_evil?=", " Bcc: evil"),
    (b"a\0b\x1bc", "a b c"),
    # RFC 1557 and its Japanese sister, raw
    (HELLO.encode("iso2022_kr"), HELLO),
    ("会議 1".encode("iso2022_jp"), "会議 1"),
    (b"a \x1b$ b", "a  $ b"),
    # 8-bit
    (HELLO.encode(), HELLO),
    (b"caf\xe9", "café"),
    (b"caf\xe9 =?utf-8?Q?x?=", "café x"),
]


@pytest.mark.parametrize(("value", "text"), TABLE, ids=[repr(value)[:50] for value, _ in TABLE])
def test_table(value: bytes, text: str) -> None:
    assert decode_words(value) == text


def test_guessed_charset() -> None:
    assert decode_words(HELLO.encode("cp949"), "euc-kr") == HELLO
    assert decode_words("日本".encode("shift_jis"), "shift_jis") == "日本"
    assert decode_words(HELLO.encode(), "euc-kr") == HELLO
    assert decode_words(b"\xff", "euc-kr") == "ÿ"
    assert decode_unlabelled(b"\xff\xfe", "utf-16") == "ÿþ"


@given(st.binary(max_size=120))
def test_never_raises(value: bytes) -> None:
    assert not set(decode_words(b"=?utf-8?B?" + value + b"?= " + value)) & set("\r\n\0")
    decode_base64(value)


@given(st.text(max_size=120))
def test_what_we_write_is_read_by_us_and_by_the_standard_library(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    encoded = encode_words(text)
    assert encoded.isascii()
    lines = encoded.split(b"\r\n")
    assert all(line.startswith(b" ") for line in lines[1:])
    assert b"\n" not in b"".join(lines)
    cleaned = decode_words(encoded.replace(b"\r\n", b""))
    if encoded.startswith(b"=?"):
        assert all(len(line) <= 76 for line in lines)
        assert str(email.header.make_header(email.header.decode_header(encoded.decode()))) == cleaned
    assert [c for c in cleaned if c > " "] == [c for c in text if c > " " and c != "\x7f"]


@pytest.mark.parametrize(
    "name", ["rot13", "hex", "zip", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", ""]
)
def test_codecs_that_no_message_may_choose(name: str) -> None:
    assert codec_name(name) is None
    assert decode_text(b"abc\xff", name) == "abcÿ"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        *(("euc-kr", "euc_kr"), ("KS_C_5601-1987", "cp949"), (" 'utf-8' ", "utf-8"), ("iso-2022-kr", "iso2022_kr")),
        *(("johab", "johab"), ("utf-16", "utf-16"), ("x-windows-949", "cp949")),
    ],
)
def test_korean_charsets(charset: str, codec: str) -> None:
    assert decode_text(HELLO.encode(codec), charset) == HELLO


def test_every_codec_exists_and_takes_anything() -> None:
    for name in _CODECS:
        assert isinstance(decode_text(bytes(range(256)) * 2, name), str)
        assert decode_text(b"", name) == ""


@given(
    st.binary(max_size=40),
    st.sampled_from(sorted(_CODECS)),
)
@settings(max_examples=500, deadline=None)
@example(b"+2AA-", "utf-7")
def test_text_can_always_be_written_again(data: bytes, charset: str) -> None:
    decode_text(data, charset).encode("utf-8")
    decode_unlabelled(data, charset).encode("utf-8")


def test_lone_surrogates_do_not_reach_the_store() -> None:
    content = b"Subject: =?utf-7?Q?+2AA-?=\r\nContent-Type: text/html; charset=utf-7\r\n\r\n+2AA- &#xD800; x\r\n"
    summary = unpack_summary(build_index(content).summary)
    assert summary.subject == "?"
    assert summary.preview.endswith("x")


def test_us_ascii_with_8bit() -> None:
    assert decode_text(HELLO.encode(), "us-ascii") == HELLO
    assert decode_text(b"caf\xe9", "us-ascii") == "café"
    assert decode_text(b"caf\xe9", "utf-8") == "caf�"
