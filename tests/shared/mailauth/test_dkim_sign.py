"""Signing: the body's hash whatever the split, and signatures that another implementation (dkimpy) takes."""

import base64
import hashlib

import dkim
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from shared.mailauth.dkim_sign import BodyHash, choose_fields

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_RECORD = b"v=DKIM1; k=rsa; p=" + base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
ED = ed25519.Ed25519PrivateKey.generate()
ED_RECORD = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(ED.public_key().public_bytes_raw())

HEADER = (
    "From: 홍길동 <hong@x.test>\r\nTo: b@y.test,\r\n\tc@z.test\r\nSubject:   folded \r\n\tsubject\t\r\n"
    "Date: Mon, 01 Jun 2026 10:00:00 +0900\r\nMessage-ID: <1@x.test>\r\nReceived: a\r\nX-Other: b\r\n\r\n"
).encode()
BODIES = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"a", b".", b"word", b"\r\n\r\n"]), max_size=30).map(b"".join)


def hash_of(pieces):
    body = BodyHash()
    for piece in pieces:
        body.feed(piece)
    return body.digest()


@given(BODIES, st.data())
def test_the_hash_of_a_body_whatever_the_split(body, data):
    expected = hashlib.sha256(Relaxed.canonicalize_body(body)).digest()
    if body and not body.endswith(b"\r\n"):
        # the line end that every message gets on the wire
        expected = hashlib.sha256(Relaxed.canonicalize_body(body + b"\r\n")).digest()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert hash_of(pieces) == expected
    assert hash_of([body[at : at + 1] for at in range(len(body))]) == expected


def test_many_empty_lines_cost_nothing():
    piece = b"\r\n" * 100_000
    assert hash_of([b"a\r\n", *[piece] * 20]) == hash_of([b"a\r\n"])
    assert hash_of([b"a", *[piece] * 2, b"b"]) == hashlib.sha256(b"a" + piece * 2 + b"b\r\n").digest()


def signed(header, body, algorithm):
    draft = choose_fields(header).draft(hash_of([body]), "x.test", "sel", algorithm, 1_790_000_000)
    if algorithm == "rsa-sha256":
        signature = KEY.sign(draft.to_sign, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = ED.sign(hashlib.sha256(draft.to_sign).digest())
    return draft.finish(signature) + header + body


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
@pytest.mark.parametrize("body", [b"", b"\r\n", b"a  b \t\r\n\r\n\r\n", "한글\r\n".encode()])
def test_signatures_verify(algorithm, body):
    record = RSA_RECORD if algorithm == "rsa-sha256" else ED_RECORD
    message = signed(HEADER, body, algorithm)
    assert dkim.verify(message, dnsfunc=lambda name, timeout=5: record)
    assert all(len(line) < 100 for line in message.split(b"\r\n"))
    assert not dkim.verify(message + b"more\r\n", dnsfunc=lambda name, timeout=5: record)


@pytest.mark.parametrize("added", [b"From: evil@y.test\r\n", b"Subject: other\r\n", b"Reply-To: evil@y.test\r\n"])
def test_no_field_can_be_added(added):
    """RFC 6376 §8.15: what is signed once more than it is there."""
    message = signed(HEADER, b"a\r\n", "rsa-sha256")
    assert dkim.verify(b"X-New: harmless\r\n" + message, dnsfunc=lambda name, timeout=5: RSA_RECORD)
    assert not dkim.verify(added + message, dnsfunc=lambda name, timeout=5: RSA_RECORD)


@given(st.lists(st.sampled_from([b"From: a@x.test", b"To: b", b"Subject:c ", b"Cc:", b"X: \xff"]), max_size=12), BODIES)
def test_any_header_verifies(fields, body):
    header = b"".join(field + b"\r\n" for field in [b"From: first@x.test", *fields]) + b"\r\n"
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    assert dkim.verify(signed(header, body, "rsa-sha256"), dnsfunc=lambda name, timeout=5: RSA_RECORD)
