"""What a FETCH needs and how its rows are put together; decided once per command, used for every message.

RFC 3501 §6.4.5 and §7.4.2. Rows are rendered column by column with one ``%`` per message; nothing here waits or reads.
"""

from array import array
from collections.abc import Sequence
from typing import Final

import attrs

from services.imap.binary import decode_part, encoding_of, render_binary
from services.imap.protocol.arguments import FetchArguments, FetchItem, Section, SectionText
from services.imap.protocol.dates import DateTimeRenderer
from services.imap.protocol.fetch_grammar import section_label
from services.imap.updates import PLAIN, Dialect, Selected
from shared.contract.types import IndexField, IndexRow
from shared.mail.header import select_fields
from shared.mail.parts import SectionKind, resolve_section, unpack_parts

RENDERED: Final[dict[FetchItem, tuple[bytes, IndexField]]] = {
    FetchItem.ENVELOPE: (b"ENVELOPE", IndexField.ENVELOPE),
    FetchItem.BODYSTRUCTURE: (b"BODYSTRUCTURE", IndexField.BODYSTRUCTURE),
    FetchItem.BODY: (b"BODY", IndexField.BODY),
    FetchItem.PREVIEW: (b"PREVIEW", IndexField.SUMMARY),
    FetchItem.SAVEDATE: (b"SAVEDATE", IndexField.SAVED_DATE),
    FetchItem.EMAILID: (b"EMAILID", IndexField.EMAIL_ID),
    FetchItem.THREADID: (b"THREADID", IndexField.EMAIL_ID),
}
"""Items whose octets come ready from the store's index, and are kept."""
_SIMPLE: Final = {
    FetchItem.FLAGS: b"FLAGS %b",
    FetchItem.UID: b"UID %d",
    FetchItem.RFC822_SIZE: b"RFC822.SIZE %d",
    FetchItem.INTERNALDATE: b'INTERNALDATE "%b"',
    FetchItem.MODSEQ: b"MODSEQ (%d)",
    FetchItem.ENVELOPE: b"ENVELOPE %b",
    FetchItem.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
    FetchItem.BODY: b"BODY %b",
    FetchItem.PREVIEW: b"PREVIEW %b",
    FetchItem.SAVEDATE: b"SAVEDATE %b",
    FetchItem.EMAILID: b"EMAILID %b",
    FetchItem.THREADID: b"THREADID %b",
}
KINDS: Final = {
    SectionText.ALL: SectionKind.CONTENT,
    SectionText.HEADER: SectionKind.HEADER,
    SectionText.HEADER_FIELDS: SectionKind.HEADER,
    SectionText.HEADER_FIELDS_NOT: SectionKind.HEADER,
    SectionText.TEXT: SectionKind.TEXT,
    SectionText.MIME: SectionKind.MIME,
}
_render_date: Final = DateTimeRenderer()


@attrs.frozen
class Span:
    """Octets of a message that a section needs; for header fields the whole header, which is filtered afterwards."""

    start: int
    stop: int
    encoding: str = ""
    """Content-Transfer-Encoding that BINARY takes off, lower case."""

    @property
    def octets(self) -> int:
        return self.stop - self.start


class FetchPlan:
    """One FETCH command."""

    def __init__(self, arguments: FetchArguments, *, by_uid: bool, read_only: bool, dialect: Dialect = PLAIN) -> None:
        items: dict[FetchItem | Section, None] = {}
        sets_seen = not read_only and any(isinstance(item, Section) and not item.peek for item in arguments.items)
        if not dialect.by_uid and (by_uid or (dialect.modseq and sets_seen)):
            # RFC 3501 §6.4.8: UID is in every response of a UID command; RFC 7162 §3.2.4: and where \\Seen is set.
            # RFC 9586 §3.3: UIDFETCH has it in front.
            items[FetchItem.UID] = None
        items.update(dict.fromkeys(arguments.items))
        if arguments.changed_since is not None:
            # RFC 7162 §3.1.4.1: CHANGEDSINCE implies MODSEQ
            items[FetchItem.MODSEQ] = None
        self.items = [item for item in items if isinstance(item, FetchItem)]
        self.sections = [item for item in items if isinstance(item, Section)]
        self.labels = [section_label(section) for section in self.sections]
        self.rendered = [item for item in self.items if item in RENDERED]
        self.sets_seen = sets_seen
        self._by_uid = dialect.by_uid
        self.tells_flags = FetchItem.FLAGS in self.items
        self.whole_only = bool(self.sections) and all(
            not section.path and section.text is SectionText.ALL for section in self.sections
        )
        first = self.sections[0] if self.whole_only else None
        self.bodies_only = first is not None and len(self.sections) == 1 and first.partial is None and not first.binary
        """Nothing but whole messages (and what is at hand): the short way."""
        self.reads_bodies = any(section.text in (SectionText.ALL, SectionText.TEXT) for section in self.sections)
        """Whether as much may be read as the messages are large."""
        fields = IndexField(0)
        if any(section.path for section in self.sections):
            fields |= IndexField.PARTS
        if any(not section.path and section.text is not SectionText.ALL for section in self.sections):
            fields |= IndexField.HEADER_OCTETS
        self.section_fields = fields
        head = (b"* %d UIDFETCH (" if dialect.by_uid else b"* %d FETCH (") + b" ".join(
            _SIMPLE[item] for item in self.items
        )
        self._row = head + b")\r\n"
        self._head = head + (b" " if self.items else b"")
        self._whole = self._head + self.labels[0] + b" {%d}\r\n" if self.bodies_only else b""

    def render(
        self,
        selected: Selected,
        numbers: Sequence[int],
        positions: Sequence[int],
        rendered: dict[FetchItem, list[bytes]],
        lengths: Sequence[int] | None = None,
    ) -> list[bytes]:
        """Rows without sections, complete; or with sections, what comes before the first one.

        With the ``lengths`` of ``bodies_only``: what comes before their octets.
        """
        columns: list[Sequence[object]] = [
            _pick(selected.columns.uids, positions) if self._by_uid else numbers,
            *(rendered[item] if item in RENDERED else _column(selected, item, positions) for item in self.items),
        ]
        if lengths is not None:
            columns.append(lengths)
            return [self._whole % row for row in zip(*columns, strict=True)]
        template = self._head if self.sections else self._row
        return [template % row for row in zip(*columns, strict=True)]

    # --- sections ---

    def span(self, section: Section, size: int, row: IndexRow | None) -> Span | None:
        """Where a section is; None where the message has no such part."""
        if not section.path:
            if section.text is SectionText.ALL:
                start, stop = 0, size
            else:
                header = min(row.header_octets, size) if row is not None else size
                start, stop = (header, size) if section.text is SectionText.TEXT else (0, header)
        else:
            parts = unpack_parts(row.parts) if row else ()
            found = resolve_section(parts, section.path, KINDS[section.text])
            if found is None:
                return None
            start, stop = found
            if section.binary:
                return Span(start, stop, encoding_of(parts, section.path))
        if section.partial is not None and not section.fields and not section.binary:
            # RFC 3501 §6.4.5: a partial that starts beyond the end is an empty string
            start = min(start + section.partial[0], stop)
            stop = min(start + section.partial[1], stop)
        return Span(start, stop)

    def finish_rows(self, octets: "Sequence[bytes | None]", spans: "Sequence[Span | None]") -> list[bytes]:
        """What was read of a message's sections, as it goes out: label, octets, and a space between two sections.

        Raises UnknownEncoding.
        """
        rows = []
        for index, (section, piece, span) in enumerate(zip(self.sections, octets, spans, strict=True)):
            head = (b" " if index else b"") + self.labels[index]
            if span is None or piece is None:
                rows.append(head + (b" 0" if section.size_only else b" NIL"))
            elif section.binary:
                rows.append(head + render_binary(section, decode_part(piece, span.encoding)))
            else:
                finished = self.finish(section, piece)
                rows.append(b"%b {%d}\r\n%b" % (head, len(finished), finished))
        return rows

    @staticmethod
    def finish(section: Section, octets: bytes) -> bytes:
        """What was read, as the section's octets; not for BINARY."""
        if section.fields:
            exclude = section.text is SectionText.HEADER_FIELDS_NOT
            octets = select_fields(octets, 0, len(octets), section.fields, exclude)
            if section.partial is not None:
                octets = octets[section.partial[0] : section.partial[0] + section.partial[1]]
        # RFC 3501 §9: CHAR8 has no NUL; a stray one becomes an octet of the same length, as in other servers
        return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


def _pick(column: "array[int]", positions: Sequence[int]) -> Sequence[int]:
    if isinstance(positions, range):
        return column[positions.start : positions.stop]
    return [column[position] for position in positions]


def _column(selected: Selected, item: FetchItem, positions: Sequence[int]) -> Sequence[object]:
    columns = selected.columns
    match item:
        case FetchItem.UID:
            return _pick(columns.uids, positions)
        case FetchItem.RFC822_SIZE:
            return _pick(columns.sizes, positions)
        case FetchItem.MODSEQ:
            return _pick(columns.modseqs, positions)
        case FetchItem.INTERNALDATE:
            return [_render_date(seconds) for seconds in _pick(columns.dates, positions)]
        case _:
            return _flag_column(selected, positions)


def _flag_column(selected: Selected, positions: Sequence[int]) -> Sequence[bytes]:
    columns, first_recent = selected.columns, selected.first_recent_uid
    render = columns.render_flags
    flags = _pick(columns.flags, positions)
    uids = _pick(columns.uids, positions)
    if not len(uids) or uids[-1] < first_recent:
        return [render(bits) for bits in flags]
    return [render(bits, uid >= first_recent) for bits, uid in zip(flags, uids, strict=True)]
