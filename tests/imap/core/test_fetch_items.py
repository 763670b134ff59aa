"""FETCH items of the extensions: the RFCs' examples, what is refused, and parse(render(x)) == x."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.binary import UnknownEncoding, decode_part, render_binary
from services.imap.protocol.arguments import FetchItem, Section, SectionText
from services.imap.protocol.fetch_grammar import section_label
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits


def items(text):
    return parse_command(CommandFrame((b"a FETCH 1 " + text,)), GrammarLimits()).arguments.items


def binary(*path, partial=None, peek=False, size_only=False):
    return Section(path, partial=partial, peek=peek or size_only, binary=True, size_only=size_only)


EXAMPLES = {
    # RFC 3516 §4.2 and §7, RFC 9051 §6.4.5
    b"BINARY[1]": (binary(1),),
    b"binary.peek[1.2.3]<5.10>": (binary(1, 2, 3, partial=(5, 10), peek=True),),
    b"(BINARY.SIZE[2] BINARY[])": (binary(2, size_only=True), binary()),
    # RFC 8970 §5
    b"(RFC822.SIZE PREVIEW)": (FetchItem.RFC822_SIZE, FetchItem.PREVIEW),
    b"(ENVELOPE PREVIEW (LAZY))": (FetchItem.ENVELOPE, FetchItem.PREVIEW),
    b"(PREVIEW (LAZY) UID)": (FetchItem.PREVIEW, FetchItem.UID),
    b"PREVIEW": (FetchItem.PREVIEW,),
    b"PREVIEW (LAZY) (CHANGEDSINCE 5)": (FetchItem.PREVIEW,),
    # RFC 8514 §4.2, RFC 8474 §5.3
    b"(SAVEDATE)": (FetchItem.SAVEDATE,),
    b"(emailid threadid)": (FetchItem.EMAILID, FetchItem.THREADID),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples(text):
    assert items(text) == EXAMPLES[text]


@pytest.mark.parametrize(
    "text",
    [
        *(b"BINARY", b"BINARY[", b"BINARY[1", b"BINARY[1.]x", b"BINARY[TEXT]", b"BINARY[1.MIME]", b"BINARY[0]"),
        *(
            b"BINARY.SIZE[1]<0.1>",
            b"BINARY[1]<0.0>",
            b"BINARY.SIZE",
            b"PREVIEW (EAGER)",
            b"PREVIEW (LAZY",
            b"EMAILID[1]",
        ),
    ],
)
def test_wrong(text):
    with pytest.raises(CommandError) as caught:
        items(text)
    assert caught.value.reply.status == "BAD"


_PATHS = st.lists(st.integers(1, 2**32 - 1), max_size=5).map(tuple)
_PARTIALS = st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))


@given(_PATHS, _PARTIALS, st.booleans(), st.sampled_from(["BODY", "BINARY", "BINARY.SIZE"]))
def test_there_and_back(path, partial, peek, kind):
    section = Section(
        path,
        partial=None if kind == "BINARY.SIZE" else partial,
        peek=peek or kind == "BINARY.SIZE",
        binary=kind != "BODY",
        size_only=kind == "BINARY.SIZE",
    )
    label = section_label(section)
    asked = label
    if section.partial is not None:
        # RFC 3501 §7.4.2: the response has the origin only
        assert label.endswith(b"<%d>" % section.partial[0])
        asked = label[: label.index(b"<")] + b"<%d.%d>" % section.partial
    if peek and kind != "BINARY.SIZE":
        asked = asked.replace(b"[", b".PEEK[", 1)
    assert items(asked) == (section,)


@given(st.binary(max_size=60), st.sampled_from([b"BINARY", b"BINARY[", b"BINARY.SIZE[", b"PREVIEW (", b"BODY["]))
def test_any_octets_give_items_or_an_answer(rest, start):
    answered = None
    try:
        items(start + rest.replace(b"\n", b""))
    except CommandError as error:
        answered = error.reply.status
    assert answered in (None, "BAD", "NO")


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(1, 60))
def test_what_is_told_is_what_comes(decoded, origin, octets):
    # RFC 3516 §4.3: the size is that of the octets; literal8 exactly where there is a NUL
    assert render_binary(binary(1, size_only=True), decoded) == b" %d" % len(decoded)
    for section in (binary(1), binary(1, partial=(origin, octets))):
        chosen = decoded if section.partial is None else decoded[origin : origin + octets]
        tilde = b"~" if b"\0" in chosen else b""
        assert render_binary(section, decoded) == b" %b{%d}\r\n%b" % (tilde, len(chosen), chosen)


def test_unknown_encodings():
    with pytest.raises(UnknownEncoding):
        decode_part(b"x", "x-uuencode")


def test_texts_of_sections_keep_their_labels():
    assert section_label(Section((1,), SectionText.MIME)) == b"BODY[1.MIME]"
