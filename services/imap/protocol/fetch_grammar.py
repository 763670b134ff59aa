"""The arguments of FETCH.

RFC 3501 §6.4.5 and §9 (fetch, fetch-att, section), RFC 7162 §3.1.4 (CHANGEDSINCE, MODSEQ), RFC 4466 §2.4 (fetch modifiers),
RFC 3516 §7 (BINARY), RFC 8970 §6 (PREVIEW), RFC 8514 §5 (SAVEDATE), RFC 8474 §7 (EMAILID, THREADID),
RFC 9394 §3.3 (PARTIAL).
"""

from typing import Final

from services.imap.protocol.arguments import FetchArguments, FetchItem, Section, SectionText
from services.imap.protocol.encode import build_astring
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.search_arguments import PartialRange
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.protocol.tokens import MAX_NUMBER64, Scanner, SyntaxFault

# RFC 3501 §6.4.5: macros stand alone
MACROS: Final[dict[bytes, tuple[FetchItem, ...]]] = {
    b"ALL": (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.RFC822_SIZE, FetchItem.ENVELOPE),
    b"FAST": (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.RFC822_SIZE),
    b"FULL": (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.RFC822_SIZE, FetchItem.ENVELOPE, FetchItem.BODY),
}
_SIMPLE: Final[dict[bytes, FetchItem]] = {item.value: item for item in FetchItem}
_LEGACY: Final[dict[bytes, Section]] = {
    b"RFC822": Section(legacy=b"RFC822"),
    b"RFC822.HEADER": Section(text=SectionText.HEADER, peek=True, legacy=b"RFC822.HEADER"),
    b"RFC822.TEXT": Section(text=SectionText.TEXT, legacy=b"RFC822.TEXT"),
}
_BINARY: Final = ((b"BINARY[", False, False), (b"BINARY.PEEK[", True, False), (b"BINARY.SIZE[", True, True))
# Longest first: HEADER is the beginning of HEADER.FIELDS.
_TEXTS: Final = (
    SectionText.HEADER_FIELDS_NOT,
    SectionText.HEADER_FIELDS,
    SectionText.HEADER,
    SectionText.TEXT,
    SectionText.MIME,
)


def _section_text(scanner: Scanner, has_path: bool) -> SectionText:
    for text in _TEXTS:
        if scanner.take(text.value):
            # RFC 3501 §6.4.5: MIME needs a part number
            if text is SectionText.MIME and not has_path:
                raise SyntaxFault("MIME needs a part number")
            return text
    raise SyntaxFault("unknown section")


def _header_fields(scanner: Scanner, limits: GrammarLimits) -> tuple[bytes, ...]:
    scanner.space()
    scanner.expect(b"(")
    names: list[bytes] = []
    scanner.skip_spaces()
    while not scanner.take(b")"):
        names.append(scanner.astring())
        if len(names) > limits.list_items:
            raise SyntaxFault("too many header fields")
        scanner.skip_spaces()
    if not names:
        raise SyntaxFault("an empty list of header fields")
    return tuple(names)


def _section(scanner: Scanner, limits: GrammarLimits, peek: bool) -> Section:
    """After ``BODY[``."""
    path, text, fields = _section_spec(scanner, limits)
    scanner.expect(b"]")
    return Section(path, text, fields, _partial(scanner), peek)


def _binary(scanner: Scanner, limits: GrammarLimits, *, peek: bool, size_only: bool) -> Section:
    """RFC 3516 §7: section-binary = "[" [section-part] "]", behind the bracket."""
    path, text, _ = _section_spec(scanner, limits)
    if text is not SectionText.ALL:
        raise SyntaxFault("BINARY takes a part number only")
    scanner.expect(b"]")
    partial = None if size_only else _partial(scanner)
    return Section(path, partial=partial, peek=peek, binary=True, size_only=size_only)


def parse_section_spec(scanner: Scanner, limits: GrammarLimits) -> Section:
    """RFC 3501 §9: section-spec, alone, as it stands in a URL (RFC 5092 §11)."""
    path, text, fields = _section_spec(scanner, limits)
    scanner.end()
    return Section(path, text, fields, peek=True)


def _section_spec(scanner: Scanner, limits: GrammarLimits) -> tuple[tuple[int, ...], SectionText, tuple[bytes, ...]]:
    path: list[int] = []
    text = SectionText.ALL
    fields: tuple[bytes, ...] = ()
    while scanner.peek().isdigit():
        path.append(scanner.nz_number())
        if len(path) > limits.section_depth:
            raise SyntaxFault("section too deep")
        if not scanner.take(b"."):
            break
    else:
        if not scanner.looking_at(b"]") and not scanner.at_end():
            text = _section_text(scanner, bool(path))
    if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        fields = _header_fields(scanner, limits)
    return tuple(path), text, fields


def _partial(scanner: Scanner) -> tuple[int, int] | None:
    """RFC 3501 §9: ["<" number "." nz-number ">"]"""
    if not scanner.take(b"<"):
        return None
    origin = scanner.number()
    scanner.expect(b".")
    octets = scanner.nz_number()
    scanner.expect(b">")
    return origin, octets


def _attribute(scanner: Scanner, limits: GrammarLimits) -> FetchItem | Section:
    if scanner.take(b"BODY["):
        return _section(scanner, limits, peek=False)
    if scanner.take(b"BODY.PEEK["):
        return _section(scanner, limits, peek=True)
    # RFC 3516 §7: "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
    for prefix, peek, size_only in _BINARY:
        if scanner.take(prefix):
            return _binary(scanner, limits, peek=peek, size_only=size_only)
    name = scanner.word().encode()
    if name == b"PREVIEW" and scanner.looking_at(b" (LAZY)"):
        # RFC 8970 §4.1: previews are there already, nothing is ever put off
        scanner.take(b" (LAZY)")
    if name in _LEGACY:
        return _LEGACY[name]
    if name in _SIMPLE:
        return _SIMPLE[name]
    raise SyntaxFault(f"unknown fetch item {name[:40].decode('ascii')}")


def _attributes(scanner: Scanner, limits: GrammarLimits) -> tuple[FetchItem | Section, ...]:
    if not scanner.take(b"("):
        for macro, expanded in MACROS.items():
            if scanner.looking_at_word(macro):
                scanner.take(macro)
                return expanded
        return (_attribute(scanner, limits),)
    items: dict[FetchItem | Section, None] = {}
    scanner.skip_spaces()
    while not scanner.take(b")"):
        # Macros inside parentheses are against RFC 3501 §6.4.5, but clients send them.
        inner = next((name for name in MACROS if scanner.looking_at_word(name)), None)
        if inner is not None:
            scanner.take(inner)
            items.update(dict.fromkeys(MACROS[inner]))
        else:
            items[_attribute(scanner, limits)] = None
        if len(items) > limits.list_items:
            raise SyntaxFault("too many fetch items")
        if not scanner.looking_at(b")"):
            scanner.space()
    if not items:
        raise SyntaxFault("no fetch items")
    return tuple(items)


def parse_partial_range(scanner: Scanner) -> PartialRange:
    """RFC 9394 §4: partial-range = nz-number ":" nz-number, or both with a minus."""
    from_end = scanner.take(b"-")
    first = scanner.nz_number()
    scanner.expect(b":")
    if scanner.take(b"-") != from_end:
        raise SyntaxFault("a partial range has two minuses or none")
    return PartialRange(first, scanner.nz_number(), from_end)


def parse_attribute_list(scanner: Scanner, limits: GrammarLimits) -> tuple[FetchItem | Section, ...]:
    """RFC 5465 §8: "(" fetch-att *(SP fetch-att) ")" """
    if not scanner.looking_at(b"("):
        raise SyntaxFault("expected a list of fetch items")
    return _attributes(scanner, limits)


def parse_fetch(scanner: Scanner, limits: GrammarLimits, messages: SequenceSet) -> FetchArguments:
    """After the message set and its space."""
    items = _attributes(scanner, limits)
    changed_since: int | None = None
    vanished = False
    partial: PartialRange | None = None
    scanner.skip_spaces()
    # RFC 4466 §2.4: fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"
    if scanner.take(b"("):
        while True:
            match scanner.word():
                case "CHANGEDSINCE":
                    scanner.space()
                    changed_since = scanner.number(MAX_NUMBER64)
                case "VANISHED":
                    vanished = True
                case "PARTIAL":
                    # RFC 9394 §3.3
                    scanner.space()
                    partial = parse_partial_range(scanner)
                case _:
                    raise SyntaxFault("unknown fetch modifier")
            if scanner.take(b")"):
                break
            scanner.space()
    scanner.end()
    if vanished and changed_since is None:
        # RFC 7162 §3.2.6
        raise SyntaxFault("VANISHED needs CHANGEDSINCE")
    return FetchArguments(messages, items, changed_since, vanished, partial)


def section_label(section: Section) -> bytes:
    """How the response names a section: ``BODY[1.HEADER.FIELDS (DATE)]<0>`` (RFC 3501 §7.4.2)."""
    if section.legacy:
        return section.legacy
    parts = [b".".join(b"%d" % number for number in section.path)] if section.path else []
    if section.text is not SectionText.ALL:
        text = section.text.value
        if section.fields:
            text += b" (" + b" ".join(build_astring(field.upper()) for field in section.fields) + b")"
        parts.append(text)
    origin = b"" if section.partial is None else b"<%d>" % section.partial[0]
    if section.binary:
        return (b"BINARY.SIZE[" if section.size_only else b"BINARY[") + b".".join(parts) + b"]" + origin
    return b"BODY[" + b".".join(parts) + b"]" + origin
