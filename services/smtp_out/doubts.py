"""Servers whose certificate did not verify lately, and why: they are not made to break off a handshake for every session.

Opportunistic TLS takes any certificate, so that nothing hangs on this but a word in the log. Times are passed in.
"""

from __future__ import annotations

from collections import OrderedDict

Place = tuple[str, str]  # host name and address
DOUBT_SECONDS = 86_400.0  # after which the certificate is looked at again
MAX_DOUBTS = 1000
_MAX_WHY = 100  # characters


class Doubts:
    """At most MAX_DOUBTS; the oldest goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Place, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def why(self, place: Place, now: float) -> str:
        """Why the certificate did not verify; empty where nothing is known."""
        why, until = self._known.get(place, ("", 0.0))
        return why if now < until else ""

    def note(self, place: Place, why: str, now: float) -> str:
        """Remember it for a day; the words, never empty, as `why` will give them."""
        words = why[:_MAX_WHY] or "for an unknown reason"
        self._known[place] = (words, now + DOUBT_SECONDS)
        self._known.move_to_end(place)
        while len(self._known) > MAX_DOUBTS:
            self._known.popitem(last=False)
        return words
