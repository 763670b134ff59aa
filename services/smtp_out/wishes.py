"""What a sender asks of its message's way, on the way out: RFC 8689 (TLS), RFC 2852 (by when). Pure: the time is passed in.

Laws: what goes out without protection never shares a session with what must not, nor the other way round (`lane_of`); a message
that is to go back when it is late is not sent once it is.
"""

from __future__ import annotations

from services.smtp_out import outcome
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.capabilities import Capabilities
from services.smtp_out.tls_reports.seen import TRACE_PREFIX
from shared.contract.types import QueueEntry
from shared.contract.wishes_types import ByMode, TlsWish
from shared.model.notify import Notify

# RFC 2852 §4: by-time has at most nine digits
_MOST_SECONDS = 999_999_999


def tls_wish(entry: QueueEntry) -> TlsWish:
    """How its session is to be secured."""
    if entry.trace.startswith(TRACE_PREFIX):
        # RFC 8460 §5.3: what tells of a failure must get through in spite of it
        return TlsWish.OPTIONAL
    wish = entry.wishes.tls
    # RFC 8689 §5: a bounce is not lost for want of REQUIRETLS
    return TlsWish.ANY if wish is TlsWish.REQUIRED and not entry.sender else wish


def lane_of(entry: QueueEntry, hop_key: str) -> str:
    """What shares sessions: those of one hop that are secured in the same way."""
    wish = tls_wish(entry)
    return hop_key if wish is TlsWish.ANY else f"{hop_key} (TLS {wish.value})"


def mail_parameters(entry: QueueEntry, capabilities: Capabilities, now: float, *, require_tls: bool) -> bytes:
    """What stands behind MAIL, each with a space in front. `require_tls`: the session is good enough for it."""
    parameters = b" REQUIRETLS" if require_tls and entry.wishes.tls is TlsWish.REQUIRED else b""
    if entry.wishes.by_mode and capabilities.deliver_by:
        # RFC 2852 §4: what is left of the time; nothing or less only to be told of it
        left = max(-_MOST_SECONDS, min(_MOST_SECONDS, round(entry.wishes.deliver_by - now)))
        left = max(1, left) if entry.wishes.by_mode is ByMode.RETURN else left
        parameters += f" BY={left};{entry.wishes.by_mode}{'T' if entry.wishes.by_trace else ''}".encode()
    return parameters


def late(entry: QueueEntry, now: float) -> Result | None:
    """The end of a message that is to go back when its time is over."""
    wishes = entry.wishes
    return _too_late("it is over") if wishes.by_mode is ByMode.RETURN and now >= wishes.deliver_by else None


def too_slow(entry: QueueEntry, capabilities: Capabilities, now: float) -> Result | None:
    """RFC 2852 §4: the next server says that it needs longer than is left."""
    wishes = entry.wishes
    if wishes.by_mode is ByMode.RETURN and wishes.deliver_by - now < capabilities.deliver_by_minimum:
        return _too_late(f"the next server wants {capabilities.deliver_by_minimum} seconds")
    return None


def expired(entry: QueueEntry, last: Result, now: float) -> Result:
    """The last failure of an entry whose time is over."""
    if entry.wishes.by_mode is ByMode.RETURN and now >= entry.wishes.deliver_by:
        return _too_late(f"the last reason: {last.text}")
    begun = max(entry.queued_at, entry.wishes.held_until)
    return outcome.expired(last, (now - begun) / 86400.0)


def next_look_at(entry: QueueEntry, again: float, now: float) -> float:
    """When to try again: not later than the sender is to be told that it is late."""
    by = entry.wishes.deliver_by
    return min(again, by) if entry.wishes.by_mode is ByMode.NOTIFY and by > now else again


def tells_relayed(entry: QueueEntry, *, deliver_by: bool) -> bool:
    """RFC 2852 §4: the next server knows nothing of the time, or each hop is to tell. `deliver_by`: it offers the extension."""
    wishes = entry.wishes
    wanted = wishes.by_mode is not ByMode.NONE and not entry.notify & Notify.NEVER
    return wanted and (wishes.by_trace or not deliver_by)


def _too_late(why: str) -> Result:
    # RFC 3463 §3.5 X.4.7: delivery time expired
    return outcome.failed("5.4.7", f"it could not be delivered in the time that its sender has set: {why}")
