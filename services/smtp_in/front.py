"""What all sessions of one process share: the store, the checks, the limits, the log, the counters."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import field, frozen

from services.smtp_in.deliver import Deliverer
from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.ports import Profiles
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.refusals import Refusals
from services.smtp_in.spool import SpoolLimits
from shared.observe.log import Logger
from shared.observe.metrics import OCTETS, Counter, Histogram, Metrics
from shared.rpc.store_client import StoreClient

if TYPE_CHECKING:
    from services.smtp_in.session import Session


@frozen
class Timeouts:
    """Seconds of silence before 421 (RFC 5321 §4.5.3.2)."""

    command: float
    data: float
    handshake: float


class Counters:
    """The metrics of this service."""

    def turned_away(self, why: str) -> None:
        """A check at the door had something against a client."""
        self.door.inc(1, why)

    def __init__(self, metrics: Metrics) -> None:
        self.messages: Counter = metrics.counter(
            "smtp_in_messages_total", "Contents answered, by the first digit of the reply.", ("listener", "result")
        )
        self.recipients: Counter = metrics.counter(
            "smtp_in_recipients_total", "RCPT commands answered, by reply code.", ("listener", "code")
        )
        self.logins: Counter = metrics.counter("smtp_in_logins_total", "AUTH exchanges, by reply code.", ("code",))
        self.sessions: Counter = metrics.counter(
            "smtp_in_sessions_total", "Ended sessions, by reason.", ("listener", "reason")
        )
        self.door: Counter = metrics.counter(
            "smtp_in_door_total", "Strangers on port 25 that were refused or made to wait, by reason.", ("reason",)
        )
        self.dns_lists: Counter = metrics.counter(
            "smtp_in_dns_lists_total", "Questions to DNS lists about clients, by answer.", ("list", "answer")
        )
        self.octets: Histogram = metrics.histogram("smtp_in_message_octets", "Size of accepted messages.", OCTETS)
        self.seconds: Histogram = metrics.histogram(
            "smtp_in_commit_seconds", "From the final dot to the reply that promises the message."
        )


@frozen
class Front:
    """One per process."""

    store: StoreClient
    policy: Policy
    deliverer: Deliverer
    profiles: Profiles
    limits: Limits
    spool: SpoolLimits
    timeouts: Timeouts
    tls: Callable[[], ssl.SSLContext]
    is_draining: Callable[[], bool]
    log: Logger
    counters: Counters
    refusals: Refusals
    device_tls: Callable[[], ssl.SSLContext] | None = None
    """On the port of devices, where there is one."""
    pauses: Pauses = field(factory=Pauses)
    """That clients are made to wait, to be ended by the drain."""
    sessions: set[Session] = field(factory=set)
    """Those that are open now."""
