"""The first pass: what has to change so that the message is fit for the narrower transport.

Laws: only what stands in the way is changed. A part is encoded where its octets do not fit; what is encoded already is decoded and
encoded again, never twice (RFC 3030 §3). Text with few octets above 127 becomes quoted-printable, all else base64, whichever is
shorter. Where anything changes, no label says more than is true (RFC 2045 §6.4: a multipart is 7bit when its parts are).

RFC 2045 §2.7 to §2.9, §6.2, §6.4; RFC 2046 §5.2.2, §5.2.3; RFC 1847 §2.1.
"""

from __future__ import annotations

from typing import Final

import attrs

from shared.mail.recode.goal import MAX_LINE_OCTETS, Change, Fault, Goal, Plan, Unconvertible
from shared.mail.recode.headers import ascii_header
from shared.mail.recode.walker import Body, BodyEnd, Delimiter, Entity, Filler, Header, Kind, Token, Walker
from shared.mail.transfer import IDENTITY
from shared.wire.newlines import NewlineWriter

_HIGH: Final = bytes(range(128, 256))
_WIDE_LABELS: Final = frozenset({"8bit", "8-bit", "binary"})
# RFC 2046 §5.2.2, §5.2.3
_FRAGMENTS: Final = frozenset({(b"message", b"partial"), (b"message", b"external-body")})


@attrs.define
class Facts:
    """What the octets of one body are like."""

    octets: int = 0
    high: int = 0
    """Octets above 127."""
    nul: bool = False
    bare: bool = False
    """A CR or LF without the other."""
    long: bool = False
    """A line of more than MAX_LINE_OCTETS."""
    _line: int = 0
    _held_cr: bool = False

    def add(self, data: bytes) -> None:
        """The next piece; how they are cut changes nothing."""
        if not data:
            return
        self.octets += len(data)
        if not data.isascii():
            self.high += len(data) - len(data.translate(None, _HIGH))
        self.nul = self.nul or b"\0" in data
        self._add_lines(data)

    def _add_lines(self, data: bytes) -> None:
        newlines, returns, pairs = data.count(b"\n"), data.count(b"\r"), data.count(b"\r\n")
        if self._held_cr and data.startswith(b"\n"):
            newlines -= 1
        elif self._held_cr:
            self.bare = True
        self._held_cr = data.endswith(b"\r")
        if newlines != pairs or returns - self._held_cr != pairs:
            self.bare = True
        lines = data.split(b"\n")
        # a CR at the end of a line counts here: one octet more than the line has
        if self._line + len(lines[0]) > MAX_LINE_OCTETS or max(map(len, lines)) > MAX_LINE_OCTETS:
            self._look_for_long(lines)
        self._line = len(lines[-1]) if len(lines) > 1 else self._line + len(lines[0])

    def _look_for_long(self, lines: list[bytes]) -> None:
        lengths = [len(line) for line in lines]
        lengths[0] += self._line
        whole = [length - 1 for length in lengths[:-1]]
        last = lengths[-1] - self._held_cr
        self.long = self.long or max((*whole, last)) > MAX_LINE_OCTETS

    def end(self) -> None:
        """Nothing follows."""
        self.bare = self.bare or self._held_cr


class Survey:
    """``feed`` each piece, then ``finish``; both raise Unconvertible."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._walker = Walker()
        self._newlines = NewlineWriter() if goal is not Goal.LINES else None
        self._changes = bytearray()
        self._wide: list[int] = []
        """Entities whose label says more than 7bit."""
        self._needed = False
        self._entity: Entity | None = None
        self._facts = Facts()
        self._preamble: Entity | None = None
        """A multipart of which it is not known whether it has parts."""

    def feed(self, data: bytes) -> None:
        self._take(self._walker.feed(data if self._newlines is None else self._newlines.feed(data)))

    def finish(self) -> Plan:
        if self._newlines is not None:
            self._take(self._walker.feed(self._newlines.flush()))
        self._take(self._walker.finish())
        self._settle_preamble(None)
        if self._goal is not Goal.ASCII_HEADERS:
            self._check_filler()
        if self._needed and self._goal is Goal.SEVEN_BIT:
            for index in self._wide:
                if self._changes[index] == Change.KEEP:
                    self._changes[index] = Change.LABEL_7BIT
        return Plan(self._goal, self._needed, bytes(self._changes))

    def _take(self, tokens: list[Token]) -> None:
        for token in tokens:
            match token:
                case Body(data) | Filler(data):
                    self._settle_preamble(None)
                    self._facts.add(data)
                case Header(entity, data):
                    self._settle_preamble(None)
                    self._check_filler()
                    self._take_header(entity, data)
                case BodyEnd():
                    self._take_body_end()
                case Delimiter(owner):
                    self._settle_preamble(owner)
                    self._check_filler()

    def _take_header(self, entity: Entity, block: bytes) -> None:
        self._entity = entity
        self._changes.append(Change.KEEP)
        facts = Facts()
        facts.add(block)
        facts.end()
        if self._goal is Goal.LINES:
            if facts.bare or facts.nul:
                raise Unconvertible(Fault.BARE_NEWLINE)
        elif facts.high:
            if entity.signed:
                raise Unconvertible(Fault.SIGNED)
            ascii_header(block)
            self._needed = True
        if entity.signed:
            return
        if entity.encoding in _WIDE_LABELS:
            self._wide.append(entity.index)
        if self._goal is Goal.LINES and entity.encoding == "binary" and entity.kind is not Kind.LEAF:
            self._change(entity, Change.LABEL_8BIT)

    def _take_body_end(self) -> None:
        entity = self._entity
        if entity is None:
            raise RuntimeError("a body without a header")
        self._facts.end()
        if entity.kind is Kind.MULTIPART:
            self._preamble = entity
        else:
            self._decide(entity, self._facts)
            self._facts = Facts()

    def _settle_preamble(self, owner: Entity | None) -> None:
        """What follows a multipart's header up to here is a preamble, or all that there is: then it is a part like others."""
        entity, self._preamble = self._preamble, None
        if entity is not None and owner is not entity:
            self._decide(entity, self._facts)
            self._facts = Facts()

    def _check_filler(self) -> None:
        """Preambles and what stands behind the last boundary: nobody reads it (RFC 2046 §5.1.1), so it only has to do no harm."""
        facts, self._facts = self._facts, Facts()
        facts.end()
        if self._goal is Goal.LINES and (facts.bare or facts.nul):
            raise Unconvertible(Fault.BARE_NEWLINE)
        if self._goal is Goal.SEVEN_BIT and (facts.high or facts.nul or facts.long):
            if self._entity is not None and self._entity.signed:
                raise Unconvertible(Fault.SIGNED)
            self._needed = True

    def _decide(self, entity: Entity, facts: Facts) -> None:
        if self._goal is Goal.ASCII_HEADERS:
            return
        binary = entity.encoding == "binary"
        if self._goal is Goal.LINES:
            fits = not (facts.bare or facts.nul or (binary and facts.long))
        else:
            fits = not (facts.high or facts.nul or facts.long)
        if fits:
            if self._goal is Goal.LINES and binary and not entity.signed:
                self._change(entity, Change.LABEL_8BIT if facts.high else Change.LABEL_7BIT)
            return
        if entity.signed:
            raise Unconvertible(Fault.SIGNED)
        if (entity.content_type.media, entity.content_type.subtype) in _FRAGMENTS:
            raise Unconvertible(Fault.FRAGMENT)
        self._change(entity, self._encoding(entity, facts))

    def _encoding(self, entity: Entity, facts: Facts) -> Change:
        if entity.encoding in ("base64", "quoted-printable"):
            return Change.BASE64
        if entity.encoding not in IDENTITY:
            raise Unconvertible(Fault.ENCODING)
        # three octets for one that needs it, or four for every three
        short = facts.high * 6 <= facts.octets and not facts.nul
        return Change.QUOTED_PRINTABLE if short and self._goal is Goal.SEVEN_BIT else Change.BASE64

    def _change(self, entity: Entity, change: Change) -> None:
        self._changes[entity.index] = change
        self._needed = True
