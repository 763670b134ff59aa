"""What an import remembers of a mailbox when it is through with it: a private annotation of the mailbox here (RFC 5464). Pure.

It is written when every message has come, so whoever reads it may pass over what was there then. It tells whose flags count: messages
that somebody has touched here since keep theirs, until for ever. Losing it costs time, never a message.
"""

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import attrs

from shared.moving.imap.responses import FolderStatus, build_uid_set

MAX_TOUCHED_OCTETS: Final = 8000
"""Beyond it all messages that were here count as touched."""
EVERYTHING: Final = "*"


@attrs.frozen
class Remembered:
    """After an import."""

    there: FolderStatus
    here_modseq: int
    here_next: int
    """UIDNEXT here."""
    touched: str = ""
    """UIDs here, as a sequence set; EVERYTHING: all below ``here_next``."""
    exact: bool = True
    """Whether messages have the sizes that the server announced."""

    def touched_uids(self) -> set[int]:
        """But for EVERYTHING."""
        return set(_uids(self.touched))


def _uids(text: str) -> Iterable[int]:
    for piece in text.split(",") if text and text != EVERYTHING else ():
        first, _, last = piece.partition(":")
        yield from range(int(first), int(last or first) + 1)


def touched_text(uids: Iterable[int]) -> str:
    """Bounded."""
    text = build_uid_set(sorted(uids)).decode("ascii")
    return text if len(text) <= MAX_TOUCHED_OCTETS else EVERYTHING


def entry_name(host: str, user: str, wire: bytes) -> str:
    """The annotation's, for one mailbox of one account on one server."""
    source = b"\0".join((host.lower().encode(), user.encode(), wire))
    return f"/private/vendor/pillarbox/moved/{blake2b(source, digest_size=12).hexdigest()}"


def encode(remembered: Remembered) -> bytes:
    """The annotation's value."""
    return json.dumps({"v": 1, **attrs.asdict(remembered)}, separators=(",", ":")).encode()


def decode(value: bytes | None) -> Remembered | None:
    """None: nothing is remembered that this understands; its owner may write there, too."""
    try:
        fields = json.loads(value or b"")
        if fields.pop("v") != 1:
            return None
        remembered = Remembered(FolderStatus(**fields.pop("there")), **fields)
        numbers = (*attrs.astuple(remembered.there), remembered.here_modseq, remembered.here_next)
        if not all(type(number) is int and number >= 0 for number in numbers) or not _is_uid_set(remembered.touched):
            return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return remembered


def _is_uid_set(text: object) -> bool:
    """Ascending ranges that hold no more than a mailbox may."""
    if not isinstance(text, str) or len(text) > MAX_TOUCHED_OCTETS:
        return False
    if text in {"", EVERYTHING}:
        return True
    count = 0
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        if not (first.isascii() and first.isdigit() and (not last or (last.isascii() and last.isdigit()))):
            return False
        count += max(int(last or first) - int(first), 0) + 1
    return count <= 5_000_000
