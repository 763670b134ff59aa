"""What an IMAP URL of CATENATE points to, from the store into the spool. RFC 4469 §3, RFC 5092 §7."""

from collections.abc import AsyncIterator, Callable

from services.imap.context import CommandFailed, Context
from services.imap.fetch_plan import KINDS
from services.imap.protocol.arguments import SectionText
from services.imap.protocol.encode import build_quoted
from services.imap.protocol.imap_url import BadUrl, MessageUrl, parse_message_url
from services.imap.protocol.responses import Reply, build_no
from services.imap.spool import Spool
from shared.contract.types import CHUNK_OCTETS, ContentRange, IndexField
from shared.errors import NoPermission, NoSuchMailbox
from shared.mail.header import select_fields
from shared.mail.parts import resolve_section, unpack_parts
from shared.model.ids import MailboxId, Uid
from shared.model.packed import pack_u32

_MOST_HEADER_OCTETS = 1 << 20
"""Of a header that is filtered by field names; of a longer one the rest is left out."""


async def copy_url(context: Context, url: bytes, spool: Spool, check_room: Callable[[int], None]) -> None:
    """Add the octets behind a URL, unchanged. ``check_room`` raises where they are too many. Raises CommandFailed, StoreError."""
    try:
        target = parse_message_url(url, context.grammar)
    except BadUrl as error:
        raise CommandFailed(_bad_url(url)) from error
    mailbox_id = await _mailbox_of(context, target)
    span = None if mailbox_id is None else await _span_of(context, mailbox_id, target)
    if mailbox_id is None or span is None:
        raise CommandFailed(_bad_url(url))
    start, stop = span
    section = target.section
    if section.fields:
        stop = min(stop, start + _MOST_HEADER_OCTETS)
        header = b"".join([piece async for piece in _read(context, mailbox_id, target.uid, start, stop)])
        exclude = section.text is SectionText.HEADER_FIELDS_NOT
        chosen = select_fields(header, 0, len(header), section.fields, exclude)
        start, stop = _partial(target, 0, len(chosen))
        check_room(stop - start)
        await spool.write(chosen[start:stop])
        return
    start, stop = _partial(target, start, stop)
    check_room(stop - start)
    have = spool.octets
    async for piece in _read(context, mailbox_id, target.uid, start, stop):
        await spool.write(piece)
    if spool.octets - have != stop - start:
        # expunged a moment ago, and its content is gone
        raise CommandFailed(_bad_url(url))


def _bad_url(url: bytes) -> Reply:
    """RFC 4469 §4.1: the first URL that failed. Its text is 7-bit and holds no bracket that would end the code."""
    shown = build_quoted(bytes(octet for octet in url[:1000] if 32 <= octet < 127 and octet not in b"[]"))
    return build_no("What the URL names cannot be copied", f"BADURL {shown.decode('ascii')}")


async def _mailbox_of(context: Context, target: MessageUrl) -> MailboxId | None:
    """None where there is no such mailbox (any more), or it may not be read."""
    if target.mailbox is None:
        if context.selected is None or target.uidvalidity not in (0, context.columns.uidvalidity):
            return None
        return context.mailbox_id
    try:
        state = await context.store.mailboxes.status(context.grant, target.mailbox)
    except (NoSuchMailbox, NoPermission):
        return None
    return state.mailbox_id if target.uidvalidity in (0, state.uidvalidity) else None


async def _span_of(context: Context, mailbox_id: MailboxId, target: MessageUrl) -> tuple[int, int] | None:
    """Where in the message the section is; None where there is no such message or section."""
    try:
        rows = await context.store.messages.fetch_index(
            context.grant, mailbox_id, pack_u32([target.uid]), int(IndexField.PARTS)
        )
    except (NoSuchMailbox, NoPermission):
        return None
    if not rows:
        return None
    section = target.section
    return resolve_section(unpack_parts(rows[0].parts), section.path, KINDS[section.text])


def _partial(target: MessageUrl, start: int, stop: int) -> tuple[int, int]:
    """RFC 5092 §11: partial-range = number ["." nz-number]."""
    if target.partial is None:
        return start, stop
    origin, octets = target.partial
    start = min(start + origin, stop)
    return start, stop if octets < 0 else min(start + octets, stop)


async def _read(context: Context, mailbox_id: MailboxId, uid: int, start: int, stop: int) -> AsyncIterator[bytes]:
    """In pieces; it ends early where the content is gone."""
    while start < stop:
        part = ContentRange(Uid(uid), start, min(CHUNK_OCTETS, stop - start))
        (piece,) = await context.store.messages.read(context.grant, mailbox_id, (part,))
        if not piece:
            return
        yield piece
        start += len(piece)
