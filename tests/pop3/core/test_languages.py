"""UTF8 and LANG (RFC 6856): every text has its translation, what programs read stays as it is, ranges find their language."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pop3.protocol import replies
from services.pop3.protocol.connection import Policy, Pop3Connection
from services.pop3.protocol.languages import LANGUAGES, choose_language, translate

OPEN = Policy(plaintext_login=True, max_errors=1000)
TEXTS = sorted(
    {value for value in vars(replies).values() if isinstance(value, bytes) and value not in (replies.OK, replies.END)}
    | {
        replies.maildrop(2, 320), replies.no_such_message(7), replies.already_deleted(12), replies.deleted(3),
        replies.signing_off(None), replies.signing_off(40),
    }
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("language", [tag for tag in LANGUAGES if tag != "en"])
def test_every_text_is_translated(text: bytes, language: str) -> None:
    told = translate(text, language)
    assert told != text
    head = re.compile(rb"(\+OK|-ERR) (\[[A-Z/-]+\] )?")
    (before, after) = (head.match(text), head.match(told))
    assert before is not None
    assert after is not None
    # status and code are for programs; numbers are what they were; RFC 2449 §3: at most 512 octets
    assert before[0] == after[0]
    numbers = re.compile(rb"\d+")
    if b"STLS" not in text and b"UTF" not in text:
        assert numbers.findall(text) == numbers.findall(told)
    assert told.endswith(b"\r\n")
    assert told.count(b"\r\n") == 1
    assert len(told) <= 512
    assert translate(text, "en") == text


@given(st.binary(max_size=60))
def test_what_is_no_text_of_ours_stays(data: bytes) -> None:
    assert translate(b"+OK %b" % data, "ko") in (b"+OK %b" % data, translate(b"+OK %b" % data, "ko"))
    for reply in (b"+OK\r\n", b"+OK 2 320\r\n", b"+ " + data, b"1 120\r\n2 200\r\n", b".\r\n", b"+OK 1 uidl-1\r\n"):
        assert translate(reply, "ko") == reply


def test_only_the_first_line_is_for_people() -> None:
    reply = replies.CAPABILITIES_FOLLOW + b"STLS\r\n" + replies.END
    assert translate(reply, "ko") == "+OK 기능 목록입니다\r\nSTLS\r\n.\r\n".encode()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("*", "en"), ("ko", "ko"), ("KO-Kore-KR", "ko"), ("en-boont", "en"), ("MUL", None), ("kok", None), ("x-ko", None)],
)
def test_ranges_find_their_language(wanted: str, found: str | None) -> None:
    assert choose_language(wanted) == found


def talk(*lines: bytes) -> list[bytes]:
    connection = Pop3Connection(OPEN, "dewey.test")
    said = []
    for line in lines:
        connection.receive_data(line + b"\r\n")
        event = connection.next_event()
        assert event is not None
        said.append(connection.spoken(event.data))  # type: ignore[union-attr]  # these commands give replies alone
    return said


def test_the_dialogue() -> None:
    # RFC 6856 §3.3
    assert talk(b"LANG MUL", b"LANG", b"lang ko-KR", b"NOOP", b"LANG uga", b"LANG *", b"NOOP") == [
        b"-ERR no such language\r\n",
        "+OK language listing follows\r\nen English\r\nko 한국어\r\n.\r\n".encode(),
        "+OK ko 언어를 바꾸었습니다\r\n".encode(),
        "-ERR 먼저 로그인하십시오\r\n".encode(),
        "-ERR 그런 언어가 없습니다\r\n".encode(),
        b"+OK en language changed\r\n",
        b"-ERR log in first\r\n",
    ]
    for wrong in (b"LANG ko kr", b"LANG k\x00", b"LANG **", b"LANG 123456789", b"LANG toolonglanguage", b"UTF8 USER"):
        assert talk(wrong)[0].startswith(b"-ERR "), wrong


def test_utf8_and_what_is_announced() -> None:
    # RFC 6856 §2: USER, for user names and passwords in UTF-8 are taken
    capabilities, enabled, user = talk(b"CAPA", b"utf8", "USER 희동".encode())
    assert {b"UTF8 USER", b"LANG"} <= set(capabilities.split(b"\r\n"))
    assert (enabled, user) == (replies.UTF8_ENABLED, replies.USER_OK)
