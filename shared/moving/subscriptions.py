"""The file ``subscriptions``: one name a line, or after a line ``V\\t2`` levels divided by TAB, escaped. Pure."""

import re
from typing import Final

from shared.moving.names import FolderNameError, mailbox_name

MAX_SUBSCRIPTIONS_OCTETS: Final = 4 * 1024 * 1024
_VERSION_2: Final = b"V\t2"
_ESCAPED: Final = re.compile(rb"\x01([01tnr])")
_MEANT: Final = {b"0": b"\x00", b"1": b"\x01", b"t": b"\t", b"n": b"\n", b"r": b"\r"}


class SubscriptionsError(ValueError):
    """Beyond a bound."""


def parse_subscriptions(data: bytes, separator: bytes = b".") -> tuple[str, ...]:
    """Names of mailboxes, each once. ``separator``: what divides levels before version 2. Raises SubscriptionsError."""
    if len(data) > MAX_SUBSCRIPTIONS_OCTETS:
        raise SubscriptionsError("too long")
    lines = data.split(b"\n")
    tabs = lines[0] == _VERSION_2
    names: dict[str, None] = {}
    for line in lines[1:] if tabs else lines:
        if not line:
            continue
        levels = [_unescaped(level) for level in line.split(b"\t")] if tabs else line.split(separator)
        try:
            names[mailbox_name(levels).name] = None
        except FolderNameError:
            continue
    return tuple(names)


def _unescaped(level: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _MEANT[match[1]], level)


def build_subscriptions(names: tuple[bytes, ...]) -> bytes:
    """One name a line, as the layout Maildir++ divides levels."""
    return b"".join(name + b"\n" for name in names)
