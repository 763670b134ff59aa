"""What lists, SORT, THREAD and SEARCH want to know of a message, decoded: subject, people, dates, ids, preview.

It is made once, when the message enters, and stored as msgpack. RFC 5256 §2 (what is sorted and threaded by), RFC 8970 (preview).
"""

import re
from collections.abc import Iterator
from typing import Final

import attrs
import msgpack

from shared.mail.address import AddressEntry
from shared.mail.body_text import decode_body
from shared.mail.charset import decode_unlabelled
from shared.mail.content import Content
from shared.mail.date import SentDate, parse_date
from shared.mail.encoded_word import decode_words
from shared.mail.limits import IndexLimits
from shared.mail.structure import Entity, Message

_FORMAT: Final = 1
_LISTS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
_TEXT_OCTETS: Final = 48 * 1024
"""Of all decoded names and addresses together (UTF-8); what goes beyond is left out."""
_SUBJECT_CHARACTERS: Final = 2000
_ID_OCTETS: Final = 1000
_ID: Final = re.compile(rb"<([^<>\s]{1,1000})>")
_QUOTED_LINE: Final = re.compile(r"^>.*$", re.MULTILINE)
_SIGNATURE: Final = "\n-- \n"
_LONGER_PREVIEW: Final = 8
_NOT_ATTACHED: Final = frozenset({b"pgp-signature", b"pkcs7-signature", b"x-pkcs7-signature", b"pgp-encrypted"})


@attrs.frozen
class Person:
    """One address, decoded; groups are left out."""

    display: str
    mailbox: str
    host: str

    @property
    def address(self) -> str:
        """``mailbox@host``, or the mailbox alone where there is no host."""
        return f"{self.mailbox}@{self.host}" if self.host else self.mailbox


@attrs.frozen
class Summary:
    """See the module."""

    subject: str
    from_: tuple[Person, ...]
    sender: tuple[Person, ...]
    """As in the header: empty where the field is absent."""
    reply_to: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    sent: SentDate | None
    message_id: str
    """Without angle brackets; empty where there is none."""
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    preview: str
    has_attachment: bool


def pack_summary(
    content: Content, message: Message, addresses: dict[bytes, list[AddressEntry]], limits: IndexLimits
) -> bytes:
    """The stored form; `addresses` are those of the header by field name."""
    fields = message.fields
    date = fields.get(b"date")
    sent = parse_date(date[0]) if date is not None else None
    subject = fields.get(b"subject")
    guess = _guess(message, addresses, subject)
    room = [_TEXT_OCTETS]
    packed: bytes = msgpack.packb(
        (
            _FORMAT,
            decode_words(subject[0][: limits.string_octets], guess)[:_SUBJECT_CHARACTERS]
            if subject is not None
            else "",
            [_people(addresses[name], room, guess) if name in addresses else () for name in _LISTS],
            sent,
            next(iter(_ids(fields.get(b"message-id"), 1, limits)), ""),
            _ids(fields.get(b"in-reply-to"), limits.references, limits),
            _ids(fields.get(b"references"), limits.references, limits),
            _preview(content, message.entity, limits),
            _has_attachment(message.entity),
        )
    )
    return packed


def unpack_summary(blob: bytes) -> Summary:
    """Raises ValueError where the blob is no summary."""
    version, subject, lists, sent, message_id, in_reply_to, references, preview, attached = msgpack.unpackb(
        blob, use_list=False
    )
    if version != _FORMAT:
        raise ValueError(f"summary of unknown format {version!r}")
    from_, sender, reply_to, to, cc, bcc = [tuple([Person(*person) for person in people]) for people in lists]
    date = None if sent is None else SentDate(*sent)
    return Summary(
        subject, from_, sender, reply_to, to, cc, bcc, date, message_id, in_reply_to, references, preview, attached
    )


def _guess(message: Message, addresses: dict[bytes, list[AddressEntry]], subject: list[bytes] | None) -> str:
    """The charset of the first text part, where the header has 8-bit octets that need one (RFC 7103 §7.7)."""
    plain = subject is None or subject[0].isascii()
    names = (entry.name for entries in addresses.values() for entry in entries)
    if plain and all(name is None or name.isascii() for name in names):
        return ""
    texts = (leaf for leaf in _leaves(message.entity) if leaf.content_type.media == b"text")
    first = next(texts, None)
    return "" if first is None else first.content_type.charset


def _people(entries: list[AddressEntry], room: list[int], guess: str) -> list[tuple[str, str, str]]:
    people = []
    for name, _, mailbox, host in entries:
        if mailbox is None or host is None:
            continue
        room[0] -= len(mailbox) + len(host) + (len(name) if name is not None else 0) + 8
        if room[0] < 0:
            break
        people.append(("" if name is None else decode_words(name, guess), _plain(mailbox), _plain(host)))
    return people


def _plain(value: bytes) -> str:
    return value.decode("ascii") if value.isascii() else decode_unlabelled(value)


# RFC 5322 §3.6.4
def _ids(values: list[bytes] | None, limit: int, limits: IndexLimits) -> list[str]:
    """Message ids without brackets. Of too many, the first and the latest: they name the thread and the parent."""
    if values is None:
        return []
    value = b" ".join(values)[: limits.field_octets]
    found = [_plain(one) for one in _ID.findall(value)]
    if not found:
        # RFC 5256 §2.2.1: an id without brackets is one, too
        words = value[:_ID_OCTETS].split(None, 1)
        return [_plain(words[0])] if words else []
    if len(found) > limit:
        return [found[0], *found[len(found) - limit + 1 :]] if limit > 1 else found[:1]
    return found


def _leaves(entity: Entity) -> Iterator[Entity]:
    """Parts that are no multipart, in order; not those of messages inside."""
    pending = [entity]
    while pending:
        one = pending.pop()
        if one.children:
            pending.extend(reversed(one.children))
        else:
            yield one


# RFC 8970 §3.1
def _preview(content: Content, root: Entity, limits: IndexLimits) -> str:
    plain: list[Entity] = []
    html: list[Entity] = []
    for leaf in _leaves(root):
        if leaf.content_type.media == b"text" and not _is_attached(leaf):
            (html if leaf.content_type.subtype == b"html" else plain).append(leaf)
            if len(plain) + len(html) >= 8:
                break
    for leaf in (*plain[:3], *html[:3]):
        size = limits.preview_octets
        text = _readable(content, leaf, size, limits.preview_characters)
        if not text and leaf.body_end - leaf.body_start > size:
            text = _readable(content, leaf, size * _LONGER_PREVIEW, limits.preview_characters)
        if text:
            return text
    return ""


def _readable(content: Content, leaf: Entity, octets: int, characters: int) -> str:
    """The first words of a text part: without quoted lines, signature and runs of white space."""
    is_html = leaf.content_type.subtype == b"html"
    if not is_html:
        # A first try with little: most mail says enough in it.
        first = characters * 4
        text = _decoded(content, leaf, first, is_html=False)
        if len(text) >= characters or leaf.body_end - leaf.body_start <= first:
            return text[:characters].rstrip()
    return _decoded(content, leaf, octets, is_html=is_html)[:characters].rstrip()


def _decoded(content: Content, leaf: Entity, octets: int, *, is_html: bool) -> str:
    end = min(leaf.body_end, leaf.body_start + octets)
    encoding = leaf.encoding.decode("ascii", "replace")
    text = decode_body(content[leaf.body_start : end], encoding, leaf.content_type.charset, is_html=is_html)
    if not is_html:
        text = text.partition(_SIGNATURE)[0]
        if ">" in text:
            text = _QUOTED_LINE.sub("", text)
    text = " ".join(text.split())
    if text.isprintable():
        return text
    # A character that was cut at the end is no reason for a mark.
    if end < leaf.body_end:
        text = text.rstrip("\ufffd")
    return "".join([character if character.isprintable() or character > "\x9f" else "" for character in text])


def _has_attachment(root: Entity) -> bool:
    return any(_is_attached(leaf) for leaf in _leaves(root))


def _is_attached(leaf: Entity) -> bool:
    """What a reader would call an attachment: said so, or named, or of a kind that is not shown in place."""
    kind = leaf.content_type
    disposition = leaf.disposition
    if disposition is not None and disposition.kind == b"attachment":
        return kind.subtype not in _NOT_ATTACHED
    if kind.media == b"text":
        return disposition is None and kind.parameters.raw(b"name") is not None and kind.subtype != b"calendar"
    if kind.subtype in _NOT_ATTACHED:
        return False
    shown_in_place = b"content-id" in leaf.fields or (disposition is not None and disposition.kind == b"inline")
    if shown_in_place and kind.media in {b"image", b"audio", b"video"}:
        return False
    return kind.media != b"message" or leaf.message is not None
