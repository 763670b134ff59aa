"""APPEND and REPLACE as they come: every example of the RFCs, what is refused, arbitrary octets in arbitrary pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol.append_grammar import (
    AppendArguments,
    BeginMessage,
    CopyUrl,
    EndMessage,
    Place,
    TakeLiteral,
)
from services.imap.protocol.framing import (
    CommandFrame,
    ContinuationNeeded,
    Framer,
    FramingError,
    FramingLimits,
    MessageLiteral,
)
from services.imap.protocol.grammar import CommandError, parse_append_command, parse_append_piece, parse_command
from services.imap.protocol.limits import GrammarLimits
from shared.testing.splits import splits_of

LIMITS = GrammarLimits()
WIDE = FramingLimits(
    line_octets=1 << 16, literal_octets=1 << 16, command_octets=1 << 18, literals=100, message_literals=True,
    skip_octets=1 << 20,
)  # fmt: skip
SEEN_DRAFT = ("\\Seen", "\\Draft", "$MDNSent")
PLAIN = (BeginMessage(), TakeLiteral(), EndMessage())


def run(pieces):
    """Mailbox, number to be replaced and all steps of the one command that the pieces hold; literals are taken."""
    framer = Framer(WIDE)
    first, steps, place = None, [], Place.BETWEEN
    for piece in pieces:
        framer.feed(piece)
        while (event := framer.next_event()) is not None:
            if not isinstance(event, CommandFrame | MessageLiteral):
                assert not isinstance(event, FramingError), event
                continue
            offered = isinstance(event, MessageLiteral)
            frame = event.frame if offered else event
            if first is None:
                command = parse_append_command(frame, LIMITS) if offered else parse_command(frame, LIMITS)
                first = command.arguments
                assert isinstance(first, AppendArguments)
                steps += first.steps
                place = first.place
            else:
                more, place = parse_append_piece(frame, LIMITS, place, offered=offered)
                steps += more
            if offered:
                framer.accept_message()
            else:
                assert place is Place.BETWEEN
                return first.mailbox, first.replaces, tuple(steps)
    raise AssertionError("the command did not end")


def text(octets):
    return b"{%d}\r\n" % len(octets) + octets


EXAMPLES = {
    # RFC 3501 §6.3.11
    b"A003 APPEND saved-messages (\\Seen) " + text(b"x" * 310): (
        "saved-messages",
        0,
        (BeginMessage(("\\Seen",)), TakeLiteral(), EndMessage()),
    ),
    b'a append {5+}\r\nin&-x (\\Recent $A) "17-Jul-1996 02:44:25 -0700" ' + text(b"x"): (
        "in&x",
        0,
        (BeginMessage(("$A",), 837596665), TakeLiteral(), EndMessage()),
    ),
    # RFC 3502 §6.3.11
    b"A003 APPEND saved-messages (\\Seen) "
    + text(b"x" * 329)
    + b' (\\Seen) " 7-Feb-1994 22:43:04 -0800" '
    + text(b"y" * 295): (
        "saved-messages",
        0,
        (
            BeginMessage(("\\Seen",)),
            TakeLiteral(),
            EndMessage(),
            BeginMessage(("\\Seen",), 760689784),
            TakeLiteral(),
            EndMessage(),
        ),
    ),
    # RFC 4469 appendix A, examples 1, 2 and 4
    b'A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER" TEXT '
    + text(b"b" * 42)
    + b' URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME" URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1" TEXT '
    + text(b"b" * 42)
    + b' URL "/Drafts;UIDVALIDITY=385759045/;UID=30" TEXT '
    + text(b"b" * 44)
    + b")": (
        "Drafts",
        0,
        (
            BeginMessage(SEEN_DRAFT),
            CopyUrl(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"),
            TakeLiteral(),
            CopyUrl(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME"),
            CopyUrl(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1"),
            TakeLiteral(),
            CopyUrl(b"/Drafts;UIDVALIDITY=385759045/;UID=30"),
            TakeLiteral(),
            EndMessage(),
        ),
    ),
    b"A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (TEXT "
    + text(b"h" * 738)
    + b' URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=2.MIME" TEXT '
    + text(b"b" * 44)
    + b")": (
        "Drafts",
        0,
        (
            BeginMessage(SEEN_DRAFT),
            TakeLiteral(),
            CopyUrl(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=2.MIME"),
            TakeLiteral(),
            EndMessage(),
        ),
    ),
    # RFC 8508 §3.2, §3.3, §4.2
    b"A003 REPLACE 4 Drafts (\\Seen \\Draft) " + text(b"x" * 312): (
        "Drafts",
        4,
        (BeginMessage(("\\Seen", "\\Draft")), TakeLiteral(), EndMessage()),
    ),
    b"A004 UID REPLACE 2000 Drafts (\\Seen \\Draft) " + text(b"x" * 350): (
        "Drafts",
        2000,
        (BeginMessage(("\\Seen", "\\Draft")), TakeLiteral(), EndMessage()),
    ),
    b"A011 UID REPLACE 3002 Drafts CATENATE (TEXT " + text(b"x" * 71) + b' URL "/Drafts/;UID=3002")': (
        "Drafts",
        3002,
        (BeginMessage(), TakeLiteral(), CopyUrl(b"/Drafts/;UID=3002"), EndMessage()),
    ),
    # RFC 6855 §4, in both places
    b"a APPEND INBOX UTF8 (~" + text(b"x") + b")": ("INBOX", 0, (BeginMessage(), TakeLiteral(utf8=True), EndMessage())),
    b"a APPEND INBOX CATENATE (UTF8 (~" + text(b"x") + b") TEXT " + text(b"") + b") (\\Seen) " + text(b"y"): (
        "INBOX",
        0,
        (
            BeginMessage(),
            TakeLiteral(utf8=True),
            TakeLiteral(),
            EndMessage(),
            BeginMessage(("\\Seen",)),
            TakeLiteral(),
            EndMessage(),
        ),
    ),
    # RFC 3516 §4.4
    b"a APPEND INBOX ~" + text(b"\0"): ("INBOX", 0, PLAIN),
    # without any literal of a message, and URLs as literals among literals of text
    b"a APPEND INBOX CATENATE (URL /x/;UID=1 URL {8+}\r\n/x/;UID=)": (
        "INBOX",
        0,
        (BeginMessage(), CopyUrl(b"/x/;UID=1"), CopyUrl(b"/x/;UID="), EndMessage()),
    ),
    b"a APPEND {3+}\r\nURL CATENATE (URL {2+}\r\n/x TEXT "
    + text(b"t")
    + b" URL {2+}\r\n/y) CATENATE (TEXT "
    + text(b"u")
    + b")": (
        "URL",
        0,
        (
            BeginMessage(),
            CopyUrl(b"/x"),
            TakeLiteral(),
            CopyUrl(b"/y"),
            EndMessage(),
            BeginMessage(),
            TakeLiteral(),
            EndMessage(),
        ),
    ),
    # a mailbox of that name
    b"a APPEND URL " + text(b"x"): ("URL", 0, PLAIN),
    b"a REPLACE * x " + text(b"x"): ("x", -1, PLAIN),
}


@pytest.mark.parametrize("data", EXAMPLES)
def test_examples(data):
    for pieces in splits_of(data + b"\r\n"):
        assert run(pieces) == EXAMPLES[data], pieces


def test_every_example_with_literals_that_do_not_wait():
    for data, expected in EXAMPLES.items():
        assert run([data.replace(b"}\r\n", b"+}\r\n").replace(b"++", b"+") + b"\r\n"]) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"a APPEND INBOX",
        b"a APPEND INBOX ",
        b"a APPEND INBOX (\\Seen)",
        b'a APPEND INBOX "a message"',
        b"a APPEND INBOX CATENATE ()",
        b"a APPEND INBOX CATENATE (TEXT x)",
        b"a APPEND INBOX CATENATE (URL x",
        b"a APPEND INBOX CATENATE (URL x) y",
        b"a APPEND INBOX (\\Nonsense) {1+}\r\nx",
        b'a APPEND INBOX "1-Foo-2024 00:00:00 +0000" {1+}\r\nx',
        b"a APPEND INBOX {1+}\r\nx y",
        b"a APPEND INBOX {1+}\r\nx(\\Seen) {1+}\r\ny z",
        b"a APPEND INBOX UTF8 (~{1+}\r\nx",
        b"a APPEND INBOX CATENATE (TEXT {1+}\r\nx FOO {1+}\r\nx)",
        b"a REPLACE 0 INBOX {1+}\r\nx",
        b"a REPLACE 1:2 INBOX {1+}\r\nx",
        b"a REPLACE 1 INBOX CATENATE (URL x) CATENATE (URL y)",
    ],
)
def test_wrong(data):
    with pytest.raises(CommandError) as caught:
        run([data + b"\r\n"])
    assert caught.value.reply.status == "BAD"


_WORDS = st.sampled_from(
    [
        *(
            b"a APPEND INBOX",
            b"a APPEND {1+}\r\nx",
            b"a UID REPLACE 1 x",
            b" CATENATE (",
            b" URL",
            b" TEXT",
            b" UTF8 (",
        ),
        *(b"(\\Seen)", b" ", b")", b"{3+}\r\n", b"~{2}\r\n", b"{0+}\r\n", b"\r\n", b'"x"', b"/;UID=1", b"x"),
    ]
)


@given(st.lists(st.one_of(_WORDS, st.binary(max_size=6)), max_size=30), st.integers(0, 2**16))
def test_any_octets_give_steps_or_an_answer(words, seed):
    def outcomes(pieces):
        framer, place, found = Framer(WIDE), None, []
        for piece in pieces:
            framer.feed(piece)
            while (event := framer.next_event()) is not None:
                if not isinstance(event, CommandFrame | MessageLiteral):
                    if isinstance(event, FramingError | ContinuationNeeded):
                        place = None if isinstance(event, FramingError) else place
                    continue
                offered = isinstance(event, MessageLiteral)
                frame = event.frame if offered else event
                try:
                    if place is not None:
                        steps, place = parse_append_piece(frame, LIMITS, place, offered=offered)
                    elif offered:
                        arguments = parse_append_command(frame, LIMITS).arguments
                        steps, place = arguments.steps, arguments.place
                    else:
                        steps = parse_command(frame, LIMITS).arguments
                    found.append(steps)
                except CommandError as error:
                    found.append(error.reply)
                    if offered:
                        framer.refuse_message()
                        place = None
                        continue
                if offered:
                    framer.accept_message()
                else:
                    place = None
        return found

    data = b"".join(words)
    whole = outcomes([data] if data else [])
    for pieces in splits_of(data, seed=seed):
        assert outcomes(pieces) == whole
