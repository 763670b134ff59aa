"""What a result says about the way that was taken, not about the message or the recipient. Pure.

There is no code for "I do not take mail from your address": servers say it in words, under 5.7.1, 5.7.25, a bare 554 or 421. The
words below are those of the large receivers and of the block lists' usual texts. What is about the recipient (x.1.x, x.2.x) and
greylisting is never a sign. A word that is misread costs little: the destination's mail goes through the relay for some days.
"""

from __future__ import annotations

import enum
import re

from services.smtp_out.outcome import Result
from services.smtp_out.protocol.flow import Step
from shared.contract.types import OutcomeKind

NO_IPV4 = "IPv4"  # the step of a result: the destination has no IPv4 address


class Sign(enum.Enum):
    NONE = "none"
    REFUSED = "refused"  # our address is not welcome
    UNREACHABLE = "unreachable"  # nobody answers


# RFC 7372 §3: X.7.23 SPF, X.7.25 reverse DNS, X.7.26 several checks; all are about who sends, not what
_CODES = re.compile(r"[45]\.7\.(23|25|26)")
_ABOUT_RECIPIENT = re.compile(r"[245]\.[12]\.")
_ADDRESS = r"(ip|ipv4|ipv6|address|host|hostname|network|client|server|connection|\[[0-9a-f.:]+\]|[0-9]+(\.[0-9]+){3})"
_REFUSAL = r"(blocked|listed|banned|blacklisted|blocklisted|denied|not allowed|refused|rejected)"
_WORDS = re.compile(
    r"\bptr\b|\brdns\b|reverse[ -]?(dns|host|hostname|lookup|ip|address|record|mapping|name)"
    r"|spamhaus|spamcop|barracuda|dnsbl|dnswl|\b[rpsx]bl\b|sorbs|(block|black|deny)[ -]?list"
    r"|(poor|low|bad|no) (sender |ip |email )?reputation|reputation of (your|the|this)|dynamic (ip|address|pool)|dial-?up|residential"
    r"|ipv6 sending guidelines"
    rf"|\b{_ADDRESS}\b.{{0,60}}\b(blocked|listed|banned|blacklisted|blocklisted)\b"
    rf"|\b{_REFUSAL}\b.{{0,40}}\b(your|this|the|from) (ip|ipv4|ipv6|network|server|mail ?server)\b"
    r"|\byour (ip|network|server|mail ?server)\b.{0,60}\b(denied|not allowed|refused|rejected)\b",
    re.ASCII | re.IGNORECASE,
)
_GREYLIST = re.compile(r"gr[ea]y[ -]?list", re.ASCII | re.IGNORECASE)
_OPENING = frozenset({Step.GREETING.value, Step.EHLO.value, Step.HELO.value})
_RELAY_DOWN = frozenset({Step.CONNECT.value, Step.AUTH.value, Step.STARTTLS.value, Step.TLS.value, "DNS"})


def sign_of(result: Result, *, direct: bool) -> Sign:
    """`direct`: the way led to the destination's own servers, not to a relay."""
    if result.kind in (OutcomeKind.DELIVERED, OutcomeKind.RELEASED):
        return Sign.NONE
    if result.step == NO_IPV4:
        return Sign.REFUSED
    if not direct and result.step in _RELAY_DOWN:
        # a relay that cannot be reached, or does not know us, is no way at all
        return Sign.UNREACHABLE
    if result.step == Step.CONNECT.value:
        return Sign.UNREACHABLE
    return Sign.REFUSED if result.code and _is_refusal(result) else Sign.NONE


def _is_refusal(result: Result) -> bool:
    if _ABOUT_RECIPIENT.match(result.enhanced) or _GREYLIST.search(result.text):
        return False
    if result.code >= 500 and result.step in _OPENING:
        # who is refused before saying anything is refused for the address
        return True
    return bool(_CODES.fullmatch(result.enhanced) or _WORDS.search(result.text))


def over_ipv6(remote: str) -> bool:
    """Whether "host[address]:port" has an IPv6 address."""
    return ":" in remote.partition("[")[2].partition("]")[0]
