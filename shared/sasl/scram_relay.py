"""SCRAM as the pure part of an edge sees it: the client's messages go out as they come, the challenges come from outside.

Law: every message of one exchange but the first says that it is not the first, so that no exchange goes on where another ended.
What can fail: nothing; `scram_exchange` judges the messages.
"""

from __future__ import annotations

from shared.sasl.credentials import Challenge, ClientMessage, Step


class ScramRelay:
    """The server's side: an empty challenge if there was no initial response, then the client's messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begun = False

    def start(self, initial: bytes | None) -> Step:
        """See ServerMechanism."""
        # RFC 5802 §5: the client speaks first
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> ClientMessage:
        """See ServerMechanism."""
        first, self._begun = not self._begun, True
        return ClientMessage(self.name, response, first)
