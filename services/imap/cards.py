"""Cards: what sorting, threading and the SENT keys want to know of a message, taken from its stored summary.

A card is made once and kept in the process's cache in a packed form, some 150 octets for a message. Nobody parses the message again.
RFC 5256 §2 and §3, RFC 5957 §3 (display values), RFC 5255 §4.5 (texts are kept as their collation compares them).
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgpack

from shared.mail.base_subject import base_subject
from shared.mail.collation import casemap
from shared.mail.summary import Person, Summary

DAY_SECONDS: Final = 86400
_DAY_OCTETS: Final = 4
NO_DAY: Final = -(2**31)
"""Of a card without a sent date; before every day that can be written."""
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Card(NamedTuple):
    sent: int | None
    """Seconds; None where there is no date that can be read."""
    sent_day: int | None
    """The day as written, zone disregarded (RFC 3501 §6.4.4)."""
    subject: str
    """Base subject (RFC 5256 §2.1)."""
    is_reply: bool
    from_: str
    to: str
    cc: str
    display_from: str
    display_to: str
    message_id: str
    references: tuple[str, ...]


NO_CARD: Final = Card(None, None, "", False, "", "", "", "", "", "", ())


def make_card(summary: Summary) -> Card:
    subject = base_subject(summary.subject)
    sent = summary.sent
    return Card(
        sent=None if sent is None else sent.seconds,
        sent_day=None if sent is None else (sent.seconds + sent.offset_minutes * 60) // DAY_SECONDS,
        subject=casemap(subject.text),
        is_reply=subject.is_reply,
        from_=_mailbox(summary.from_),
        to=_mailbox(summary.to),
        cc=_mailbox(summary.cc),
        display_from=_display(summary.from_),
        display_to=_display(summary.to),
        message_id=normalize_id(summary.message_id),
        # RFC 5256 §3: References, else the first of In-Reply-To
        references=tuple(map(normalize_id, summary.references or summary.in_reply_to[:1])),
    )


def _mailbox(people: Sequence[Person]) -> str:
    """RFC 5256 §3: addr-mailbox of the first address."""
    return casemap(people[0].mailbox) if people else ""


def _display(people: Sequence[Person]) -> str:
    """RFC 5957 §3."""
    return casemap(people[0].display or people[0].address) if people else ""


def normalize_id(message_id: str) -> str:
    """RFC 5256 §3: one text for all ways of quoting a message id."""
    if '"' not in message_id:
        return message_id
    return _QUOTED.sub(lambda match: _ESCAPED.sub(r"\1", match[1]), message_id)


def pack_card(card: Card) -> bytes:
    """The day comes first, so that a search by it need not unpack the rest."""
    day = NO_DAY if card.sent_day is None else card.sent_day
    packed: bytes = msgpack.packb(tuple(card), unicode_errors="surrogatepass")
    return day.to_bytes(_DAY_OCTETS, "little", signed=True) + packed


def unpack_card(packed: bytes) -> Card:
    return Card(*msgpack.unpackb(packed[_DAY_OCTETS:], use_list=False, unicode_errors="surrogatepass"))


def unpack_day(packed: bytes) -> int:
    """``sent_day``, or NO_DAY."""
    return int.from_bytes(packed[:_DAY_OCTETS], "little", signed=True)
