"""The content by BDAT (RFC 3030 §2): chunk after chunk, no more than WINDOW of them unanswered.

Laws
- Nothing is sent before the replies to all RCPTs are there, and nothing behind a reply that refuses a chunk: those that were on the way
  then are answered, too, and their replies are read. The last chunk goes out when all before it have been taken.
- Whether the server may have the whole message is known at any time: `in_doubt`.
- Only a 2xx to the last chunk says that it was taken.
"""

from __future__ import annotations

from services.smtp_out.protocol.flow import ChunkReady, Flow, NextChunk, SendChunk, Step, awaiting
from services.smtp_out.protocol.reply import PeerViolation, Reply

WINDOW = 2
"""Chunks under way where the server pipelines: the next one travels while the last one is answered."""


class Chunks:
    """One message's dialogue (`run`): the reply that decided over it, and the step that this was given at."""

    def __init__(self, *, pipelining: bool) -> None:
        self._window = WINDOW if pipelining else 1
        self.in_doubt = False
        """The last chunk is out, its reply is not in."""

    def run(self) -> Flow[tuple[Step, Reply]]:
        """The whole content."""
        unanswered = 0
        while True:
            ready = yield NextChunk()
            if not isinstance(ready, ChunkReady):
                raise PeerViolation("no chunk")  # a shell that breaks the rule
            while unanswered and (unanswered >= self._window or ready.last):
                reply = yield from self._answer(unanswered)
                unanswered -= 1
                if reply is not None:
                    return Step.BDAT, reply
            self.in_doubt = ready.last
            yield SendChunk()
            if ready.last:
                reply = yield from awaiting(Step.END)
                self.in_doubt = False
                return Step.END, reply
            unanswered += 1

    def _answer(self, unanswered: int) -> Flow[Reply | None]:
        """The reply to a chunk that is not the last; None where all is well. After a refusal the others' replies are read away."""
        reply = yield from awaiting(Step.BDAT)
        if reply.severity == 2:
            return None
        for _ in range(unanswered - 1):
            yield from awaiting(Step.BDAT)
        return reply
