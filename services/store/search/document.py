"""A content as the texts that are searched: header and body, folded, as octets.

What is read is bounded by ``shared.mail.search_text``; nothing that a message can hold raises.
"""

from collections.abc import Callable

from services.store.search.grams import encode_text
from shared.mail.parts import unpack_parts
from shared.mail.search_text import Span, body_text, header_lines, plan_search


def searched_texts(parts_blob: bytes, read: Callable[[int, int], bytes]) -> tuple[bytes, bytes]:
    """Header and body of a content; ``read(start, stop)`` gives its octets.

    Raises ValueError where the list of parts is none, and what ``read`` raises.
    """
    parts = unpack_parts(parts_blob)
    # the first part is the message itself
    plan = plan_search(parts[0].message_header_end if parts else 0, parts)

    def octets(spans: "tuple[Span, ...]") -> bytes:
        return b"".join([read(start, stop) for start, stop in spans])

    header = header_lines(octets((plan.header,))) if plan.header is not None else ""
    body = body_text([(part, read(start, stop)) for part, (start, stop) in plan.texts], octets(plan.more_headers))
    return encode_text(header), encode_text(body)
