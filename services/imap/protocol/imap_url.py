"""URLs of messages and their parts, as CATENATE takes them: relative to the session.

RFC 5092 §7 and §11 (ABNF), RFC 3986 §2.1 (percent-encoding), RFC 4469 §3: no scheme and no server, the base is
``imap://user@server/`` and, while a mailbox is selected, ``imap://user@server/mailbox``.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from services.imap.protocol.arguments import Section
from services.imap.protocol.fetch_grammar import parse_section_spec
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.tokens import MAX_NUMBER, Refused, Scanner, SyntaxFault


class BadUrl(ValueError):
    """Not a URL of a message or part on this server."""


@attrs.frozen
class MessageUrl:
    """``mailbox`` None: the selected one. ``uidvalidity`` 0: whichever it is."""

    mailbox: str | None
    uidvalidity: int
    uid: int
    section: Section
    partial: tuple[int, int] | None = None
    """Origin and octets; -1: to the end."""


# RFC 5092 §11: iuid = ";UID=" nz-number; isection = ";SECTION=" enc-section; ipartial = ";PARTIAL=" partial-range.
# A slash before each of them where something stands before it; a missing one is tolerated.
_URL: Final = re.compile(
    rb"(?:(?P<slash>/)(?P<mailbox>[^;/?][^;?]*?)?)?"
    rb"(?:;UIDVALIDITY=(?P<validity>[0-9]{1,10}))?"
    rb"/?;UID=(?P<uid>[0-9]{1,10})"
    rb"(?:/?;SECTION=(?P<section>[^;?]+?))?"
    rb"(?:/?;PARTIAL=(?P<origin>[0-9]{1,10})(?:\.(?P<octets>[0-9]{1,10}))?)?/?\Z",
    re.IGNORECASE,
)


def parse_message_url(url: bytes, limits: GrammarLimits) -> MessageUrl:
    """Raises BadUrl."""
    match = _URL.match(url)
    if match is None:
        raise BadUrl("not a relative URL of a message")
    uid = _number(match["uid"])
    uidvalidity = _number(match["validity"]) if match["validity"] is not None else 0
    mailbox = None
    if match["mailbox"] is not None:
        mailbox = _mailbox(match["mailbox"])
    elif match["slash"] is not None and match["validity"] is not None:
        raise BadUrl("no mailbox is named")
    partial = None
    if match["origin"] is not None:
        partial = int(match["origin"]), int(match["octets"]) if match["octets"] is not None else -1
    return MessageUrl(mailbox, uidvalidity, uid, _section(match["section"], limits), partial)


def _number(digits: bytes) -> int:
    value = int(digits)
    if not 0 < value <= MAX_NUMBER:
        raise BadUrl("not a number of a message")
    return value


def _decode(octets: bytes) -> bytes:
    decoded = unquote_to_bytes(octets)
    if any(octet < 32 or octet == 127 for octet in decoded):
        raise BadUrl("a control character")
    return decoded


def _mailbox(octets: bytes) -> str:
    # RFC 5092 §8: mailbox names in URLs are UTF-8
    try:
        name = _decode(octets).decode()
    except UnicodeDecodeError as error:
        raise BadUrl("a mailbox name that is not UTF-8") from error
    return "INBOX" if name.upper() == "INBOX" else name


def _section(octets: bytes | None, limits: GrammarLimits) -> Section:
    if octets is None:
        return Section(peek=True)
    try:
        return parse_section_spec(Scanner(CommandFrame((_decode(octets),))), limits)
    except (SyntaxFault, Refused) as error:
        raise BadUrl("not a section") from error
