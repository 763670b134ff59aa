"""What is computed once, when a message enters, and stored with its content (see ``shared.mail.index``, which makes it)."""

import attrs


@attrs.frozen
class MessageIndex:
    """The parsed message in the forms that readers need. The store keeps the columns and never looks into them."""

    header_octets: int
    """Length of the header block with the empty line that ends it."""
    envelope: bytes
    """RFC 3501 §7.4.2 ENVELOPE, rendered, 7-bit (literals where needed)."""
    bodystructure: bytes
    """RFC 3501 §7.4.2 BODYSTRUCTURE with extension data, rendered."""
    body: bytes
    """RFC 3501 §7.4.2 BODY, rendered."""
    parts: bytes
    """msgpack: every part with its byte offsets (``shared.mail.index.unpack_parts``)."""
    summary: bytes
    """msgpack: decoded subject, addresses, dates, references, preview (``shared.mail.index.unpack_summary``)."""
