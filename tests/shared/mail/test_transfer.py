"""Transfer encodings taken off in pieces: the same as in one, as Python's email package, and in bounded time."""

import base64
import binascii
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.binary import decode_part, encoding_of
from shared.mail.index import build_index
from shared.mail.parts import unpack_parts
from shared.mail.transfer import make_decoder
from shared.testing.corpus import messages, plain_message, varied_messages
from shared.testing.splits import splits_of


def decode(encoding, pieces):
    decoder = make_decoder(encoding)
    return b"".join([*(decoder.feed(piece) for piece in pieces), decoder.finish()])


CASES = [
    ("base64", b"AAEC", b"\0\1\2"),
    ("base64", b"AAE=", b"\0\1"),
    ("base64", b"AA==", b"\0"),
    ("base64", b"AA", b"\0"),
    ("base64", b"AAA", b"\0\0"),
    ("base64", b"A", b""),
    ("base64", b"A A\r\n-E!C", b"\0\1\2"),
    ("base64", b"=AAEC", b"\0\1\2"),
    ("base64", b"A=AEC", b"\0\1\2"),
    ("base64", b"AA==BBBB", b"\0"),
    ("base64", b"", b""),
    ("quoted-printable", b"a=3Db=\r\nc=00\r\n", b"a=bc\0\r\n"),
    ("quoted-printable", b"=", b""),
    ("quoted-printable", b"=ZZ =3", b"=ZZ =3"),
    ("quoted-printable", b"a=\nb", b"ab"),
    ("8bit", b"\xff\0", b"\xff\0"),
    ("", b"x", b"x"),
]


@pytest.mark.parametrize(("encoding", "data", "expected"), CASES)
def test_cases(encoding, data, expected):
    for pieces in splits_of(data):
        assert decode(encoding, pieces) == expected, pieces


@given(st.sampled_from(["base64", "quoted-printable"]), st.binary(max_size=400), st.integers(0, 99))
def test_any_octets_in_any_pieces(encoding, data, seed):
    whole = decode(encoding, [data])
    for pieces in splits_of(data, seed=seed):
        assert decode(encoding, pieces) == whole


_WORDS = st.lists(
    st.sampled_from([b"=", b"=\r", b"\n", b"\r\n", b"=41", b"A", b"AAAA", b" ", b"\0", b"=\r\n"]), max_size=40
)


@given(st.sampled_from(["base64", "quoted-printable"]), _WORDS)
def test_hostile_words_in_any_pieces(encoding, words):
    data = b"".join(words)
    whole = decode(encoding, [data])
    assert all(decode(encoding, pieces) == whole for pieces in splits_of(data))
    if encoding == "quoted-printable":
        assert whole == binascii.a2b_qp(data)


@given(st.binary(max_size=300))
def test_there_and_back(data):
    assert decode("base64", [base64.encodebytes(data)]) == data
    assert decode("quoted-printable", [binascii.b2a_qp(data, istext=False)]) == data


@pytest.mark.parametrize("unit", [b"=", b"=A", b"A", b"=41", b"=\r", b" "])
def test_lines_without_an_end(unit):
    data = unit * 400_000
    for encoding in ("base64", "quoted-printable"):
        pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
        assert decode(encoding, pieces) == decode(encoding, [data])
    assert decode("quoted-printable", pieces) == binascii.a2b_qp(data)


def test_unknown():
    assert make_decoder("x-uuencode") is None


def leaves(message):
    """Parts that are no multipart, as their decoded octets, in order; of messages inside, their own."""
    if message.is_multipart():
        for part in message.get_payload():
            yield from leaves(part)
    else:
        yield message.get_payload(decode=True)


CORPUS = {**{f"varied {number}": data for number, data in enumerate(varied_messages(150))}, **messages()}


@pytest.mark.parametrize("name", CORPUS)
def test_every_part_of_the_corpus(name):
    """As the email package decodes it, wherever that sees the same parts."""
    data = CORPUS[name]
    parts = unpack_parts(build_index(data).parts)
    ours = []
    for part in parts[1:]:
        if part.media == "multipart" or part.is_message:
            continue
        encoding = encoding_of(parts, part.path)
        octets = data[part.body_start : part.body_end]
        ours.append((encoding, octets, decode_part(octets, encoding) if make_decoder(encoding) else None))
    if name == "encoded-message":
        # against RFC 2045 §6.4 a message is encoded: we take that off, the email package does not
        assert [decoded for _, _, decoded in ours] == [plain_message(500)]
        return
    theirs = list(leaves(email.message_from_bytes(data, policy=email.policy.compat32)))
    raw = list(leaves(email.message_from_bytes(data.replace(b"Transfer-Encoding", b"Transfer-Xncoding"))))
    if [octets for _, octets, _ in ours] != raw:
        # torn structures, which either side may read in its way; the well-formed ones must not be among them
        assert not name.startswith("varied"), (ours, raw)
        return
    for (encoding, _, decoded), expected in zip(ours, theirs, strict=True):
        if decoded is not None:
            assert decoded == expected, encoding
