"""Who is served next in the outbound queue, and how an entry goes on after an attempt."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from shared.contract.types import Outcome, OutcomeKind
from shared.model.notify import Notify

MAX_RECIPIENTS_TOGETHER: Final = 100
"""RFC 5321 §4.5.3.1.8: every server takes at least 100 recipients in one transaction."""
MAX_TEXT: Final = 1000
MAX_LEASE_SECONDS: Final = 3600.0
MAX_ATTEMPTS_KEPT: Final = 50


@attrs.frozen
class QueueTimes:
    """How long what is queued may wait."""

    expire_seconds: float
    warning_seconds: float
    """Until the sender is told of the delay; 0: never."""


def warning_time(now: float, times: QueueTimes, *, notify: int, sender: str, submitted: bool) -> float:
    """From when on the sender is to be told of a delay; 0: never.

    Whoever asked for it (RFC 3461 §5.2.5 a), and of the others (b) our own accounts only: a forged sender of forwarded mail is spared.
    """
    wanted = bool(notify & Notify.DELAY) or (notify == 0 and submitted)
    return now + times.warning_seconds if wanted and sender and times.warning_seconds else 0.0


@attrs.frozen
class DueEntry:
    entry_id: int
    message_id: int


def choose_entries(by_share: Sequence[Sequence[DueEntry]], limit: int) -> list[DueEntry]:
    """Round-robin: of each share in turn the oldest message with all its due recipients, up to about ``limit`` entries.

    ``by_share`` holds each share's due entries, oldest first, shares in the order to be served (``turns``). A message's
    recipients at one destination stay together (at most MAX_RECIPIENTS_TOGETHER), so the last message may go above ``limit``.
    """
    waiting = deque(deque(_by_message(entries)) for entries in by_share if entries)
    chosen: list[DueEntry] = []
    while waiting and len(chosen) < limit:
        messages = waiting.popleft()
        chosen += messages.popleft()
        if messages:
            waiting.append(messages)
    return chosen


def _by_message(entries: Sequence[DueEntry]) -> list[list[DueEntry]]:
    """Entries of one share by message, in order of their oldest; large ones cut."""
    groups: dict[int, list[list[DueEntry]]] = {}
    for entry in entries:
        parts = groups.setdefault(entry.message_id, [[]])
        if len(parts[-1]) == MAX_RECIPIENTS_TOGETHER:
            parts.append([])
        parts[-1].append(entry)
    return [part for parts in groups.values() for part in parts]


@attrs.frozen
class NextState:
    """What becomes of an entry: gone, or due again."""

    done: bool
    due_at: float
    attempts: int


def after_outcome(outcome: Outcome, *, now: float, due_at: float, attempts: int) -> NextState:
    """The rule of each outcome. A deferral into the past is due at once; RELEASED counts as no attempt."""
    if outcome.kind in (OutcomeKind.DELIVERED, OutcomeKind.FAILED):
        return NextState(True, due_at, attempts + 1)
    if outcome.kind is OutcomeKind.RELEASED:
        return NextState(False, due_at, attempts)
    return NextState(False, max(now, outcome.next_attempt_at), attempts + 1)
