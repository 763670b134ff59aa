"""``pop3_uidl_format``: how Dovecot makes a message's UIDL. Pure.

``%u`` UID, ``%v`` UIDVALIDITY, ``%f`` the file's name without its flags, ``%g`` GUID; numbers may be hexadecimal and padded with zeros:
``%08Xu%08Xv`` is the default, and gives lower-case digits (seen of Dovecot 2.3).
"""

import re
from collections.abc import Mapping
from typing import Final

DEFAULT_FORMAT: Final = "%08Xu%08Xv"
# RFC 1939 §7
_UIDL: Final = re.compile(r"[!-~]{1,70}", re.ASCII)
_PIECE: Final = re.compile(r"%(?P<zeros>0?)(?P<width>\d{0,2})(?P<base>X?)(?P<what>[uvfg])|%%|(?P<text>[^%]+)", re.ASCII)


class UidlFormatError(ValueError):
    """Not a format that this knows."""


class UidlFormat:
    """One format. Raises UidlFormatError."""

    def __init__(self, text: str = DEFAULT_FORMAT) -> None:
        pieces = list(_PIECE.finditer(text))
        if "".join(piece.group() for piece in pieces) != text:
            raise UidlFormatError(f"{text}: only %u, %v, %f and %g are known")
        if not any(piece["what"] in {"u", "f", "g"} for piece in pieces):
            raise UidlFormatError(f"{text}: all messages would have the same UIDL")
        self._pieces = [piece.groupdict() for piece in pieces]

    def of(self, uid: int, uidvalidity: int, name: bytes, guid: str) -> str:
        """A message's UIDL; empty where it would not be one."""
        base = name.decode("ascii", "replace")
        values: dict[str, int | str] = {"u": uid, "v": uidvalidity, "f": base, "g": guid or base}
        made = "".join(_piece(piece, values) for piece in self._pieces)
        return made if is_uidl(made) else ""


    def uid_of(self, uidl: str, uidvalidity: int) -> int:
        """The UID of a message with this UIDL, the other way round; 0: it is not of this mailbox."""
        pattern = "".join(self._reversed(piece, uidvalidity) for piece in self._pieces)
        match = re.fullmatch(pattern, uidl, re.ASCII)
        if match is None or not match.groups():
            return 0
        uid = int(match[1], 16 if any(piece["what"] == "u" and piece["base"] for piece in self._pieces) else 10)
        return uid if self.of(uid, uidvalidity, b"", "") == uidl else 0

    @property
    def needs_files(self) -> bool:
        """Whether it wants what no IMAP server tells."""
        return any(piece["what"] in {"f", "g"} for piece in self._pieces)

    def _reversed(self, piece: Mapping[str, str | None], uidvalidity: int) -> str:
        if piece["what"] == "u":
            # a UID that is there twice is read once, and the whole is compared anyhow
            first = next(each for each in self._pieces if each["what"] == "u")
            return r" *([0-9a-f]{1,20})" if piece is first else r" *[0-9a-f]{1,20}"
        return re.escape(_piece(piece, {"u": 0, "v": uidvalidity, "f": "", "g": ""}))


def _piece(piece: Mapping[str, str | None], values: Mapping[str, int | str]) -> str:
    what = piece["what"]
    if what is None:
        return piece["text"] or "%"
    value = values[what]
    if isinstance(value, str):
        return value
    return format(value, "x" if piece["base"] else "d").rjust(int(piece["width"] or "0"), "0" if piece["zeros"] else " ")


def is_uidl(text: str) -> bool:
    """Whether POP3 can say it."""
    return _UIDL.fullmatch(text) is not None
