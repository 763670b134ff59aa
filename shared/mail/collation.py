"""How texts are compared where a client sorts or threads: i;unicode-casemap (RFC 5051), which RFC 5255 §4.5 asks for."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4096)
def _title(character: str) -> str:
    """RFC 5051 §2: the simple titlecase mapping, which is one character."""
    mapped = character.title()
    return mapped if len(mapped) == 1 else character


def casemap(text: str) -> str:
    """The form in which texts are equal or in order. Of the same text decoded otherwise it is the same."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join(map(_title, text)))
