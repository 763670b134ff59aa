"""GETMETADATA, SETMETADATA and the METADATA response: RFC 5464 §4 and §5."""

from collections.abc import Sequence
from typing import Final

import attrs

from services.imap.protocol.encode import build_astring, build_literal, build_mailbox, build_nstring
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.tokens import Refused, Scanner, SyntaxFault

DEPTHS: Final = ("0", "1", "infinity")
MAX_ENTRIES: Final = 100
"""Of one command."""
MAX_NAME_OCTETS: Final = 264


@attrs.frozen
class MetadataOptions:
    """RFC 5464 §4.2.1, §4.2.2."""

    max_octets: int | None = None
    depth: str = "0"


NO_OPTIONS: Final = MetadataOptions()


@attrs.frozen
class GetMetadataArguments:
    """An empty ``mailbox`` is the server."""

    mailbox: str
    entries: tuple[str, ...]
    options: MetadataOptions = NO_OPTIONS


@attrs.frozen
class SetMetadataArguments:
    """``values``: None takes an entry away."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


def parse_entry(scanner: Scanner) -> str:
    """RFC 5464 §3.1 and §5: entry = astring, a path below /private or /shared, in lower case here."""
    octets = scanner.astring()
    if len(octets) > MAX_NAME_OCTETS:
        raise Refused("entry name too long", "LIMIT")
    name = octets.decode("ascii", "replace").lower()
    if not name.startswith(("/private/", "/shared/")) and name not in ("/private", "/shared"):
        raise SyntaxFault("an entry begins with /private or /shared")
    # RFC 5464 §3.1: no "//", no "/" at the end, no wildcards, no controls, no 8-bit characters
    if "//" in name or name.endswith("/") or any(c in "*%" or not " " <= c < "\x7f" for c in name):
        raise SyntaxFault("not an entry name")
    return name


def parse_entries(scanner: Scanner) -> tuple[str, ...]:
    """RFC 5464 §5: entries = entry / "(" entry *(SP entry) ")"."""
    if not scanner.take(b"("):
        return (parse_entry(scanner),)
    entries: dict[str, None] = {}
    scanner.skip_spaces()
    while not scanner.take(b")"):
        entries[parse_entry(scanner)] = None
        if len(entries) > MAX_ENTRIES:
            raise Refused("too many entries", "LIMIT")
        scanner.skip_spaces()
    if not entries:
        raise SyntaxFault("no entries")
    return tuple(entries)


def parse_options(scanner: Scanner) -> MetadataOptions:
    """RFC 5464 §5: getmetadata-options, after the parenthesis."""
    max_octets: int | None = None
    depth = "0"
    scanner.skip_spaces()
    while not scanner.take(b")"):
        option = scanner.word()
        scanner.space()
        if option == "MAXSIZE":
            max_octets = scanner.number()
        elif option == "DEPTH":
            depth = scanner.word().lower()
            if depth not in DEPTHS:
                raise SyntaxFault("DEPTH is 0, 1 or infinity")
        else:
            raise SyntaxFault("unknown GETMETADATA option")
        scanner.skip_spaces()
    return MetadataOptions(max_octets, depth)


def parse_get_metadata(scanner: Scanner, limits: GrammarLimits) -> GetMetadataArguments:
    """RFC 5464 §5: "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries. The examples have the options after the mailbox."""
    scanner.space()
    options = NO_OPTIONS
    if scanner.take(b"("):
        options = parse_options(scanner)
        scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.space()
    if scanner.looking_at(b"(") and not _entries_follow(scanner):
        scanner.expect(b"(")
        options = parse_options(scanner)
        scanner.space()
    entries = list(parse_entries(scanner))
    # RFC 5464 §4.4.1: an example names two entries without parentheses
    while not scanner.at_end() and len(entries) < MAX_ENTRIES:
        scanner.space()
        if scanner.at_end():
            break
        entries.append(parse_entry(scanner))
    scanner.end()
    return GetMetadataArguments(mailbox, tuple(dict.fromkeys(entries)), options)


def _entries_follow(scanner: Scanner) -> bool:
    """Whether a parenthesis holds entries, which begin with a slash or a quote, and not options."""
    return not (scanner.looking_at(b"(MAXSIZE") or scanner.looking_at(b"(DEPTH"))


def parse_set_metadata(scanner: Scanner, limits: GrammarLimits) -> SetMetadataArguments:
    """RFC 5464 §5: "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"."""
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.space()
    scanner.expect(b"(")
    values: dict[str, bytes | None] = {}
    scanner.skip_spaces()
    while not scanner.take(b")"):
        entry = parse_entry(scanner)
        if entry in ("/private", "/shared"):
            raise SyntaxFault("not an entry name")
        scanner.space()
        values[entry] = scanner.nstring()
        if len(values) > MAX_ENTRIES:
            raise Refused("too many entries", "METADATA TOOMANY")
        scanner.skip_spaces()
    scanner.end()
    if not values:
        raise SyntaxFault("no entries")
    return SetMetadataArguments(mailbox, tuple(values.items()))


def build_metadata(name: str, values: Sequence[tuple[str, bytes | None]], *, utf8: bool) -> bytes:
    """RFC 5464 §4.4.1."""
    pairs = b" ".join(b"%b %b" % (build_astring(entry.encode()), _value(value)) for entry, value in values)
    return b"* METADATA %b (%b)\r\n" % (build_mailbox(name, utf8=utf8), pairs)


def _value(octets: bytes | None) -> bytes:
    """RFC 5464 §5: value = nstring / literal8; a NUL needs the latter."""
    return b"~" + build_literal(octets) if octets is not None and b"\0" in octets else build_nstring(octets)
