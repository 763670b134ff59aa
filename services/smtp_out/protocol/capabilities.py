"""What the next hop offers, from its EHLO reply (RFC 5321 §4.1.1.1). Total: odd lines are passed over."""

from __future__ import annotations

import attrs

from services.smtp_out.protocol.reply import Reply


@attrs.frozen
class Capabilities:
    """The extensions that matter here; all off after HELO."""

    host: str = ""  # the name that the server gives itself
    esmtp: bool = False
    starttls: bool = False  # RFC 3207
    pipelining: bool = False  # RFC 2920
    eight_bit: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    size_offered: bool = False  # RFC 1870
    max_size: int = 0  # octets; 0: no fixed maximum is known
    dsn: bool = False  # RFC 3461
    require_tls: bool = False  # RFC 8689
    deliver_by: bool = False  # RFC 2852
    deliver_by_minimum: int = 0  # seconds; 0: none is known
    chunking: bool = False  # RFC 3030
    auth: tuple[str, ...] = ()  # RFC 4954 §3, upper case


def parse_ehlo(reply: Reply) -> Capabilities:
    """The capabilities of a 250 reply to EHLO."""
    words: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, _, rest = line.strip().partition(" ")
        # "AUTH=PLAIN" is an old form that some servers still add
        keyword, _, glued = keyword.upper().partition("=")
        parameters = [glued, *rest.split()] if glued else rest.split()
        words.setdefault(keyword, []).extend(parameters)
    return Capabilities(
        host=host_of(reply),
        esmtp=True,
        starttls="STARTTLS" in words,
        pipelining="PIPELINING" in words,
        eight_bit="8BITMIME" in words,
        smtputf8="SMTPUTF8" in words,
        size_offered="SIZE" in words,
        max_size=_number(words.get("SIZE", []), 18),
        dsn="DSN" in words,
        require_tls="REQUIRETLS" in words,
        deliver_by="DELIVERBY" in words,
        deliver_by_minimum=_number(words.get("DELIVERBY", []), 9),
        chunking="CHUNKING" in words,
        auth=tuple(mechanism.upper() for mechanism in words.get("AUTH", [])),
    )


def _number(parameters: list[str], most_digits: int) -> int:
    """The first parameter; 0 where it is no number."""
    first = parameters[0] if parameters else ""
    return int(first) if first.isascii() and first.isdigit() and len(first) <= most_digits else 0


def host_of(reply: Reply) -> str:
    """The host name at the beginning of a greeting or an EHLO reply, lower case."""
    words = reply.lines[0].split() if reply.lines else []
    return words[0].lower().rstrip(".") if words else ""
