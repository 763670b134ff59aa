"""In which language the sender of a message is to be answered, as far as its header tells. Pure and total.

What somebody says to read (Accept-Language) goes first; then what somebody writes: Hangul in Subject or From, since the tag that programs
put into Content-Language is often that of their own menus; then that tag, then a character set that only Korean text has.
"""

import re
from collections.abc import Iterator
from typing import Final

from shared.mail.encoded_word import decode_words
from shared.mail.header import get_all, header_end
from shared.model.language import Language

MAX_HEADER_OCTETS: Final = 64 * 1024
_HANGUL: Final = re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")
_KOREAN_CHARSET: Final = re.compile(rb"(?i)charset\*?\s*=\s*\"?(?:euc-kr|ks_c_5601|ksc_?5601|cp949|uhc|x-windows-949|iso-2022-kr)")
# RFC 3282 §3: language-range [ ";" "q" "=" qvalue ]
_RANGE: Final = re.compile(rb"^\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{0,40})?\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?))?\s*$")


def language_of(message: bytes, default: Language) -> Language:
    """The language for who sent this message, of which the header block is looked at."""
    end = min(header_end(message, 0, len(message)), MAX_HEADER_OCTETS)
    # RFC 3282 §3
    for value in get_all(message, 0, end, b"accept-language"):
        for language in _by_preference(value):
            return language
    if any(_HANGUL.search(decode_words(value)) for name in (b"subject", b"from") for value in get_all(message, 0, end, name)):
        return Language.KOREAN
    # RFC 3282 §2
    for value in get_all(message, 0, end, b"content-language"):
        for language in _by_preference(value):
            return language
    if any(_KOREAN_CHARSET.search(value) for value in get_all(message, 0, end, b"content-type")):
        return Language.KOREAN
    return default


def _by_preference(value: bytes) -> Iterator[Language]:
    """Those of a list that we know, the one that is liked best first."""
    ranges = [match for part in value.split(b",")[:20] if (match := _RANGE.match(part))]
    for match in sorted(ranges, key=lambda match: -float(match[2] or 1)):
        tag = match[1].decode("ascii").lower()
        if tag in list(Language) and float(match[2] or 1) > 0:
            yield Language(tag)
