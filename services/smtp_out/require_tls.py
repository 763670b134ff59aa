"""Whether a hop is good enough for a message with REQUIRETLS (RFC 8689 §4.2.1). Pure.

Laws: four things are asked, and each is enough to refuse: nobody on the way could have put another host's name there; TLS; a certificate
that verifies for that name; the server promises to go on like that. What vouches for a name or a certificate is said by who found out
(`route`, `connector`); this decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from services.smtp_out import outcome
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.outcome import Result

# RFC 8689 §4.2.1, §7: "REQUIRETLS support required"; "Encryption needed"
UNSUPPORTED = "5.7.30"
UNPROTECTED = "5.7.10"


@attrs.frozen
class Hop:
    """What is known of a host, with an open session to it."""

    host: str
    vouched: bool = False  # for its name
    tls: bool = False
    verified: bool = False  # its certificate, for that name
    offered: bool = False  # REQUIRETLS in the answer to the EHLO under TLS


def is_vouched_for(host: str, policy: Policy | None, *, found_by_mx: bool) -> bool:
    """Whether a host's name is the owner's word: nobody had to be asked for it in an unsigned MX record, or MTA-STS names it."""
    # RFC 8689 §4.2.1 (2), RFC 8461 §4.1: the match counts, the mode says only what others' mail is held to
    return not found_by_mx or (policy is not None and policy.mode is not Mode.NONE and policy.matches(host))


def objection(hop: Hop) -> Result | None:
    """Why a message with REQUIRETLS does not go there; None: it may."""
    if not hop.vouched:
        return unvouched((hop.host,))
    if not hop.tls:
        return unprotected(f"{hop.host} has no TLS")
    if not hop.verified:
        return unprotected(f"the certificate of {hop.host} does not verify")
    if not hop.offered:
        return outcome.failed(UNSUPPORTED, f"{hop.host} does not support REQUIRETLS, which the sender asked for", 550)
    return None


def unvouched(hosts: Sequence[str]) -> Result:
    """None of the hosts is known to be the domain's for sure."""
    shown = ", ".join(hosts)
    return unprotected(f"nothing vouches for the name of the mail exchanger (MTA-STS, DNSSEC): {shown}")


def unprotected(why: str) -> Result:
    """No TLS as it has to be."""
    return outcome.failed(UNPROTECTED, f"the sender asked for verified TLS (REQUIRETLS): {why}", 550)


def of_all(objections: Sequence[Result]) -> Result:
    """What to tell where no host would do: the one that came nearest."""
    return next((one for one in objections if one.enhanced == UNSUPPORTED), objections[-1])
