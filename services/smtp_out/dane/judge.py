"""A server's certificates against what its zone says. Pure but for the time, which is passed in.

  record      what must fit                                            what does not count
  DANE-EE(3)  the server's own certificate, or its key                 names, dates, issuers (RFC 7672 §3.1.1)
  DANE-TA(2)  an issuer of it: the chain leads there, dates and names  the authorities of this machine (RFC 7672 §3.1.2)
  none usable nothing: encrypted, not authenticated (RFC 7672 §2.2)    everything
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from services.smtp_out.dane.tlsa import Matching, Selector, TlsaRecord, Usage

UNAUTHENTICATED = "DANE without a usable TLSA record: encrypted, not authenticated"


@attrs.frozen
class Dane:
    """What holds for one MX host. `records` are the usable ones; `names`: any one must be in a certificate that DANE-TA verifies."""

    base: str  # the name that the records stand under, and what the server is asked for (RFC 7672 §8.1)
    records: tuple[TlsaRecord, ...]
    names: tuple[str, ...]


@attrs.frozen
class Judgement:
    """`verdict` says by what the server is who it says; empty where it is not, and `fault` says why."""

    verdict: str = ""
    fault: str = ""


def judge(dane: Dane, chain: Sequence[bytes], now: float) -> Judgement:
    """`chain`: DER as the server sent it, its own certificate first; `now`: seconds since the epoch."""
    if not dane.records:
        return Judgement(UNAUTHENTICATED)
    if not chain:
        return Judgement(fault="the server sent no certificate")
    if any(record.matches(chain[0]) for record in dane.records if record.usage is Usage.END_ENTITY):
        return Judgement("DANE-EE verified")
    anchors = _anchors(dane.records, chain[1:])
    if not anchors:
        return Judgement(fault="no TLSA record fits the certificate")
    # asked for here: only those who meet such a record pay for the import
    from services.smtp_out.dane.anchored import verify_anchored

    why = verify_anchored(chain, anchors, dane.names, datetime.fromtimestamp(now, UTC))
    return Judgement(fault=why) if why else Judgement("DANE-TA verified")


def _anchors(records: Sequence[TlsaRecord], issuers: Sequence[bytes]) -> list[bytes]:
    """The certificates that a DANE-TA record names: of those that were sent, and those that are in the record itself."""
    named = [record for record in records if record.usage is Usage.TRUST_ANCHOR]
    found = [one for one in issuers if any(record.matches(one) for record in named)]
    # RFC 7671 §5.2.1: a whole certificate need not be sent
    whole = (one.data for one in named if (one.selector, one.matching) == (Selector.CERTIFICATE, Matching.FULL))
    return list(dict.fromkeys((*found, *whole)))
