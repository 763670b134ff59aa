"""GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS: RFC 4314 §3 and §7. MYRIGHTS and GETACL take a mailbox only."""

import attrs

from services.imap.protocol.encode import build_astring, build_mailbox
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.tokens import Refused, Scanner, SyntaxFault
from shared.model.rights import LETTERS, Rights, format_rights, parse_rights

MAX_IDENTIFIER_OCTETS = 400


@attrs.frozen
class AclArguments:
    """DELETEACL and LISTRIGHTS."""

    mailbox: str
    identifier: str


@attrs.frozen
class SetAclArguments:
    """``mode``: ``+``, ``-`` or empty to replace."""

    mailbox: str
    identifier: str
    mode: str
    rights: Rights


def _identifier(scanner: Scanner) -> str:
    """RFC 4314 §7: identifier = astring; here the address of an account, or "anyone"."""
    octets = scanner.astring()
    if len(octets) > MAX_IDENTIFIER_OCTETS:
        raise Refused("identifier too long", "LIMIT")
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        # RFC 4314 §3: identifiers are UTF-8
        raise SyntaxFault("identifier is not UTF-8") from error


def parse_acl(scanner: Scanner, limits: GrammarLimits) -> AclArguments:
    """RFC 4314 §7: SP mailbox SP identifier."""
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.space()
    identifier = _identifier(scanner)
    scanner.end()
    return AclArguments(mailbox, identifier)


def parse_set_acl(scanner: Scanner, limits: GrammarLimits) -> SetAclArguments:
    """RFC 4314 §7: "SETACL" SP mailbox SP identifier SP mod-rights."""
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.space()
    identifier = _identifier(scanner)
    scanner.space()
    text = scanner.astring().decode("ascii", "replace")
    scanner.end()
    mode = text[0] if text[:1] in ("+", "-") else ""
    # RFC 4314 §3.1: an unrecognized right MUST cause BAD; RFC 4314 §7: only lower case
    rights = parse_rights(text[len(mode) :])
    if rights is None:
        raise SyntaxFault("unknown right")
    return SetAclArguments(mailbox, identifier, mode, rights)


def build_acl(name: str, entries: list[tuple[str, int]], *, utf8: bool) -> bytes:
    """RFC 4314 §3.6."""
    pairs = [
        b" %b %b" % (build_astring(identifier.encode()), format_rights(rights).encode() or b'""')
        for identifier, rights in entries
    ]
    return b"* ACL %b%b\r\n" % (build_mailbox(name, utf8=utf8), b"".join(pairs))


def build_list_rights(name: str, identifier: str, fixed: int, *, utf8: bool) -> bytes:
    """RFC 4314 §3.7: what the identifier always has, then each right that may be given, none tied to another."""
    always = format_rights(fixed)
    # RFC 4314 §2.1.1: "c" and "d" by themselves, as nothing is tied to what they stand for
    rest = [letter for letter in LETTERS + "cd" if letter not in always]
    words = " ".join([always or '""', *rest]).encode()
    return b"* LISTRIGHTS %b %b %b\r\n" % (build_mailbox(name, utf8=utf8), build_astring(identifier.encode()), words)


def build_my_rights(name: str, rights: int, *, utf8: bool) -> bytes:
    """RFC 4314 §3.8; LIST RETURN (MYRIGHTS): RFC 8440 §4."""
    return b"* MYRIGHTS %b %b\r\n" % (build_mailbox(name, utf8=utf8), format_rights(rights).encode() or b'""')
