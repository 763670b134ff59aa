"""The header block of a received message: where it ends, what the checks need of it, what a submission gets repaired.

Laws: the content's bytes are kept as they came but for what RFC 6409 §8 allows a submission server: Date and Message-ID are
added when missing, Bcc and Return-Path are taken out. Nothing here fails on malformed mail; what does not look like a
header field begins the body. One scan each, by regular expressions that cannot backtrack.
"""

from __future__ import annotations

import re

from attrs import frozen

# RFC 5322 §2.2: field-name = 1*ftext, ftext = %d33-57 / %d59-126; §4.5.8 allows space before the colon (obs-optional).
_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:")
# A field with its continuation lines (RFC 5322 §2.2.3).
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_TLS_REQUIRED = re.compile(rb"^tls-required[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE)

# RFC 6409 §8 allows repairs; RFC 5321 §4.4: a submission has no Return-Path; RFC 5322 §3.6.3: Bcc is for nobody's eyes.
_STRIPPED = frozenset({b"bcc", b"return-path", b"resent-bcc"})


@frozen
class HeaderFacts:
    """What the checks between "received" and "committed" look at."""

    octets: int
    """The header block with the empty line that ends it; 0 when the content begins with something else."""
    complete: bool
    """The end of the header block was in what was looked at."""
    received: int
    """Received fields: hops so far (RFC 5321 §6.3)."""
    tls_optional: bool = False
    """TLS-Required: No, once (RFC 8689 §3)."""


def inspect_header(head: bytes) -> HeaderFacts:
    """Facts of the header block at the beginning of `head`, which is the whole content or its first part."""
    if head.startswith(b"\r\n"):
        return HeaderFacts(2, True, 0)
    if not _FIELD_START.match(head):
        return HeaderFacts(0, True, 0)
    end = head.find(b"\r\n\r\n")
    octets = len(head) if end < 0 else end + 4
    received = len(_RECEIVED.findall(head, 0, octets))
    optional = b"tls-required" in head[:octets].lower() and _says_tls_optional(head, octets)
    return HeaderFacts(octets, end >= 0, received, optional)


def _says_tls_optional(head: bytes, octets: int) -> bool:
    # RFC 8689 §3: "TLS-Required:" [FWS] "No" CRLF, and not more than once
    return [value.strip().lower() for value in _TLS_REQUIRED.findall(head, 0, octets)] == [b"no"]


def needs_separator(head: bytes) -> bool:
    """The content begins with neither a field nor an empty line: fields put in front need an empty line behind them."""
    return not head.startswith(b"\r\n") and not _FIELD_START.match(head)


def repair_submission(head: bytes, header_octets: int, *, date: bytes, message_id: bytes) -> bytes:
    """`head` with the header block at its beginning repaired.

    `date` and `message_id` are field bodies for the fields that are missing; they come in as arguments because this module
    has neither a clock nor randomness. They go in front, where no malformed line can turn them into body.
    """
    header, rest = head[:header_octets], head[header_octets:]
    kept: list[bytes] = []
    names: set[bytes] = set()
    position = 0
    while position < len(header):
        match = _FIELD.match(header, position)
        if match is None:
            # No field: kept as it is. A Bcc behind a malformed line is still a Bcc to whoever reads the header.
            end = header.find(b"\r\n", position) + 2
            end = len(header) if end < 2 else end
            kept.append(header[position:end])
            position = end
            continue
        name = match[1].lower()
        if name not in _STRIPPED:
            names.add(name)
            kept.append(match[0])
        position = match.end()
    added: list[bytes] = []
    if b"date" not in names:
        added.append(b"Date: " + date + b"\r\n")
    if b"message-id" not in names:
        added.append(b"Message-ID: " + message_id + b"\r\n")
    separator = b"\r\n" if needs_separator(head) and added else b""
    return b"".join((*added, separator, *kept, rest))
