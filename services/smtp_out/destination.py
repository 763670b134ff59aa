"""What the worker knows of one hop (a destination's domain, or a relay): the jobs that wait, how many sessions it
may have. No I/O and no clock here.

The number of sessions follows success and trouble: one until the first session stands, then two, one more with every
message that got through, up to the settings' bound; trouble while others work shrinks it to those that work. Trouble
when nobody works means that the destination is down: everything that waits for it is deferred at once, so that a dead
destination costs one connection attempt per round, and never holds what others need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

import attrs

from services.smtp_out.egress.ways import Choice
from services.smtp_out.row import Job, Row
from services.smtp_out.wishes import lane_of
from shared.contract.types import QueueEntry

FIRST_SESSIONS = 2  # once a session stands; every message that gets through adds one
REQUEUES = 3  # how often a job goes back to wait for another session before it is deferred


@attrs.define(eq=False)
class Destination:
    """The state of one hop."""

    key: str
    most_sessions: int
    pending: Row = attrs.field(factory=Row)
    lanes: int = 0  # tasks that serve it
    idle: int = 0  # of them, those that wait for a job or are about to
    connected: int = 0  # of them, those with an open session
    limit: int = 1
    wake_at: float = inf  # when somebody looks after it, since its pace allows the next message then

    def session_opened(self) -> None:
        if self.connected == 0:
            self.limit = max(self.limit, min(FIRST_SESSIONS, self.most_sessions))
        self.connected += 1

    def session_ended(self) -> None:
        self.connected -= 1
        if self.connected == 0:
            self.limit = 1

    def delivered(self) -> None:
        self.limit = min(self.limit + 1, self.most_sessions)

    def lanes_wanted(self, ready: int) -> int:
        """How many lanes to start now, when so many jobs may begin."""
        return max(0, min(ready - self.idle, self.limit - self.lanes))

    def trouble(self, job: Job) -> bool:
        """A session could not be opened. True: the job waits for those sessions that work; False: the hop is down."""
        if self.connected == 0 or job.requeued >= REQUEUES:
            return False
        self.limit = max(1, self.connected)
        job.requeued += 1
        self.pending.put_back(job)
        return True


def group_jobs(entries: Iterable[QueueEntry], choose: Callable[[QueueEntry], Choice], most: int) -> list[Job]:
    """Entries as jobs: those of one message, one hop and one choice together, at most `most` each, in order of their first entry.

    `choose` gives each entry's way.
    """
    groups: dict[tuple[int, str, Choice], list[list[QueueEntry]]] = {}
    for entry in entries:
        choice = choose(entry)
        key = lane_of(entry, choice.way.hop_key(entry.destination))
        parts = groups.setdefault((entry.message_id, key, choice), [[]])
        if len(parts[-1]) >= most:
            parts.append([])
        parts[-1].append(entry)
    return [Job(key, tuple(part), choice) for (_, key, choice), parts in groups.items() for part in parts]
