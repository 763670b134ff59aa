"""Messages made fit for 7-bit hops and for lines: what arrives decodes to what was written, whatever the split."""

import email
import email.policy
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.recode.converter import Converter
from shared.mail.recode.goal import (
    MAX_DEPTH,
    MAX_FIELD_OCTETS,
    MAX_FIELDS,
    MAX_HEADER_OCTETS,
    MAX_PARTS,
    Change,
    Fault,
    Goal,
    Plan,
    Unconvertible,
)
from shared.mail.recode.survey import Survey
from shared.mail.recode.walker import Walker

TEXT = "안녕하세요, Grüße\r\n".encode()
MIXED = b"Mime-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"


def pieces_of(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def plan(content: bytes, goal: Goal = Goal.SEVEN_BIT, size: int = 1 << 20) -> Plan:
    survey = Survey(goal)
    for piece in pieces_of(content, size):
        survey.feed(piece)
    return survey.finish()


def convert(content: bytes, goal: Goal = Goal.SEVEN_BIT, size: int = 1 << 20) -> bytes:
    converter = Converter(plan(content, goal, size))
    return b"".join([*(converter.feed(piece) for piece in pieces_of(content, size)), converter.finish()])


def fault_of(content: bytes, goal: Goal = Goal.SEVEN_BIT) -> Fault:
    with pytest.raises(Unconvertible) as error:
        plan(content, goal)
    assert error.value.fault.value in str(error.value)
    return error.value.fault


def leaves(content: bytes) -> list[tuple[str, bytes]]:
    """Type and octets of each part, as the standard library reads them."""
    message = email.message_from_bytes(content)
    return [(part.get_content_type(), payload(part)) for part in message.walk() if not part.is_multipart()]


def payload(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found.replace(b"\r\n", b"\n").rstrip(b"\n")


def assert_seven_bit(content: bytes) -> None:
    assert content.isascii()
    assert b"\0" not in content
    assert max(map(len, content.split(b"\r\n"))) <= 998


# Whole messages, each with what it shows.
SAMPLES = {
    "text": b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + TEXT,
    "no MIME at all": b"Subject: x\r\n\r\n" + TEXT,
    "mostly ASCII": b"Subject: x\r\n\r\n" + b"plain words \r\n" * 20 + TEXT + b"--\r\n-- \r\n.\r\n=\r\nend",
    "long lines": b"Content-Type: text/plain\r\n\r\n" + b"x" * 40_000 + b"\xc3\xbc" + b" y" * 30_000 + b"\r\nz",
    "multipart": MIXED + b"Content-Transfer-Encoding: 8bit\r\n\r\npreamble \xe9\r\n--b\r\n\r\n" + TEXT + b"\r\n--b\r\n"
    b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ASCII</p>\r\n--b--\r\nepilogue \xe9\r\n",
    "nested": MIXED + b"\r\n--b\r\nContent-Type: multipart/alternative; boundary=\"b b\"\r\n\r\n--b b\r\n\r\n" + TEXT
    + b"--b b--\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\n\r\n"
    + TEXT * 3 + b"\r\n--b--",
    "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\n" + TEXT + b"\r\n--b--\r\n",
    "looks like a boundary": MIXED + b"\r\n--b\r\n\r\n" + b"\xc3\xbc" * 30 + b"x" * 80 + b"--b\r\n" + b"y" * 75
    + b"--b--\r\n--bx\r\n--b.\r\n-" + b"-" * 200 + b"\r\n--b--\r\n",
    "encoded once": MIXED + b"\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=C3=BC \xc3\xbc =3D\r\n"
    b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 400 + b"\r\n--b--\r\n",
    "no boundary line": b"Content-Type: multipart/mixed; boundary=never\r\n\r\n" + TEXT,
    "not closed": MIXED + b"\r\n--b\r\n\r\n" + TEXT,
    "empty": b"\r\n" + TEXT,
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_parts_decode_to_what_they_were(name: str) -> None:
    content = SAMPLES[name]
    found = convert(content)
    assert_seven_bit(found)
    assert leaves(found) == leaves(content)
    assert not plan(found).needed
    assert convert(found) == found
    for size in (1, 3, 1000):
        assert convert(content, size=size) == found


def test_the_form_of_a_converted_message() -> None:
    content = SAMPLES["text"].replace(TEXT, b"Gr\xc3\xbc\xc3\x9fe  \r\nfrom here, many words\r\n--b\r\n")
    assert convert(content) == (
        b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=C3=BC=C3=9Fe =20\r\nfrom here, many words\r\n=2D-b\r\n"
    )
    found = convert(SAMPLES["no MIME at all"])
    assert found.startswith(b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n7JWI")
    multipart = convert(SAMPLES["multipart"])
    assert multipart.count(b"Content-Transfer-Encoding: 7bit") == 2
    assert b"preamble ?\r\n" in multipart
    assert multipart.endswith(b"--b--\r\nepilogue ?\r\n")


def test_what_needs_nothing_stays() -> None:
    content = MIXED + b"Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n--b--\r\n"
    assert not plan(content).needed
    assert convert(content) == content


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xc3\xbc\r\n--b\r\n\r\nsig\r\n--b--\r\n",
            Fault.SIGNED,
        ),
        (
            b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nX: \xc3\xbc\r\n\r\nx\r\n--b\r\n\r\nsig\r\n--b--\r\n",
            Fault.SIGNED,
        ),
        (b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xff\r\n", Fault.ENCODING),
        (b"Content-Type: message/partial; id=1; number=2\r\n\r\n\xff\r\n", Fault.FRAGMENT),
        ("Content-Type: multipart/mixed; boundary=ü\r\n\r\n--ü\r\n\r\nx\r\n--ü--\r\n".encode(), Fault.BOUNDARY),
        ("From: 실험@a.test\r\n\r\n".encode(), Fault.ADDRESS),
        (MIXED + b"\r\n" + b"--b\r\n\r\n" * MAX_PARTS, Fault.TOO_COMPLEX),
        (b"Content-Type: message/rfc822\r\n\r\n" * (MAX_DEPTH + 1), Fault.TOO_COMPLEX),
        (b"X: y\r\n" * (MAX_HEADER_OCTETS // 6 + 1) + b"\r\n", Fault.TOO_COMPLEX),
        (b"X: " + b"y" * MAX_HEADER_OCTETS, Fault.TOO_COMPLEX),
        (b"X: \xff\r\n" * (MAX_FIELDS + 1) + b"\r\n", Fault.TOO_COMPLEX),
        (b"X: \xff" + b"y" * MAX_FIELD_OCTETS + b"\r\n\r\n", Fault.TOO_COMPLEX),
        (b"Content-Type: multipart/mixed; boundary=" + b"b" * 201 + b"\r\n\r\n", Fault.TOO_COMPLEX),
    ],
)
def test_what_cannot_be_converted(content: bytes, fault: Fault) -> None:
    assert fault_of(content) is fault


def test_a_signed_message_of_7_bits_stays() -> None:
    content = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\nsig\r\n--b--\r\n"
    assert convert(content) == content
    outer = MIXED + b"\r\n--b\r\n\r\n\xc3\xbc\r\n--b\r\n" + content.replace(b"=b", b"=c").replace(b"--b", b"--c") + b"--b--\r\n"
    assert content.replace(b"=b", b"=c").replace(b"--b", b"--c") in convert(outer)


def test_what_is_held_is_bounded() -> None:
    """Memory: no more than a line that may be a boundary line, or the encoder's."""
    for body in (b"\r\n--" * 50_000, b"\r\n--bx" * 40_000, b"x" * 300_000, b"--" + b"b" * 300_000, b"\r\n--b" + b" " * 300_000):
        content = MIXED + b"\r\n--b\r\n\r\n\xff" + body
        found = plan(content)
        converter = Converter(found)
        taken = given_back = 0
        for piece in pieces_of(content, 4096):
            taken += len(piece)
            given_back += len(converter.feed(piece))
            assert taken - given_back < 20_000
        assert found.needed


# Binary content as lines.


def binary(data: bytes, label: bytes = b"binary", outer: bytes = b"binary") -> bytes:
    return (
        MIXED + b"Content-Transfer-Encoding: " + outer + b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + TEXT + b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: " + label + b"\r\n\r\n"
        + data + b"\r\n--b--\r\n"
    )  # fmt: skip


def test_binary_parts_become_base64_and_nothing_else_changes() -> None:
    data = bytes(range(256)) * 9 + b"\n--b\n\r--b\r"
    content = binary(data)
    found = convert(content, Goal.LINES)
    assert found.startswith(MIXED + b"Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT)
    assert found.count(b"\n") == found.count(b"\r") == found.count(b"\r\n")
    assert b"\0" not in found
    part = email.message_from_bytes(found).get_payload()[1]
    assert (part["content-transfer-encoding"], part.get_payload(decode=True)) == ("base64", data)
    for size in (1, 7, 100):
        assert convert(content, Goal.LINES, size) == found


def test_binary_labels_say_what_is_true() -> None:
    found = convert(binary(b"only text"), Goal.LINES)
    assert found == binary(b"only text", b"7bit", b"8bit")
    assert convert(binary(TEXT), Goal.LINES) == binary(TEXT, b"8bit", b"8bit")
    assert not plan(binary(TEXT, b"8bit", b"8bit"), Goal.LINES).needed
    assert plan(binary(b"x" * 999), Goal.LINES).changes[2] == Change.BASE64
    assert plan(binary(b"x" * 998), Goal.LINES).changes[2] == Change.LABEL_7BIT


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\ny: z\r\n\r\n",
        b"Subject: x\0\r\n\r\n",
        b"Subject: x\r\r\n\r\n",
        MIXED + b"\r\npre\namble\r\n--b\r\n\r\nx\r\n--b--\r\n",
        MIXED + b"\r\n--b\r\n\r\nx\r\n--b--\r\nepi\0logue",
        MIXED + b"\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue\r",
    ],
)
def test_binary_outside_of_parts_is_refused(content: bytes) -> None:
    assert fault_of(content, Goal.LINES) is Fault.BARE_NEWLINE


def test_signed_binary_is_refused() -> None:
    content = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--\r\n"
    assert fault_of(content, Goal.LINES) is Fault.SIGNED


# Properties.

ENCODINGS = st.sampled_from(["", "7bit", "8bit", "binary"])
BODIES = st.one_of(
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"--", b"b0", b"-", b"=", b" ", b"\r\n", b".", b"x" * 74, b"\xc3\xbc", b"From "])).map(b"".join),
).map(lambda body: body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n"))


def leaf(label: str, body: bytes) -> bytes:
    return (f"Content-Transfer-Encoding: {label}\r\n" if label else "").encode() + b"X: y\r\n\r\n" + body


def branch(label: str, children: list[bytes], depth: int) -> bytes:
    # a text that holds this boundary is no valid part
    boundary = b"b%d=_" % depth
    head = b"Content-Type: multipart/mixed; boundary=\"" + boundary + b"\"\r\n" + leaf(label, b"")
    return head + b"".join(b"--" + boundary + b"\r\n" + child + b"\r\n" for child in children) + b"--" + boundary + b"--\r\n"


def enclosed(label: str, message: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\n" + leaf(label, message)


TREES = st.recursive(
    st.builds(leaf, ENCODINGS, BODIES),
    lambda children: st.one_of(
        st.builds(branch, ENCODINGS, st.lists(children, min_size=1, max_size=3), st.integers(0, 1 << 30)),
        st.builds(enclosed, ENCODINGS, children),
    ),
    max_leaves=6,
)


@given(TREES, st.integers(1, 64))
@settings(max_examples=300, deadline=None)
def test_any_message_arrives_as_it_was(content: bytes, size: int) -> None:
    found = convert(content)
    assert_seven_bit(found)
    assert leaves(found) == leaves(content)
    assert convert(content, size=size) == found
    if content.isascii() and b"\0" not in content and max(map(len, content.split(b"\r\n"))) <= 998:
        assert found == content


@given(TREES, st.binary(max_size=300), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_any_binary_message_becomes_lines(content: bytes, data: bytes, size: int) -> None:
    whole = MIXED + b"\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n" + data + b"\r\n--b\r\n" + content + b"\r\n--b--\r\n"
    found = convert(whole, Goal.LINES)
    assert found.count(b"\n") == found.count(b"\r") == found.count(b"\r\n")
    assert b"\0" not in found
    assert convert(whole, Goal.LINES, size) == found
    if b"\r\n--b" not in b"\r\n" + data:
        assert email.message_from_bytes(found).get_payload()[0].get_payload(decode=True) == data


NOISE = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [
                *(b"\r\n", b"\r", b"\n", b"--b", b"--", b"--b--", b"\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n"),
                *(b"Content-Type: message/rfc822\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n", b"From: \xc3\xbc <a@b>, "),
                *(b"Content-Type: text/plain; name=\xff\r\n", b"Subject: ", b"Received: by \xff for <\xff>; x\r\n", b"x" * 999),
            ]
        ),
    ),
    max_size=25,
).map(b"".join)


def convert_or_reason(content: bytes, goal: Goal, size: int) -> bytes | str:
    try:
        return convert(content, goal, size)
    except Unconvertible as error:
        return str(error)


@given(NOISE, st.sampled_from(Goal), st.integers(1, 40))
@settings(max_examples=500, deadline=None)
def test_any_octets_give_one_result(content: bytes, goal: Goal, size: int) -> None:
    """Converted or refused, the same for every split; no octet is lost by the walker."""
    walker = Walker()
    try:
        tokens = [token for piece in pieces_of(content, size) for token in walker.feed(piece)] + walker.finish()
    except Unconvertible:
        tokens = []
    assert not tokens or b"".join(token.data for token in tokens) == content
    found = convert_or_reason(content, goal, 1 << 20)
    assert convert_or_reason(content, goal, size) == found
    if isinstance(found, str):
        return
    if goal is Goal.SEVEN_BIT:
        assert found.isascii()
    if goal is Goal.LINES:
        assert b"\0" not in found
        assert found.count(b"\n") == found.count(b"\r") == found.count(b"\r\n")
