"""What the server says, in other languages than English (RFC 6856 §3): text for people only, never a word that a program reads.

Law: a reply keeps its "+OK" or "-ERR", its response code and its numbers, and only its first line is for people. What has no translation
stays English; a test looks that every text of `replies` has one.
"""

from __future__ import annotations

import re
from typing import Final

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "ko": "한국어"}
"""Tag and name in the language itself."""

_NUMBER: Final = re.compile(r"\d+")
_REPLY: Final = re.compile(r"(\+OK |-ERR )(\[[A-Z/-]+\] )?(.+)")
_KOREAN: Final = {
    "unknown command": "알 수 없는 명령입니다",
    "this command takes no arguments": "이 명령은 인수를 받지 않습니다",
    "missing or malformed arguments": "인수가 없거나 잘못되었습니다",
    "not a number": "숫자가 아닙니다",
    "control character in argument": "인수에 제어 문자가 있습니다",
    "argument is not UTF-8": "인수가 UTF-8이 아닙니다",
    "line too long": "줄이 너무 깁니다",
    "too many errors, closing": "오류가 너무 많아 연결을 닫습니다",
    "log in first": "먼저 로그인하십시오",
    "PASS is for directly after USER": "PASS는 USER 바로 다음에만 쓸 수 있습니다",
    "you are logged in already": "이미 로그인했습니다",
    "no password without TLS: use STLS or port 995": "TLS 없이는 비밀번호를 받지 않습니다: STLS나 995번 포트를 쓰십시오",
    "TLS is active already": "이미 TLS를 쓰고 있습니다",
    "TLS is not available": "TLS를 쓸 수 없습니다",
    "send PASS": "PASS를 보내십시오",
    "begin TLS negotiation": "TLS 협상을 시작하십시오",
    "mechanisms follow": "인증 방식 목록입니다",
    "capability list follows": "기능 목록입니다",
    "language listing follows": "언어 목록입니다",
    "no such language": "그런 언어가 없습니다",
    "language changed": "언어를 바꾸었습니다",
    "UTF8 enabled": "UTF8을 켰습니다",
    "unknown authentication mechanism": "알 수 없는 인증 방식입니다",
    "malformed authentication exchange": "인증 절차가 잘못되었습니다",
    "authentication cancelled": "인증을 취소했습니다",
    "user name or password is wrong": "사용자 이름이나 비밀번호가 틀렸습니다",
    "user name or password is wrong, closing": "사용자 이름이나 비밀번호가 틀려 연결을 닫습니다",
    "the maildrop is open in another session": "편지함이 다른 세션에서 열려 있습니다",
    "the mail store cannot be reached, try again later": "메일 저장소에 연결할 수 없습니다. 나중에 다시 시도하십시오",
    "there is no such mailbox": "그런 편지함이 없습니다",
    "too many failed logins, try again later": "로그인 실패가 너무 많습니다. 나중에 다시 시도하십시오",
    "the mail store refused this, ask the administrator": "메일 저장소가 거부했습니다. 관리자에게 문의하십시오",
    "the server is shutting down, try again later": "서버를 종료하는 중입니다. 나중에 다시 시도하십시오",
    "the session is over, log in again": "세션이 끝났습니다. 다시 로그인하십시오",
    "the message is no longer there": "그 메시지는 이제 없습니다",
    "some deleted messages not removed": "삭제한 메시지 가운데 일부를 지우지 못했습니다",
    "top of message follows": "메시지의 앞부분입니다",
    "listing follows": "목록입니다",
    "maildrop has # messages (# octets)": "편지함에 메시지 #개가 있습니다 (#옥텟)",
    "no such message, only # messages in maildrop": "그런 메시지가 없습니다. 편지함에는 메시지 #개만 있습니다",
    "message # already deleted": "메시지 #번은 이미 삭제했습니다",
    "message # deleted": "메시지 #번을 삭제했습니다",
    "signing off": "안녕히 가십시오",
    "signing off (# messages left)": "안녕히 가십시오 (메시지 #개가 남았습니다)",
}
_TEXTS: Final = {"ko": _KOREAN}


def choose_language(wanted: str) -> str | None:
    """The language for a range, None where there is none. ``*``: the server's own (RFC 6856 §3.2)."""
    if wanted == "*":
        return ENGLISH
    # RFC 4647 §3.4: what is more special than we know is cut from its end
    subtags = wanted.lower().split("-")
    while subtags:
        tag = "-".join(subtags)
        if tag in LANGUAGES:
            return tag
        subtags.pop()
    return None


def translate(reply: bytes, language: str) -> bytes:
    """A reply of ours in a language; as it is where it has no text for people."""
    texts = _TEXTS.get(language)
    if texts is None:
        return reply
    line, end, rest = reply.partition(b"\r\n")
    match = _REPLY.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        return reply
    status, code, english = match[1], match[2] or "", match[3]
    numbers = iter(_NUMBER.findall(english))
    text = texts.get(english) or texts.get(_NUMBER.sub("#", english))
    if text is None:
        return reply
    told = re.sub("#", lambda _: next(numbers), text)
    return f"{status}{code}{told}".encode() + end + rest
