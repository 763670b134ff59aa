"""Values as octets: quoted strings, literals, mailbox names, flags, dates.

RFC 3501 §9 and §4.3. Pure; everything here gives 7-bit output except literals, which carry what they are given.
"""

import re
from collections.abc import Sequence
from typing import Final

from shared.model.flags import flag_names
from shared.wire import mutf7

_ATOM: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')
_QUOTABLE: Final = re.compile(rb"[^\x00\r\n\x80-\xff]*\Z")
_SPECIAL: Final = re.compile(rb'(["\\])')
_MAX_QUOTED_OCTETS: Final = 1024


def build_quoted(text: bytes) -> bytes:
    """RFC 3501 §9: quoted. The text must be without CR, LF and NUL, and 7-bit unless the client has enabled UTF-8."""
    return b'"' + _SPECIAL.sub(rb"\\\1", text) + b'"'


def build_literal(octets: bytes) -> bytes:
    """RFC 3501 §9: literal."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def build_string(octets: bytes) -> bytes:
    """Quoted where that is possible, else a literal."""
    if len(octets) <= _MAX_QUOTED_OCTETS and _QUOTABLE.match(octets):
        return build_quoted(octets)
    return build_literal(octets)


def build_astring(octets: bytes) -> bytes:
    """The shortest form that every client reads."""
    if _ATOM.match(octets) and octets.upper() != b"NIL":
        return octets
    return build_string(octets)


def build_nstring(octets: bytes | None) -> bytes:
    """RFC 3501 §9: nstring."""
    return b"NIL" if octets is None else build_string(octets)


def build_mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name: in modified UTF-7, or ``utf8``, in UTF-8 to a client that has enabled it (``Context.utf8_names``)."""
    if not utf8:
        return build_astring(mutf7.encode(name))
    octets = name.encode()
    # RFC 6855 §3, RFC 9051 §9: quoted = DQUOTE *QUOTED-CHAR DQUOTE, which includes UTF-8
    return build_astring(octets) if octets.isascii() else build_quoted(octets)


def build_flag_list(names: Sequence[str]) -> bytes:
    """``(\\Seen $Forwarded)``"""
    return b"(" + " ".join(names).encode("ascii", "replace") + b")"


class FlagRenderer:
    """Renders flag bit sets of one mailbox; mailboxes have few different sets, so each is rendered once."""

    def __init__(self, keywords: Sequence[str] = (), max_kept: int = 4096) -> None:
        self._keywords: Sequence[str] = keywords
        self._plain: dict[int, bytes] = {}
        self._recent: dict[int, bytes] = {}
        self._max_kept = max_kept

    def set_keywords(self, keywords: Sequence[str]) -> None:
        """The mailbox's keyword slots changed."""
        if tuple(keywords) != tuple(self._keywords):
            self._keywords = tuple(keywords)
            self._plain.clear()
            self._recent.clear()

    def __call__(self, bits: int, recent: bool = False) -> bytes:
        """``(\\Seen \\Recent)``, with the parentheses."""
        kept = self._recent if recent else self._plain
        text = kept.get(bits)
        if text is None:
            names = flag_names(bits, self._keywords)
            if recent:
                names.append("\\Recent")
            text = build_flag_list(names)
            if len(kept) >= self._max_kept:
                kept.clear()
            kept[bits] = text
        return text
