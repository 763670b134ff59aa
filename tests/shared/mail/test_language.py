"""In which language a sender is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.encoded_word import encode_words
from shared.mail.language import language_of
from shared.model.language import Language

EN, KO = Language.ENGLISH, Language.KOREAN
HANGUL = b"Subject: " + encode_words("안녕하세요") + b"\r\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", None),
        (b"Subject: hello\r\n", None),
        (HANGUL, KO),
        ("Subject: 안녕\r\n".encode(), KO),
        (b"Subject: =?euc-kr?B?vsiz5w==?=\r\n", KO),
        (b"From: " + encode_words("홍길동") + b" <h@example.test>\r\nSubject: hi\r\n", KO),
        # the reader's wish before the writer's script
        (b"Accept-Language: en-US\r\n" + HANGUL, EN),
        (b"Accept-Language: fr, ko-KR;q=0.9, en;q=0.8\r\n", KO),
        (b"Accept-Language: en;q=0.5, ko\r\n", KO),
        (b"Accept-Language: fr, de\r\nContent-Language: en\r\n", EN),
        (b"Accept-Language: ko;q=0, en;q=0.1\r\n", EN),
        # the script before what a program says of itself
        (b"Content-Language: en-US\r\n" + HANGUL, KO),
        (b"Content-Language: ko\r\nSubject: hello\r\n", KO),
        (b"Content-Language: en\r\nContent-Type: text/plain; charset=euc-kr\r\n", EN),
        (b"Content-Type: text/plain; charset=\"ks_c_5601-1987\"\r\n", KO),
        (b"Content-Type: text/plain; charset=utf-8\r\n", None),
        # what stands in the body is not looked at
        ("Subject: hello\r\n\r\nContent-Language: ko\r\n안녕\r\n".encode(), None),
        (b"Accept-Language: ;;,,q=\x00, \xff\r\n", None),
        (b"Subject: " + encode_words("日本語") + b"\r\n", None),
    ],
)
def test_the_language_of_a_message(header: bytes, expected: Language | None) -> None:
    assert [language_of(header, default) for default in (EN, KO)] == [expected or EN, expected or KO]


@given(st.binary(max_size=400))
def test_any_octets_have_one(data: bytes) -> None:
    assert language_of(b"Accept-Language: " + data, EN) in Language
