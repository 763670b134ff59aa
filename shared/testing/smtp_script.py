"""What a scripted SMTP server (`smtp_peer`) may do instead of behaving."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class Say:
    """This reply instead of the usual one (lines divided by LF; CRLF is added).

    `then_drop`: reset behind it, which may overtake and destroy what was sent before. `then_close`: orderly end instead.
    """

    text: str
    then_drop: bool = False
    then_close: bool = False


@attrs.frozen
class Raw:
    """These bytes instead of a reply."""

    data: bytes
    then_drop: bool = False


@attrs.frozen
class Drop:
    """Reset the connection instead of a reply."""


@attrs.frozen
class Close:
    """End the connection in an orderly way instead of a reply: what was sent before arrives."""


@attrs.frozen
class Endless:
    """A line without end, in pieces, until the client has enough."""

    piece: bytes = b"250-" + b"x" * 8188


@attrs.frozen
class Hang:
    """Never answer; hold the connection until the peer closes."""


@attrs.frozen
class Slow:
    """The usual reply, octet by octet with a pause between them."""

    pause_seconds: float = 0.002


@attrs.frozen
class Gate:
    """Wait until the test sets `opened`, then behave (or do `then`). `reached` tells that a client stands before it."""

    opened: threading.Event = attrs.field(factory=threading.Event)
    reached: threading.Event = attrs.field(factory=threading.Event)
    then: Say | Raw | Drop | Close | None = None


Action = Say | Raw | Drop | Close | Endless | Hang | Slow | Gate
Script = Mapping[str, "Action | Sequence[Action]"]
