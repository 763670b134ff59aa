"""Responses of an IMAP server, by their kind; what commands say. Pure.

RFC 9051 §7, and RFC 3501 for older servers.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from shared.mail.date import parse_internaldate
from shared.model.ids import UID_MAX
from shared.moving.imap.framing import ServerViolation
from shared.moving.imap.values import Value, number_of, pairs_of, parse_values, words_of

_TAGGED: Final = re.compile(rb"([A-Za-z0-9]{1,20}) (OK|NO|BAD)(?: (.*))?", re.DOTALL | re.IGNORECASE)
_STATUS: Final = re.compile(rb"\* (OK|NO|BAD|BYE|PREAUTH)(?: (.*))?", re.DOTALL | re.IGNORECASE)
_CODE: Final = re.compile(rb"\[([^ \]]{1,60})(?: ([^\]]*))?\] ?")
_DATA: Final = re.compile(rb"\* (?:(\d{1,10}) )?([A-Za-z0-9.-]{1,40}) ?", re.ASCII)
_QUOTABLE: Final = re.compile(rb"[\x20-\x7e]{0,1000}")
SYSTEM_FLAGS: Final = {flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
# RFC 9051 §9: flag-keyword is an atom
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,200}")


@attrs.frozen
class Status:
    """OK, NO, BAD, BYE, PREAUTH: tagged or not."""

    tag: str
    """Empty: untagged."""
    word: str
    code: str = ""
    """In capitals, such as UIDVALIDITY."""
    argument: bytes = b""
    text: str = ""


@attrs.frozen
class Data:
    """Any other untagged response: ``* 12 FETCH (...)``."""

    kind: str
    number: int
    values: tuple[Value, ...]


@attrs.frozen
class Continuation:
    """``+``: go on."""

    text: bytes


def parse_response(pieces: Sequence[bytes]) -> Status | Data | Continuation:
    """Raises ServerViolation."""
    first = pieces[0]
    if first.startswith(b"+"):
        return Continuation(first[1:].strip())
    match = _STATUS.fullmatch(first)
    if match is not None:
        return _status("", match[1], match[2])
    if not first.startswith(b"* "):
        match = _TAGGED.fullmatch(first)
        if match is None:
            raise ServerViolation("a response that is none")
        return _status(match[1].decode("ascii"), match[2], match[3])
    match = _DATA.match(first)
    if match is None:
        raise ServerViolation("a response without a name")
    values = parse_values([first[match.end() :], *pieces[1:]])
    return Data(match[2].decode("ascii").upper(), int(match[1] or 0), tuple(values))


def _status(tag: str, word: bytes, rest: bytes | None) -> Status:
    rest = rest or b""
    code = _CODE.match(rest)
    text = (rest[code.end() :] if code else rest)[:500].decode("utf-8", "replace")
    name = code[1].decode("ascii", "replace").upper() if code else ""
    return Status(tag, word.decode("ascii").upper(), name, (code[2] or b"") if code else b"", text)


@attrs.frozen
class Listed:
    """A mailbox in LIST or LSUB."""

    wire: bytes
    """Its name, as the server writes it."""
    delimiter: bytes
    """Empty: there are no levels."""
    attributes: frozenset[str]
    """In lower case."""


def parse_listed(data: Data) -> Listed:
    """RFC 9051 §7.3.1. Raises ServerViolation."""
    if len(data.values) < 3 or not isinstance(data.values[2], bytes):
        raise ServerViolation(f"a {data.kind} that is none")
    attributes = frozenset(word.decode("ascii", "replace").lower() for word in words_of(data.values[0]))
    delimiter = data.values[1]
    return Listed(bytes(data.values[2]), bytes(delimiter) if isinstance(delimiter, bytes) else b"", attributes)


@attrs.frozen
class Namespaces:
    """Prefixes of names."""

    personal: bytes = b""
    others: tuple[bytes, ...] = ()
    """Of other users, and shared ones."""


def parse_namespaces(data: Data) -> Namespaces:
    """RFC 2342 §5. Raises ServerViolation."""
    groups = [_prefixes(value) for value in data.values[:3]]
    if not groups:
        raise ServerViolation("a NAMESPACE that is none")
    return Namespaces(groups[0][0] if groups[0] else b"", tuple(prefix for group in groups[1:] for prefix in group if prefix))


def _prefixes(value: Value) -> list[bytes]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ServerViolation("a NAMESPACE that is none")
    return [bytes(each[0]) for each in value if isinstance(each, list) and each and isinstance(each[0], bytes)]


@attrs.frozen
class FolderStatus:
    """What EXAMINE tells of a mailbox (RFC 9051 §6.3.3, RFC 7162 §3.1.2.1); 0: it does not say."""

    uidvalidity: int = 0
    uid_next: int = 0
    messages: int = 0
    modseq: int = 0


@attrs.frozen
class FetchedRow:
    """A message as a survey sees it."""

    uid: int
    flags: tuple[str, ...]
    octets: int
    came: int | None
    """INTERNALDATE; None: the server has none that is a date."""
    same_everywhere: int = 0
    """X-GM-MSGID: the same in all mailboxes that show the message."""


def parse_row(data: Data) -> FetchedRow | None:
    """None: somebody else's change of flags, which was not asked for. Raises ServerViolation."""
    pairs = pairs_of(data.values[0] if data.values else None)
    if not {b"UID", b"FLAGS", b"RFC822.SIZE"} <= pairs.keys():
        return None
    date = pairs.get(b"INTERNALDATE")
    came = parse_internaldate(bytes(date)) if isinstance(date, bytes) else None
    everywhere = pairs.get(b"X-GM-MSGID")
    return FetchedRow(
        number_of(pairs[b"UID"], UID_MAX),
        known_flags(words_of(pairs[b"FLAGS"])),
        number_of(pairs[b"RFC822.SIZE"]),
        came.seconds if came is not None else None,
        number_of(everywhere) if everywhere is not None else 0,
    )


def known_flags(words: Iterable[bytes]) -> tuple[str, ...]:
    """System flags that a client may set, and keywords; \\Recent and what no IMAP server may say is left out."""
    system: set[str] = set()
    keywords: set[str] = set()
    for word in words:
        name = word.decode("ascii", "replace")
        if name.startswith("\\"):
            system.update(flag for flag in [SYSTEM_FLAGS.get(name.lower())] if flag)
        elif _KEYWORD.fullmatch(name):
            keywords.add(name)
    return (*sorted(system), *sorted(keywords))


def parse_content(data: Data, section: bytes = b"BODY[]") -> tuple[int, bytes] | None:
    """UID and content of a message; None: the row tells something else. Raises ServerViolation."""
    pairs = pairs_of(data.values[0] if data.values else None)
    content = pairs.get(section)
    if b"UID" not in pairs or not isinstance(content, bytes):
        return None
    return number_of(pairs[b"UID"], UID_MAX), bytes(content)


def build_string(value: bytes) -> bytes | None:
    """Quoted; None: it needs a literal (RFC 9051 §4.3)."""
    if _QUOTABLE.fullmatch(value) is None:
        return None
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def build_uid_set(uids: Iterable[int]) -> bytes:
    """Ascending UIDs as a sequence set: ``1:4,7``."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges)
