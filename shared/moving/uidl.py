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
