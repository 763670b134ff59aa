"""Cuts the client's stream into commands (lines and literals) before anything is parsed.

Laws:
- Bytes in, events out; no event depends on how the bytes were split.
- Memory is bounded: a line, a literal and a whole command each have a budget (smaller before login). What is beyond it is
  skipped, never kept, and a skipped literal's octets are never read as a command.
- The octets of the messages of an APPEND or REPLACE are never kept here: they pass through in pieces (``MessageData``).

RFC 3501 §2.2.1 and §4.3 (literals), RFC 7888 (LITERAL+ and what to do with a literal that is too large), RFC 3516 §4.4 (literal8
is recognised). Bare LF ends a line too, as in other servers; CR alone never does.
"""

import re
from enum import Enum, auto
from typing import Final

import attrs


@attrs.frozen
class FramingLimits:
    """Budgets in octets. The defaults are those before login."""

    line_octets: int = 8192
    """One line, without its end."""
    literal_octets: int = 4096
    """One literal that is an argument (not an APPEND's message)."""
    command_octets: int = 16384
    """All lines and literals of one command."""
    literals: int = 16
    """Literals in one command."""
    skip_octets: int = 1 << 20
    """So much of a refused command is skipped, literals (RFC 7888 §4) and endless lines alike; beyond it the connection ends."""
    message_literals: bool = False
    """Whether an APPEND's message is offered as ``MessageLiteral`` (after login)."""


@attrs.frozen
class CommandFrame:
    """A whole command: line fragments with the literals between them (``len(fragments) == len(literals) + 1``)."""

    fragments: tuple[bytes, ...]
    literals: tuple[bytes, ...] = ()


@attrs.frozen
class ContinuationNeeded:
    """The client waits for ``+`` before it sends a literal."""


@attrs.frozen
class MessageLiteral:
    """An APPEND has come to its message: call ``accept_message`` or ``refuse_message``."""

    frame: CommandFrame
    """What came so far."""
    octets: int
    synchronizing: bool


@attrs.frozen
class MessageData:
    """A piece of the accepted message."""

    data: bytes


@attrs.frozen
class MessageEnd:
    """The accepted message is complete; the rest of its command follows as a CommandFrame (one empty fragment)."""


@attrs.frozen
class RawLine:
    """A line asked for by ``next_line``."""

    line: bytes


@attrs.frozen
class FramingError:
    """A command broke a budget. It was taken out of the stream, unless ``fatal``: then nothing that follows can be trusted."""

    tag: bytes
    """Empty when not even the tag was readable."""
    text: str
    too_big: bool = False
    fatal: bool = False


FrameEvent = CommandFrame | ContinuationNeeded | MessageLiteral | MessageData | MessageEnd | FramingError


class _Mode(Enum):
    LINE = auto()
    LITERAL = auto()
    OFFERED = auto()
    MESSAGE = auto()
    MESSAGE_ENDED = auto()
    SKIP_LINE = auto()
    SKIP_LITERAL = auto()
    DEAD = auto()


# RFC 3501 §9: literal = "{" number ["+"] "}" CRLF ; RFC 3516: literal8 = "~" literal
_LITERAL: Final = re.compile(rb"~?\{([0-9]{1,20})(\+?)\}\Z")
# RFC 3501 §9: tag = 1*<any ASTRING-CHAR except "+">
_TAG: Final = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,64}) ")
# RFC 3501 §6.3.11, RFC 8508 §5: up to the mailbox
_APPEND: Final = re.compile(rb"[^ ]{1,64} +(?:append|(?:uid +)?replace +[0-9*]{1,10}) +", re.IGNORECASE)
# RFC 4469 §5: url = "URL" SP astring: this literal is an argument, and no part of a message
_FIRST_URL: Final = re.compile(rb" catenate +\((?:.* )?url +\Z", re.IGNORECASE | re.DOTALL)
_URL: Final = re.compile(rb"[ (]url +\Z", re.IGNORECASE)
_TAIL_OCTETS: Final = 32
"""Of a skipped line: enough to see the literal that ends it."""


class Framer:
    """The cutter of one connection. Feed, then take events until None."""

    def __init__(self, limits: FramingLimits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._mode = _Mode.LINE
        self._fragments: list[bytes] = []
        self._literals: list[bytes] = []
        self._spent = 0
        self._remaining = 0
        self._skipped = 0
        self._offer_synchronizing = False
        self._error: FramingError | None = None
        self._tail = b""
        self._append_tag: bytes | None = None
        """Set from the first literal of an APPEND's message on: the command's beginning is not kept."""

    def set_limits(self, limits: FramingLimits) -> None:
        """After login."""
        self._limits = limits

    def feed(self, data: bytes) -> None:
        """Add what was received; nothing is kept any more behind a fatal error."""
        if self._mode is not _Mode.DEAD:
            self._buffer += data

    def discard_buffered(self) -> None:
        """Forget what was received but not yet taken.

        RFC 3501 §6.2.1 with RFC 9051 §11.1: what was pipelined behind STARTTLS must not be taken as if it came under TLS.
        """
        self._buffer.clear()
        self._scanned = 0

    def take_buffered(self) -> bytes:
        """What was received but not yet taken, to be fed again in another form."""
        data = bytes(self._buffer)
        self.discard_buffered()
        return data

    @property
    def buffered_octets(self) -> int:
        return len(self._buffer)

    @property
    def in_command(self) -> bool:
        """Whether a command has begun and is not complete."""
        return self._mode is not _Mode.LINE or bool(self._fragments) or bool(self._buffer)

    # --- lines ---

    def _take_line(self) -> bytes | None:
        """The next line without its end; None when it is not complete. Sets SKIP_LINE when it is too long."""
        end = self._buffer.find(b"\n", self._scanned)
        limit = self._limits.line_octets
        if end < 0:
            self._scanned = len(self._buffer)
            if self._scanned > limit + 1:
                self._begin_skip_line(bytes(self._buffer[: limit + 1]))
            return None
        if end > limit + 1:
            self._begin_skip_line(bytes(self._buffer[: limit + 1]))
            return None
        stop = end - 1 if end and self._buffer[end - 1] == 13 else end
        line = bytes(self._buffer[:stop])
        del self._buffer[: end + 1]
        self._scanned = 0
        return line

    def _begin_skip_line(self, start: bytes) -> None:
        self._fail("line too long", first_line=start)
        self._mode = _Mode.SKIP_LINE
        self._scanned = 0
        self._tail = b""

    def next_line(self) -> RawLine | FramingError | None:
        """The next line as it is (answers to ``+`` in AUTHENTICATE, DONE after IDLE); only between commands."""
        if self._mode is _Mode.LINE and not self._fragments:
            line = self._take_line()
            if line is not None:
                return RawLine(line)
        if self._mode in (_Mode.SKIP_LINE, _Mode.SKIP_LITERAL):
            event = self.next_event()
            return event if isinstance(event, FramingError) else None
        return None

    # --- events ---

    def next_event(self) -> FrameEvent | None:
        """The next event, or None when more bytes are needed (or a decision about a MessageLiteral)."""
        while True:
            before = (self._mode, len(self._buffer))
            event = self._step()
            if event is not None or (self._mode, len(self._buffer)) == before:
                return event

    def _step(self) -> FrameEvent | None:
        """One transition; no event and no progress means that bytes are missing."""
        match self._mode:
            case _Mode.LINE:
                line = self._take_line()
                return None if line is None else self._handle_line(line)
            case _Mode.LITERAL:
                self._take_literal()
                return None
            case _Mode.MESSAGE:
                return self._message_piece()
            case _Mode.MESSAGE_ENDED:
                self._mode = _Mode.LINE
                return MessageEnd()
            case _Mode.SKIP_LITERAL:
                self._skip_literal()
                return None
            case _Mode.SKIP_LINE:
                return self._skip_line()
            case _:
                return None

    def _take_literal(self) -> None:
        if len(self._buffer) >= self._remaining:
            self._literals.append(bytes(self._buffer[: self._remaining]))
            del self._buffer[: self._remaining]
            self._mode = _Mode.LINE

    def _message_piece(self) -> MessageData | None:
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(data)]
        self._remaining -= len(data)
        if self._remaining == 0:
            self._mode = _Mode.MESSAGE_ENDED
        return MessageData(data)

    def _skip_literal(self) -> None:
        """Drop octets of a refused literal; the rest of its line is skipped next."""
        dropped = min(self._remaining, len(self._buffer))
        del self._buffer[:dropped]
        self._remaining -= dropped
        if not self._remaining:
            self._mode = _Mode.SKIP_LINE
            self._tail = b""
            self._scanned = 0

    def _skip_line(self) -> FramingError | None:
        """Drop octets up to the line's end, minding a literal there; the error once the command is over."""
        end = self._buffer.find(b"\n")
        self._skipped += end if end >= 0 else len(self._buffer)
        if self._skipped > self._limits.skip_octets:
            return self._give_up()
        if end < 0:
            self._tail = (self._tail + bytes(self._buffer[-_TAIL_OCTETS:]))[-_TAIL_OCTETS:]
            self._buffer.clear()
            return None
        tail = (self._tail + bytes(self._buffer[max(0, end - _TAIL_OCTETS) : end]))[-_TAIL_OCTETS:].removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._tail = b""
        literal = _LITERAL.search(tail)
        # A client that waits for "+" gets the error instead and sends nothing more of this command.
        if literal is not None and literal.group(2):
            return self._start_skip(int(literal.group(1)))
        return self._report()

    def _start_skip(self, octets: int) -> FramingError | None:
        self._skipped += octets
        if self._skipped > self._limits.skip_octets:
            return self._give_up()
        self._remaining = octets
        self._mode = _Mode.SKIP_LITERAL
        return None

    def _give_up(self) -> FramingError:
        """More than can be skipped: nothing that follows can be told from it."""
        self._mode = _Mode.DEAD
        self._buffer.clear()
        tag = self._error.tag if self._error is not None else b""
        return FramingError(tag, "too large to skip", too_big=True, fatal=True)

    def _report(self) -> FramingError | None:
        error, self._error = self._error, None
        self._reset()
        return error

    def _reset(self) -> None:
        self._fragments.clear()
        self._literals.clear()
        self._spent = self._skipped = 0
        self._append_tag = None
        self._mode = _Mode.LINE
        self._scanned = 0

    def _fail(self, text: str, *, first_line: bytes = b"", too_big: bool = False) -> None:
        if self._error is None:
            if self._append_tag is not None:
                self._error = FramingError(self._append_tag, text, too_big=too_big)
                return
            match = _TAG.match(self._fragments[0] if self._fragments else first_line)
            self._error = FramingError(match.group(1) if match else b"", text, too_big=too_big)

    def _handle_line(self, line: bytes) -> FrameEvent | None:
        self._spent += len(line)
        literal = _LITERAL.search(line)
        if literal is None:
            if self._spent > self._limits.command_octets:
                self._fail("command too long", first_line=line)
                return self._report()
            frame = CommandFrame((*self._fragments, line), tuple(self._literals))
            self._reset()
            return frame
        return self._handle_literal(line[: literal.start()], int(literal.group(1)), bool(literal.group(2)))

    def _handle_literal(self, fragment: bytes, octets: int, non_synchronizing: bool) -> FrameEvent | None:
        """A line that ends in a literal's announcement."""
        limits = self._limits
        if limits.message_literals and self._is_message(fragment):
            frame = CommandFrame((*self._fragments, fragment), tuple(self._literals))
            self._fragments.append(fragment)
            self._remaining = octets
            self._offer_synchronizing = not non_synchronizing
            self._mode = _Mode.OFFERED
            return MessageLiteral(frame, octets, not non_synchronizing)
        if (
            octets > limits.literal_octets
            or self._spent + octets > limits.command_octets
            or len(self._literals) >= limits.literals
        ):
            self._fail("literal too large", first_line=fragment, too_big=True)
            # RFC 7888 §4: a refused synchronizing literal is never sent; a non-synchronizing one comes anyway
            return self._start_skip(octets) if non_synchronizing else self._report()
        self._spent += octets
        self._fragments.append(fragment)
        self._remaining = octets
        self._mode = _Mode.LITERAL
        return None if non_synchronizing else ContinuationNeeded()

    def _is_message(self, fragment: bytes) -> bool:
        """Whether this literal is (part of) an APPEND's message: not its mailbox, and not a URL."""
        if self._append_tag is not None:
            return _URL.search(fragment) is None
        first = self._fragments[0] if self._fragments else fragment
        head = _APPEND.match(first)
        if head is None:
            return False
        if not self._fragments:
            return head.end() < len(first) and _FIRST_URL.search(fragment) is None
        return _URL.search(fragment) is None

    # --- decisions about an APPEND's message ---

    def accept_message(self) -> None:
        """Let the offered message pass as MessageData."""
        if self._mode is not _Mode.OFFERED:
            raise RuntimeError("no message was offered")
        if self._append_tag is None:
            match = _TAG.match(self._fragments[0])
            self._append_tag = match.group(1) if match else b""
        self._fragments.clear()
        self._literals.clear()
        self._spent = 0
        self._mode = _Mode.MESSAGE if self._remaining else _Mode.MESSAGE_ENDED

    def refuse_message(self, text: str = "message refused", *, too_big: bool = False) -> FramingError | None:
        """Refuse the offered message: skipped if it comes anyway. An error is returned at once, or comes as an event after the skip."""
        if self._mode is not _Mode.OFFERED:
            raise RuntimeError("no message was offered")
        self._fail(text, too_big=too_big)
        return self._report() if self._offer_synchronizing else self._start_skip(self._remaining)
