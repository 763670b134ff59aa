"""What a sender's wishes mean for the queue: when a message becomes due, when it goes back, when its sender is told of a delay.

RFC 4865 (held until a time), RFC 2852 §4 (to be delivered by a time).
"""

from collections.abc import Sequence
from typing import Any

from services.store.domain.queue import QueueTimes, warning_time
from shared.contract.wishes_types import ByMode, TlsWish, Wishes
from shared.model.notify import Notify


def wishes_of(columns: Sequence[Any]) -> Wishes:
    """Of the columns ``WISHES`` of a message."""
    tls, held_until, deliver_by, by_mode, by_trace = columns
    return Wishes(TlsWish(tls), held_until, deliver_by, ByMode(by_mode), bool(by_trace))


def is_held(wishes: Wishes, now: float) -> bool:
    """Nobody may get it yet, recipients here neither."""
    return wishes.held_until > now


def first_due(wishes: Wishes, now: float) -> float:
    """When it is tried first."""
    return max(wishes.held_until, now)


def expiry(wishes: Wishes, now: float, times: QueueTimes) -> float:
    """When it goes back: by the settings, counted from when it may leave, or when its sender says so."""
    expires_at = first_due(wishes, now) + times.expire_seconds
    return min(expires_at, wishes.deliver_by) if wishes.by_mode is ByMode.RETURN else expires_at


def first_warning(wishes: Wishes, now: float, times: QueueTimes, *, notify: int, sender: str, submitted: bool) -> float:
    """From when on the sender is told of a delay; 0: never."""
    if wishes.by_mode is ByMode.NOTIFY and sender:
        # RFC 2852 §4: where NOTIFY does not leave DELAY out
        return wishes.deliver_by if notify == 0 or notify & Notify.DELAY else 0.0
    return warning_time(first_due(wishes, now), times, notify=notify, sender=sender, submitted=submitted)
