"""ENVELOPE of one message, from its header fields. RFC 3501 §7.4.2, RFC 9051 §7.5.2.

Several fields of one name are one list of addresses (RFC 7103 §7.5.1); of the others the first counts. Addresses are parsed here once
and handed on to the summary.

Where Dovecot answers otherwise, on purpose:
- Of several Date or Subject fields the first counts (there the last), as of several Content-Type fields in both.
- A missing mailbox or host is an empty string, not a made-up name; nothing between two commas is no address. A name that is itself
  an address without quotes (``a@b <a@b>``) is kept.
- Unfolding takes the line end away and leaves the white space as it is (RFC 5322 §2.2.3), also of lines of white space only.
- A NUL is left out, not replaced.
"""

from typing import Final

import attrs

from shared.mail.address import AddressEntry, parse_addresses
from shared.mail.imap_list import NIL, string
from shared.mail.limits import IndexLimits

ENVELOPE_FIELDS: Final = frozenset(
    {b"date", b"subject", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"message-id"}
)
_LISTS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


@attrs.frozen
class Envelope:
    """The rendered list, and what was parsed on the way."""

    rendered: bytes
    addresses: dict[bytes, list[AddressEntry]]
    """By field name; only fields that name somebody."""


def build_envelope(fields: dict[bytes, list[bytes]], limits: IndexLimits) -> Envelope:
    """`fields`: unfolded values by lower-case name, at least those of `ENVELOPE_FIELDS` that the header has."""
    addresses: dict[bytes, list[AddressEntry]] = {}
    room = limits.addresses
    for name in _LISTS:
        values = fields.get(name)
        if values is None:
            continue
        found: list[AddressEntry] = []
        for value in values:
            if room <= 0:
                break
            entries = parse_addresses(value[: limits.field_octets], room)
            room -= len(entries)
            found.extend(entries)
        if found:
            addresses[name] = found
    budget = limits.envelope_octets
    lists: dict[bytes, bytes] = {}
    for name, entries in addresses.items():
        lists[name] = rendered = _render(entries, budget, limits.string_octets)
        budget -= len(rendered)
    sender = lists.get(b"from", NIL)
    limit = limits.string_octets
    rendered = b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _first(fields, b"date", limit),
        _first(fields, b"subject", limit),
        sender,
        lists.get(b"sender", sender),
        lists.get(b"reply-to", sender),
        lists.get(b"to", NIL),
        lists.get(b"cc", NIL),
        lists.get(b"bcc", NIL),
        _first(fields, b"in-reply-to", limit),
        _first(fields, b"message-id", limit),
    )
    return Envelope(rendered, addresses)


def _first(fields: dict[bytes, list[bytes]], name: bytes, limit: int) -> bytes:
    values = fields.get(name)
    return NIL if values is None else string(values[0][:limit])


def _render(entries: list[AddressEntry], budget: int, limit: int) -> bytes:
    """The parenthesised list; what does not fit the budget is left out, a group that was begun is ended."""
    pieces: list[bytes] = []
    used = 0
    in_group = False
    for name, route, mailbox, host in entries:
        piece = b"(%b %b %b %b)" % (
            NIL if name is None else string(name[:limit]),
            NIL if route is None else string(route[:limit]),
            NIL if mailbox is None else string(mailbox[:limit]),
            NIL if host is None else string(host[:limit]),
        )
        used += len(piece)
        if used > budget:
            break
        if host is None:
            in_group = mailbox is not None
        pieces.append(piece)
    if in_group:
        pieces.append(b"(NIL NIL NIL NIL)")
    return b"(" + b"".join(pieces) + b")" if pieces else NIL
