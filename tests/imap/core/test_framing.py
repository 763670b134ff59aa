"""The framer: the same events for any split, budgets kept, refused literals never read as commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from shared.testing.splits import splits_of

LIMITS = FramingLimits(
    line_octets=100,
    literal_octets=50,
    command_octets=200,
    literals=3,
    skip_octets=1000,
    message_literals=True,
)
NEXT = CommandFrame((b"z NOOP",))


def run(framer, pieces, *, accept=True):
    """All events; continuations are remembered as events, message pieces are joined."""
    events = []
    for piece in pieces:
        framer.feed(piece)
        while (event := framer.next_event()) is not None:
            if isinstance(event, MessageData) and events and isinstance(events[-1], MessageData):
                events[-1] = MessageData(events[-1].data + event.data)
                continue
            events.append(event)
            if isinstance(event, MessageLiteral):
                if accept:
                    framer.accept_message()
                elif (error := framer.refuse_message(too_big=True)) is not None:
                    events.append(error)
    return events


def append(octets, fragments=(b"a APPEND INBOX ",), literals=(), *, synchronizing=False):
    return MessageLiteral(CommandFrame(fragments, literals), octets, synchronizing)


CASES = {
    "line": (b"a NOOP\r\n", [CommandFrame((b"a NOOP",))]),
    "bare lf": (b"a NOOP\n", [CommandFrame((b"a NOOP",))]),
    "empty line": (b"\r\n", [CommandFrame((b"",))]),
    "two": (b"a NOOP\r\nb NOOP\r\n", [CommandFrame((b"a NOOP",)), CommandFrame((b"b NOOP",))]),
    "literal": (
        b"a LOGIN {3}\r\nfoo {3}\r\nbar\r\n",
        [ContinuationNeeded(), ContinuationNeeded(), CommandFrame((b"a LOGIN ", b" ", b""), (b"foo", b"bar"))],
    ),
    "literal+": (b"a LOGIN {3+}\r\nf\r\n {0+}\r\n\r\n", [CommandFrame((b"a LOGIN ", b" ", b""), (b"f\r\n", b""))]),
    "literal8": (b"a X ~{2+}\r\n\0\0\r\n", [CommandFrame((b"a X ", b""), (b"\0\0",))]),
    "no literal inside": (b"a X {3} y\r\n", [CommandFrame((b"a X {3} y",))]),
    "message": (
        b"a APPEND INBOX {6+}\r\na\r\nb\r\n\r\n",
        [
            append(6),
            MessageData(b"a\r\nb\r\n"),
            MessageEnd(),
            CommandFrame((b"",)),
        ],
    ),
    "sync message": (
        b"a append INBOX (\\Seen) {2}\r\nhi\r\n",
        [
            append(2, (b"a append INBOX (\\Seen) ",), synchronizing=True),
            MessageData(b"hi"),
            MessageEnd(),
            CommandFrame((b"",)),
        ],
    ),
    "empty message": (b"a APPEND INBOX {0+}\r\n\r\n", [append(0), MessageEnd(), CommandFrame((b"",))]),
    "message looks like commands": (
        b"a APPEND INBOX {14+}\r\nx DELETE foo\r\n\r\n",
        [
            append(14),
            MessageData(b"x DELETE foo\r\n"),
            MessageEnd(),
            CommandFrame((b"",)),
        ],
    ),
    "mailbox as literal": (
        b"a APPEND {5+}\r\nINBOX {2+}\r\nhi\r\n",
        [
            append(2, (b"a APPEND ", b" "), (b"INBOX",)),
            MessageData(b"hi"),
            MessageEnd(),
            CommandFrame((b"",)),
        ],
    ),
    "second message": (
        b"a APPEND INBOX {1+}\r\nx {1+}\r\ny\r\n",
        [
            append(1),
            MessageData(b"x"),
            MessageEnd(),
            append(1, (b" ",)),
            MessageData(b"y"),
            MessageEnd(),
            CommandFrame((b"",)),
        ],
    ),
    "long line": (b"x" * 200 + b"\r\n", [FramingError(b"", "line too long")]),
    "long line with tag": (b"a X " + b"x" * 200 + b"\r\n", [FramingError(b"a", "line too long")]),
    "long line with literal": (
        b"a X " + b"x" * 200 + b"{8+}\r\nb NOOP\r\n\r\n",
        [FramingError(b"a", "line too long")],
    ),
    "large literal, waiting": (b"a X {51}\r\n", [FramingError(b"a", "literal too large", too_big=True)]),
    "large literal, coming": (
        b"a X {54+}\r\n" + b"b NOOP\r\nc" * 6 + b" y {9+}\r\nd NOOP\r\nx\r\n",
        [FramingError(b"a", "literal too large", too_big=True)],
    ),
    "too many literals": (
        b"a X" + b" {1+}\r\nx" * 4 + b"\r\n",
        [FramingError(b"a", "literal too large", too_big=True)],
    ),
    "command too long": (
        b"a X {50+}\r\n" + b"x" * 50 + b" {50+}\r\n" + b"x" * 50 + b" " * 99 + b"\r\n",
        [FramingError(b"a", "command too long")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_same_events_for_any_split(name):
    data, expected = CASES[name]
    for pieces in splits_of(data + b"z NOOP\r\n"):
        assert run(Framer(LIMITS), pieces) == [*expected, NEXT], pieces


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_refused_message_is_out_of_the_stream(plus):
    # RFC 7888 §4: what comes anyway is skipped, what waits for "+" is never sent
    body = b"x DELETE foo\r\n\r\n" if plus else b""
    data = b"a APPEND INBOX {14" + plus + b"}\r\n" + body + b"z NOOP\r\n"
    offer = append(14, synchronizing=not plus)
    for pieces in splits_of(data):
        error = FramingError(b"a", "message refused", too_big=True)
        assert run(Framer(LIMITS), pieces, accept=False) == [offer, error, NEXT]


def test_literal_that_is_too_large_to_skip_is_fatal():
    framer = Framer(LIMITS)
    framer.feed(b"a X {1001+}\r\nb NOOP\r\n")
    assert framer.next_event() == FramingError(b"a", "too large to skip", too_big=True, fatal=True)
    assert framer.next_event() is None


@pytest.mark.parametrize("piece", [b"x" * 90, b"{5+}\r\nabcde "])
def test_a_command_without_end_is_fatal_and_nothing_is_kept(piece):
    framer = Framer(LIMITS)
    framer.feed(b"a X ")
    events = []
    for _ in range(400):
        framer.feed(piece)
        while (event := framer.next_event()) is not None:
            events.append(event)
    assert events == [FramingError(b"a", "too large to skip", too_big=True, fatal=True)]
    framer.feed(b"\r\nb NOOP\r\n")
    assert framer.next_event() is None
    assert framer.next_line() is None
    assert framer.buffered_octets == 0


def test_before_login_no_message_is_offered():
    framer = Framer(FramingLimits())
    framer.feed(b"a APPEND INBOX {9999999+}\r\n")
    event = framer.next_event()
    assert isinstance(event, FramingError)
    assert event.fatal


def test_raw_lines_between_commands():
    framer = Framer(LIMITS)
    framer.feed(b"a IDLE\r\nDO")
    assert framer.next_event() == CommandFrame((b"a IDLE",))
    assert framer.next_line() is None
    framer.feed(b"NE {3}\r\nb NOOP\r\n")
    assert framer.next_line() == RawLine(b"DONE {3}")
    assert framer.next_event() == CommandFrame((b"b NOOP",))


def test_raw_line_too_long():
    framer = Framer(LIMITS)
    framer.feed(b"x" * 300)
    assert framer.next_line() is None
    framer.feed(b"\r\nz NOOP\r\n")
    assert isinstance(framer.next_line(), FramingError)
    assert framer.next_event() == NEXT


def test_what_is_behind_starttls_can_be_forgotten():
    framer = Framer(LIMITS)
    framer.feed(b"a STARTTLS\r\nb LOGIN x y\r\n")
    framer.next_event()
    assert framer.buffered_octets == 13
    framer.discard_buffered()
    framer.feed(b"z NOOP\r\n")
    assert framer.next_event() == NEXT


_PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\r\n", b"{3+}\r\n", b"{3}\r\n", b"{500+}\r\n", b"a APPEND INBOX {5+}\r\n", b"\n", b"{1+}"]),
    ),
    max_size=30,
)


@given(_PIECES, st.booleans())
def test_any_bytes_give_events_in_bounded_memory(pieces, accept):
    framer = Framer(LIMITS)
    for event in run(framer, pieces, accept=accept):
        assert isinstance(
            event,
            CommandFrame | ContinuationNeeded | MessageLiteral | MessageData | MessageEnd | FramingError,
        )
        if isinstance(event, CommandFrame):
            assert sum(map(len, event.fragments)) + sum(map(len, event.literals)) <= LIMITS.command_octets
            assert len(event.fragments) == len(event.literals) + 1


@given(_PIECES, st.integers(0, 2**16))
def test_events_do_not_depend_on_the_split(pieces, seed):
    data = b"".join(pieces)
    whole = run(Framer(LIMITS), [data] if data else [])
    for split in splits_of(data, seed=seed):
        assert run(Framer(LIMITS), split) == whole
