"""How far a message is looked into. Beyond a limit the rest is opaque: it is kept and served, but not taken apart.

Together the bounds keep the index of any message below about 700 KiB, so that it travels in one frame (1 MiB) beside an inline
content, and keep the work linear in the message's size with a small factor.
"""

from typing import Final

import attrs


@attrs.frozen
class IndexLimits:
    """Bounds of `shared.mail.index.build_index`; each is met by a test."""

    header_octets: int = 256 * 1024
    """Of one header block, from its beginning, that are looked at for fields."""
    total_header_octets: int = 1024 * 1024
    """Of all header blocks of a message together."""
    header_fields: int = 10_000
    """Fields of one header block that are looked at."""
    field_octets: int = 64 * 1024
    """Of one field's value."""
    string_octets: int = 8 * 1024
    """Of one string of ENVELOPE or BODYSTRUCTURE (a subject, a parameter's value)."""
    addresses: int = 1000
    """Of one message's address fields together."""
    envelope_octets: int = 64 * 1024
    """Of the rendered ENVELOPE's addresses together."""
    structure_octets: int = 64 * 1024
    """Of the strings in BODYSTRUCTURE, nested envelopes included."""
    depth: int = 32
    """Of multiparts and messages within each other."""
    parts: int = 1000
    boundary_octets: int = 200
    """RFC 2046 §5.1.1 allows 70; more than that is seen in the wild."""
    boundary_candidates: int = 20_000
    """Lines that begin like a boundary line, for the whole message."""
    parameters: int = 50
    """Of one Content-Type or Content-Disposition field."""
    references: int = 200
    """Message ids kept of References; the first and the latest stay."""
    preview_characters: int = 200
    """RFC 8970 §3.1 recommends 200."""
    preview_octets: int = 16 * 1024
    """Of a text part that are decoded for the preview; eight times as much where those give no text."""


DEFAULT_LIMITS: Final = IndexLimits()
