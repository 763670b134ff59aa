"""The arguments of LIST and LSUB, and STATUS items.

RFC 3501 §6.3.8 to §6.3.10, RFC 5258 §3 and §6 (LIST-EXTENDED), RFC 6154 §2 (SPECIAL-USE), RFC 5819 §2 (STATUS).
"""

import attrs

from services.imap.protocol.arguments import ListArguments, ListReturn, StatusItem
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.metadata_grammar import NO_OPTIONS, MetadataOptions, parse_entries, parse_options
from services.imap.protocol.tokens import Refused, Scanner, SyntaxFault
from shared.wire import mutf7

MAX_PATTERNS = 50


def _decode(octets: bytes, limits: GrammarLimits) -> str:
    if len(octets) > limits.mailbox_octets:
        raise Refused("mailbox pattern too long", "LIMIT")
    try:
        return mutf7.decode(octets, utf8=limits.utf8_names)
    except mutf7.InvalidName as error:
        raise Refused(f"not a mailbox pattern: {error}", "CANNOT") from error


def parse_status_items(scanner: Scanner, limits: GrammarLimits) -> tuple[StatusItem, ...]:
    """RFC 3501 §9: "(" status-att *(SP status-att) ")" """
    scanner.expect(b"(")
    items: dict[StatusItem, None] = {}
    scanner.skip_spaces()
    while not scanner.take(b")"):
        try:
            items[StatusItem(scanner.word())] = None
        except ValueError as error:
            raise SyntaxFault("unknown STATUS item") from error
        scanner.skip_spaces()
    if not items:
        raise SyntaxFault("no STATUS items")
    # RFC 9051 §6.3.11 and appendix E, 12
    if limits.no_recent and StatusItem.RECENT in items:
        raise SyntaxFault("RECENT is not in IMAP4rev2")
    return tuple(items)


def _select_options(scanner: Scanner) -> set[str]:
    """RFC 5258 §6: list-select-opts, after the parenthesis."""
    options: set[str] = set()
    scanner.skip_spaces()
    while not scanner.take(b")"):
        option = scanner.word()
        if option not in ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"):
            raise SyntaxFault("unknown LIST selection option")
        options.add(option)
        scanner.skip_spaces()
    # RFC 5258 §3.1: RECURSIVEMATCH alone, or with REMOTE only, is an error
    if "RECURSIVEMATCH" in options and not options & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise SyntaxFault("RECURSIVEMATCH needs another selection option")
    return options


def _patterns(scanner: Scanner, limits: GrammarLimits) -> tuple[tuple[str, ...], bool]:
    """RFC 5258 §6: mbox-or-pat; whether the list form was used."""
    if not scanner.take(b"("):
        return (_decode(scanner.list_mailbox(), limits),), False
    patterns: list[str] = []
    scanner.skip_spaces()
    while not scanner.take(b")"):
        patterns.append(_decode(scanner.list_mailbox(), limits))
        if len(patterns) > MAX_PATTERNS:
            raise SyntaxFault("too many mailbox patterns")
        scanner.skip_spaces()
    if not patterns:
        raise SyntaxFault("no mailbox pattern")
    return tuple(patterns), True


@attrs.frozen
class _Returns:
    """What a LIST is to tell beside the names."""

    options: frozenset[ListReturn] = frozenset()
    items: tuple[StatusItem, ...] = ()
    entries: tuple[str, ...] = ()
    metadata: MetadataOptions = NO_OPTIONS


def _returns(scanner: Scanner, limits: GrammarLimits) -> _Returns:
    """RFC 5258 §6: list-return-opts, after ``RETURN``."""
    scanner.space()
    scanner.expect(b"(")
    found = _Returns()
    options: set[ListReturn] = set()
    scanner.skip_spaces()
    while not scanner.take(b")"):
        try:
            option = ListReturn(scanner.word())
        except ValueError as error:
            raise SyntaxFault("unknown LIST return option") from error
        options.add(option)
        if option is ListReturn.STATUS:
            # RFC 5819 §4: "STATUS" SP "(" status-att *(SP status-att) ")"
            scanner.space()
            found = attrs.evolve(found, items=parse_status_items(scanner, limits))
        elif option is ListReturn.METADATA:
            scanner.space()
            found = _metadata(scanner, found)
        scanner.skip_spaces()
    return attrs.evolve(found, options=frozenset(options))


def _metadata(scanner: Scanner, found: _Returns) -> _Returns:
    """RFC 9590 §5: "METADATA" SP "(" [options SP] entries ")", which is written as the entries of GETMETADATA are."""
    if not scanner.looking_at(b"(("):
        return attrs.evolve(found, entries=parse_entries(scanner))
    scanner.expect(b"((")
    options = parse_options(scanner)
    entries: list[str] = []
    scanner.skip_spaces()
    while not scanner.take(b")"):
        entries.extend(parse_entries(scanner))
        scanner.skip_spaces()
    return attrs.evolve(found, entries=tuple(entries), metadata=options)


def parse_list(scanner: Scanner, limits: GrammarLimits) -> ListArguments:
    """LIST in both its forms."""
    scanner.space()
    options: set[str] = set()
    extended = False
    if scanner.take(b"("):
        extended = True
        options = _select_options(scanner)
        scanner.space()
    reference = _decode(scanner.astring(), limits)
    scanner.space()
    patterns, listed = _patterns(scanner, limits)
    returns = _Returns()
    scanner.skip_spaces()
    if scanner.take(b"RETURN"):
        extended = True
        returns = _returns(scanner, limits)
    scanner.end()
    return ListArguments(
        reference,
        patterns,
        extended=extended or listed,
        select_subscribed="SUBSCRIBED" in options,
        select_special_use="SPECIAL-USE" in options,
        recursive_match="RECURSIVEMATCH" in options,
        returns=returns.options,
        status_items=returns.items,
        metadata_entries=returns.entries,
        metadata_options=returns.metadata,
    )


def parse_lsub(scanner: Scanner, limits: GrammarLimits) -> ListArguments:
    """RFC 3501 §6.3.9."""
    scanner.space()
    reference = _decode(scanner.astring(), limits)
    scanner.space()
    pattern = _decode(scanner.list_mailbox(), limits)
    scanner.end()
    return ListArguments(reference, (pattern,))
