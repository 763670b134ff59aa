"""Names in a Maildir: of message files, and of folders. Pure; a name is any octets but NUL and ``/``.

``1276528487.M364837P9451.host,S=1355,W=1394:2,FS``: unique part, sizes (as the file is, and with CRLF), flags. Folders of Maildir++ lie
beside ``cur``: ``.Projects.2024``; in the layout ``fs`` they lie in one another: ``Projects/2024``.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs

from shared.wire import mutf7

MAX_NAME_OCTETS: Final = 255
_VIRTUAL: Final = re.compile(rb",W=(\d{1,15})(?:[,:]|$)")
_SIZE: Final = re.compile(rb",S=(\d{1,15})(?:[,:]|$)")
_INFO: Final = re.compile(rb":2,([!-+\--~]{0,60})[^:]*$")
_TIME: Final = re.compile(rb"(\d{1,12})\.(?:M(\d{1,6}))?")
_NOT_ALLOWED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class Layout(StrEnum):
    MAILDIR = "maildir++"
    FS = "fs"


class FolderNameError(ValueError):
    """The name of a folder that can be no mailbox's."""


@attrs.frozen
class FileName:
    base: bytes
    """Without the flags: what stays the same."""
    letters: str
    """Of the flags."""
    octets: int
    """W: with CRLF line ends; 0: not said."""
    size: int = 0
    """S: as the file is, before it was compressed; 0: not said."""


def parse_file_name(name: bytes) -> FileName | None:
    """None for what is no message: hidden files, and names that are too long."""
    if not name or name.startswith(b".") or len(name) > MAX_NAME_OCTETS:
        return None
    base, colon, _ = name.partition(b":")
    info = _INFO.search(name) if colon else None
    virtual, size = _VIRTUAL.search(base), _SIZE.search(base)
    if not base:
        return None
    letters = info[1].decode("ascii") if info else ""
    return FileName(base, letters, int(virtual[1]) if virtual else 0, int(size[1]) if size else 0)


def arrival_key(base: bytes) -> tuple[int, int, bytes]:
    """Sorts files as they came: by the time in their names."""
    time = _TIME.match(base)
    if time is None:
        return 2**63, 0, base
    return int(time[1]), int(time[2] or b"0"), base


@attrs.frozen
class FolderName:
    name: str
    """Levels divided by ``/``."""
    changed: bool = False
    """It holds what no name may hold here, replaced by ``_``."""


def folder_name(octets: bytes, layout: Layout) -> FolderName:
    """The mailbox of a folder below the root (``.Projects.2024`` or ``Projects/2024``). Raises FolderNameError."""
    return mailbox_name(octets[1:].split(b".") if layout is Layout.MAILDIR else octets.split(b"/"))


def mailbox_name(levels: Sequence[bytes]) -> FolderName:
    """The mailbox of these levels. Raises FolderNameError."""
    if not all(levels):
        raise FolderNameError("an empty level")
    known = [_level(level) for level in levels]
    return FolderName("/".join(name for name, _ in known), any(changed for _, changed in known))


def _level(octets: bytes) -> tuple[str, bool]:
    """Modified UTF-7 or UTF-8; what is neither is taken letter by letter."""
    changed = False
    try:
        name = mutf7.decode(octets)
    except mutf7.InvalidName:
        try:
            name = octets.decode("utf-8")
        except UnicodeDecodeError:
            name, changed = octets.decode("latin-1"), True
    # RFC 9051 §5.1: no controls; the wildcards of LIST and the separator cannot be asked for
    kept = "".join("_" if unicodedata.category(c) in _NOT_ALLOWED or c in "*%/" else c for c in name)
    if kept in (".", ".."):
        kept = "_" * len(kept)
    return unicodedata.normalize("NFC", kept), changed or kept != name


def folder_octets(name: str) -> bytes:
    """The folder of Maildir++ for a mailbox; a dot, which divides levels there, becomes ``_``."""
    return b"." + b".".join(mutf7.encode(level.replace(".", "_")) for level in name.split("/"))
