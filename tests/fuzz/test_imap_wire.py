"""Any octets in any state of an IMAP connection give an event or a protocol error, nothing else, in bounded memory.

What the session does with its pure core is done here without the session: framing, grammar, table, compression, with the switches
between them (log-in and its end, STARTTLS, COMPRESS, IDLE, AUTHENTICATE). The suite runs it with hypothesis; with atheris installed,
`python tests/fuzz/test_imap_wire.py CORPUS` runs it for as long as one likes.
"""

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from services.imap.protocol.compression import PIECE_OCTETS, Compression, CompressionBroken
from services.imap.protocol.framing import (
    CommandFrame,
    ContinuationNeeded,
    Framer,
    FramingError,
    FramingLimits,
    MessageData,
    MessageEnd,
    MessageLiteral,
    RawLine,
)
from services.imap.protocol.grammar import CommandError, parse_append_command, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.state import State, Verdict, judge

EARLY = FramingLimits(line_octets=300, literal_octets=100, command_octets=300, literals=4, skip_octets=2000)
LATE = FramingLimits(
    line_octets=500, literal_octets=400, command_octets=1000, literals=6, skip_octets=4000, message_literals=True
)
GRAMMAR = GrammarLimits(set_ranges=50, list_items=20, section_depth=10, search_depth=6, search_keys=40)


def check_answer(error: CommandError) -> None:
    """A refused command has one line for an answer."""
    assert error.reply.status in ("BAD", "NO")
    line = error.reply.render(error.tag)
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1


class Wire:
    """One connection without I/O. ``feed`` raises nothing."""

    def __init__(self, state: State = State.NOT_AUTHENTICATED) -> None:
        self.state = state
        self.framer = Framer(EARLY if state is State.NOT_AUTHENTICATED else LATE)
        self.compression: Compression | None = None
        self.raw_lines = 0
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Take what was received; act on every event."""
        if self.compression is None:
            self._frame(data)
            return
        self.compression.feed(data)
        try:
            while self.compression is not None and (piece := self.compression.take()):
                assert len(piece) <= PIECE_OCTETS
                self._frame(piece)
        except CompressionBroken:
            self.ended = True

    def _frame(self, data: bytes) -> None:
        self.framer.feed(data)
        while not self.ended:
            event = self.framer.next_line() if self.raw_lines else self.framer.next_event()
            if event is None:
                break
            self._act(event)
        # a whole line and the literal behind it, and what came last
        assert self.framer.buffered_octets <= LATE.line_octets + LATE.literal_octets + len(data)

    def _act(self, event: object) -> None:
        match event:
            case RawLine():
                self.raw_lines -= 1
            case FramingError():
                self.ended |= event.fatal
                self.raw_lines = 0
            case CommandFrame():
                self._run(event)
            case MessageLiteral():
                self._offered(event)
            case ContinuationNeeded() | MessageData() | MessageEnd():
                pass
            case _:
                raise AssertionError(event)

    def _offered(self, offer: MessageLiteral) -> None:
        try:
            parse_append_command(offer.frame, GRAMMAR)
        except CommandError as error:
            check_answer(error)
            refused = self.framer.refuse_message()
            self.ended |= refused is not None and refused.fatal
        else:
            self.framer.accept_message()

    def _run(self, frame: CommandFrame) -> None:
        try:
            command = parse_command(frame, GRAMMAR)
        except CommandError as error:
            check_answer(error)
            return
        if judge(command.name, self.state, read_only=False) is not Verdict.ALLOWED:
            return
        match command.name:
            case "LOGIN":
                self._enter(State.AUTHENTICATED)
            case "AUTHENTICATE":
                self.raw_lines = 1
            case "SELECT" | "EXAMINE":
                self.state = State.SELECTED
            case "CLOSE" | "UNSELECT":
                self.state = State.AUTHENTICATED
            case "UNAUTHENTICATE":
                self._enter(State.NOT_AUTHENTICATED)
                if self.compression is not None:
                    rest, self.compression = self.compression.rest(), None
                    self.framer.feed(rest)
            case "STARTTLS":
                self.framer.discard_buffered()
            case "COMPRESS" if self.compression is None:
                self.compression = Compression()
                self.compression.feed(self.framer.take_buffered())
            case "IDLE":
                self.raw_lines = 1
            case "LOGOUT":
                self.ended = True

    def _enter(self, state: State) -> None:
        self.state = state
        self.framer.set_limits(EARLY if state is State.NOT_AUTHENTICATED else LATE)


_WORDS = [
    b"a ", b"NOOP\r\n", b"a LOGIN x y\r\n", b"a LOGIN {1}\r\nx {1+}\r\ny\r\n", b"a SELECT INBOX\r\n", b"a UNAUTHENTICATE\r\n",
    b"a AUTHENTICATE PLAIN\r\n", b"AGEAYg==\r\n", b"*\r\n", b"a STARTTLS\r\n", b"a COMPRESS DEFLATE\r\n", b"a IDLE\r\n", b"DONE\r\n",
    b"a APPEND INBOX (\\Seen) {5+}\r\nhello\r\n", b"a APPEND {5}\r\nINBOX {3}\r\nabc\r\n", b"a APPEND x ", b"{10+}\r\n", b"{99999+}\r\n",
    b"a UID FETCH 1:* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (A B)]<0.9>)\r\n", b"a FETCH ", b"1:*", b",", b"(", b")", b'"', b"\\",
    b"a SEARCH OR (NOT SEEN) CHARSET UTF-8 TEXT {2+}\r\nhi\r\n", b"a STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen x)\r\n",
    b'a LIST (SUBSCRIBED) "" (x y) RETURN (STATUS (MESSAGES))\r\n', b'a ID ("name" NIL)\r\n', b"a ENABLE CONDSTORE\r\n",
    b"a LOGOUT\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"x" * 120, b"(" * 40, b"{1+}\r\nx" * 3,
]  # fmt: skip
_PIECES = st.lists(st.one_of(st.sampled_from(_WORDS), st.binary(max_size=30)), max_size=25)


@given(_PIECES, st.sampled_from([State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED]), st.integers(1, 60))
@settings(max_examples=300)
def test_any_octets_in_any_state(pieces, state, step):
    wire = Wire(state)
    data = b"".join(pieces)
    for start in range(0, len(data), step):
        if wire.ended:
            break
        wire.feed(data[start : start + step])


def main() -> None:
    """The same for a coverage-guided fuzzer: the first octet chooses the state, the second the pieces."""
    import atheris  # type: ignore[import-not-found]

    states = [State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED]

    def one(data: bytes) -> None:
        if len(data) < 2:
            return
        wire = Wire(states[data[0] % 3])
        step = data[1] % 64 + 1
        for start in range(2, len(data), step):
            if wire.ended:
                return
            wire.feed(data[start : start + step])

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
