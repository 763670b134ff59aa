"""A delivery report as the store takes it: what bounces and receipts have in common. Pure; see `dsn` for what it says."""

from __future__ import annotations

import attrs

from shared.contract.types import Bounce, ContentSource
from shared.mail.dsn import DsnRecipient, DsnReport, build_dsn
from shared.mail.index import build_index
from shared.mail.xtext import decode_xtext
from shared.model.language import Language

HEADER_OCTETS = 64 * 1024
"""Of the original's header, at most."""


@attrs.frozen
class Reported:
    """The message that a report is about."""

    sender: str
    trace: str
    arrival: int
    """Seconds since 1970."""
    envelope_id: str
    """ENVID as it came: xtext."""
    original: bytes
    """Its first octets."""
    whole: bool = False
    """`original` is all of it, and all of it is returned (RET=FULL)."""
    require_tls: bool = False
    """The report wants what the message wanted (RFC 8689 §5)."""
    deliver_by: int | None = None
    """Seconds since 1970 (RFC 2852)."""


def report_to_sender(
    hostname: str, reported: Reported, recipients: tuple[DsnRecipient, ...], *, kind: str, unique: str, now: int, language: Language
) -> Bounce:
    """The report. `kind` and `unique` make Message-ID and boundary: letters and digits, at most 40."""
    report = DsnReport(
        reporting_mta=hostname,
        from_address=f"MAILER-DAEMON@{hostname}",
        to_address=reported.sender,
        recipients=recipients,
        date=now,
        message_id=f"{unique}.{kind}@{hostname}",
        boundary=f"=_{unique}",
        original=reported.original,
        arrival=reported.arrival,
        envelope_id=decode_xtext(reported.envelope_id),
        return_full=reported.whole,
        deliver_by=reported.deliver_by,
        language=language,
    )
    content = build_dsn(report, len(reported.original) if reported.whole else HEADER_OCTETS)
    return Bounce(
        recipient=reported.sender,
        content=ContentSource(len(content), inline=content),
        index=build_index(content),
        trace=reported.trace,
        eight_bit=not content.isascii(),
        require_tls=reported.require_tls,
    )
