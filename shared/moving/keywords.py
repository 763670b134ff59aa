"""``dovecot-keywords``: which letter of a file's flags stands for which keyword. Pure.

    0 $Forwarded
    1 Junk

Number 0 is the letter ``a``, 25 is ``z``; what is beyond is in Dovecot's index alone and in no file's name.
"""

import re
from collections.abc import Mapping
from typing import Final

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
MAX_KEYWORDS_OCTETS: Final = 256 * 1024
_LINE: Final = re.compile(rb"(\d{1,4}) (.{1,1000})")
# RFC 9051 §9: flag-keyword is an atom
_KEYWORD: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,200}")
_FLAGS: Final = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_LETTERS: Final = {name: letter for letter, name in _FLAGS.items()}


class KeywordsError(ValueError):
    """Not a list that Dovecot writes, or beyond a bound."""


def parse_keywords(data: bytes) -> dict[str, str]:
    """Keywords by letter; those that IMAP cannot say are left out. Raises KeywordsError."""
    if len(data) > MAX_KEYWORDS_OCTETS:
        raise KeywordsError("too long")
    found: dict[str, str] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise KeywordsError(f"line {number} is not a keyword")
        if int(match[1]) < len(LETTERS) and _KEYWORD.fullmatch(match[2]):
            found[LETTERS[int(match[1])]] = match[2].decode("ascii")
    return found


def build_keywords(keywords: Mapping[str, str]) -> bytes:
    """The file for keywords by letter."""
    return b"".join(f"{LETTERS.index(letter)} {name}\n".encode() for letter, name in sorted(keywords.items()))


def flags_of(letters: str, keywords: Mapping[str, str]) -> tuple[str, ...]:
    """IMAP's names of a file's flags, system flags first; unknown letters say nothing."""
    system = [_FLAGS[letter] for letter in sorted(set(letters)) if letter in _FLAGS]
    return (*system, *sorted({keywords[letter] for letter in letters if letter in keywords}))


def letters_of(flags: tuple[str, ...], letters: Mapping[str, str]) -> str:
    """The flags of a file's name, in order, with the letters of keywords; what has no letter is left out."""
    found = {_LETTERS[flag] for flag in flags if flag in _LETTERS} | {letters[flag] for flag in flags if flag in letters}
    return "".join(sorted(found))
