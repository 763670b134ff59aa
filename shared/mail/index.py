"""One pass over a message that enters: everything that readers need, to be stored with it and never computed again.

Laws:
- `build_index` never raises, whatever the bytes are (RFC 7103): it degrades, see `structure`, `address`, `mime`.
- Its work is linear in the message and bounded by `IndexLimits`, its result stays below about 700 KiB.
- ENVELOPE, BODY and BODYSTRUCTURE are always well-formed IMAP lists.

RFC 3501 §7.4.2, §6.4.5; RFC 9051 §7.5.2, §6.4.5.
"""

from shared.mail.content import Buffer, as_content
from shared.mail.envelope import build_envelope
from shared.mail.limits import DEFAULT_LIMITS, IndexLimits
from shared.mail.parts import Part, SectionKind, find_part, pack_parts, resolve_section, unpack_parts
from shared.mail.render import StructureRenderer
from shared.mail.structure import StructureParser
from shared.mail.summary import Person, Summary, pack_summary, unpack_summary
from shared.model.message_index import MessageIndex

__all__ = [
    "DEFAULT_LIMITS",
    "IndexLimits",
    "MessageIndex",
    "Part",
    "Person",
    "SectionKind",
    "Summary",
    "build_index",
    "find_part",
    "resolve_section",
    "unpack_parts",
    "unpack_summary",
]


def build_index(content: Buffer, limits: IndexLimits = DEFAULT_LIMITS) -> MessageIndex:
    """The index of a message: any bytes, as they are stored (a mapped file is read in place)."""
    data = as_content(content)
    message = StructureParser(data, limits).parse_message(0, len(data))
    envelope = build_envelope(message.fields, limits)
    body, bodystructure = StructureRenderer(limits).render(message.entity)
    return MessageIndex(
        header_octets=message.header_end,
        envelope=envelope.rendered,
        bodystructure=bodystructure,
        body=body,
        parts=pack_parts(message, limits),
        summary=pack_summary(data, message, envelope.addresses, limits),
    )
