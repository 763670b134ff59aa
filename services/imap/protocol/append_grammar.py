"""The arguments of APPEND, REPLACE and UID REPLACE, which come in pieces: between two pieces there is an octet stream.

RFC 3501 §6.3.11, RFC 3502 (several messages), RFC 4469 §5 (CATENATE), RFC 6855 §4 (UTF8), RFC 8508 §5 (REPLACE).

``parse_append`` reads the first piece, ``parse_append_rest`` the one behind each literal. Both give steps, in the order in which
they are to be done, and the place in the grammar from which the next piece goes on; nothing of a message is kept here. A piece
is ``offered`` when the literal of a message (or of a part of one) follows it, else the command ends with it.
"""

from enum import Enum, auto

import attrs

from services.imap.protocol.dates import parse_date_time
from services.imap.protocol.flag_grammar import parse_flag_list, without_recent
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.tokens import Scanner, SyntaxFault


class Place(Enum):
    """Where in the grammar a piece has ended."""

    BETWEEN = auto()
    """Messages may follow."""
    MESSAGE = auto()
    """At the literal of a whole message."""
    MESSAGE_UTF8 = auto()
    """The same, inside of ``UTF8 (``."""
    PART = auto()
    """At the literal of a part, inside of ``CATENATE (``."""
    PART_UTF8 = auto()
    """The same, inside of ``UTF8 (``."""


@attrs.frozen
class BeginMessage:
    """``internal_date``: seconds since 1970, None for now."""

    flags: tuple[str, ...] = ()
    internal_date: int | None = None


@attrs.frozen
class CopyUrl:
    """RFC 4469 §3: the octets that an IMAP URL points to."""

    url: bytes


@attrs.frozen
class TakeLiteral:
    """The literal that follows this piece. ``utf8``: RFC 6855 §4."""

    utf8: bool = False


@attrs.frozen
class EndMessage:
    pass


Step = BeginMessage | CopyUrl | TakeLiteral | EndMessage


@attrs.frozen
class AppendArguments:
    """``replaces``: number or UID of the message that goes (REPLACE); 0 for APPEND."""

    mailbox: str
    steps: tuple[Step, ...]
    place: Place
    replaces: int = 0


def parse_append(scanner: Scanner, limits: GrammarLimits, *, offered: bool, replacing: bool) -> AppendArguments:
    """Behind the command's name."""
    scanner.space()
    replaces = 0
    if replacing:
        # RFC 8508 §5: replace = "REPLACE" SP seq-number SP mailbox append-message; seq-number may be "*"
        replaces = -1 if scanner.take(b"*") else scanner.nz_number()
        scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    steps, place = parse_append_rest(scanner, limits, Place.BETWEEN, offered=offered)
    if not steps:
        raise SyntaxFault("expected the message as a literal")
    return AppendArguments(mailbox, steps, place, replaces)


def parse_append_rest(
    scanner: Scanner, limits: GrammarLimits, place: Place, *, offered: bool
) -> tuple[tuple[Step, ...], Place]:
    """From where the last piece ended. Raises SyntaxFault."""
    steps: list[Step] = []
    stopped = _Reader(scanner, limits, steps, offered=offered).read(place)
    return tuple(steps), stopped


class _Reader:
    def __init__(self, scanner: Scanner, limits: GrammarLimits, steps: list[Step], *, offered: bool) -> None:
        self._scanner = scanner
        self._limits = limits
        self._steps = steps
        self._offered = offered

    def read(self, place: Place) -> Place:
        scanner = self._scanner
        if place in (Place.MESSAGE_UTF8, Place.PART_UTF8):
            scanner.expect(b")")
        if place in (Place.PART, Place.PART_UTF8):
            stopped = self._parts()
            if stopped is not None:
                return stopped
        elif place is not Place.BETWEEN:
            self._steps.append(EndMessage())
        while not self._ended():
            stopped = self._message()
            if stopped is not None:
                return stopped
        return Place.BETWEEN

    def _ended(self) -> bool:
        """Whether the command is over; spaces there are tolerated."""
        scanner = self._scanner
        if scanner.at_end():
            return not self._offered
        scanner.space()
        return scanner.at_end() and not self._offered

    def _message(self) -> Place | None:
        """RFC 3502: append-message = [SP flag-list] [SP date-time] SP literal; where it stops, None: it is complete."""
        scanner = self._scanner
        flags: tuple[str, ...] = ()
        internal_date: int | None = None
        if scanner.take(b"("):
            flags = without_recent(parse_flag_list(scanner, self._limits))
            scanner.skip_spaces()
        if scanner.peek() == b'"':
            internal_date = parse_date_time(scanner.quoted())
            if internal_date is None:
                raise SyntaxFault("not a date")
            scanner.skip_spaces()
        self._steps.append(BeginMessage(flags, internal_date))
        # RFC 4469 §5: append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"
        if scanner.take(b"CATENATE"):
            scanner.space()
            scanner.expect(b"(")
            scanner.skip_spaces()
            return self._part() or self._parts()
        if scanner.looking_at(b"UTF8"):
            self._utf8()
            return Place.MESSAGE_UTF8
        self._literal()
        return Place.MESSAGE

    def _parts(self) -> Place | None:
        """Behind a part; where it stops, None: the message is complete."""
        scanner = self._scanner
        while True:
            scanner.skip_spaces()
            if scanner.take(b")"):
                self._steps.append(EndMessage())
                return None
            stopped = self._part()
            if stopped is not None:
                return stopped

    def _part(self) -> Place | None:
        scanner = self._scanner
        if scanner.take(b"URL"):
            scanner.space()
            self._steps.append(CopyUrl(scanner.astring()))
            return None
        if scanner.looking_at(b"UTF8"):
            self._utf8()
            return Place.PART_UTF8
        scanner.expect(b"TEXT")
        scanner.space()
        self._literal()
        return Place.PART

    def _utf8(self) -> None:
        """RFC 6855 §4: utf8-literal = "UTF8" SP "(" literal8 ")"."""
        scanner = self._scanner
        scanner.expect(b"UTF8")
        scanner.space()
        scanner.expect(b"(")
        scanner.skip_spaces()
        self._literal(utf8=True)

    def _literal(self, *, utf8: bool = False) -> None:
        if not (self._offered and self._scanner.at_end()):
            raise SyntaxFault("expected the message as a literal")
        self._steps.append(TakeLiteral(utf8))
