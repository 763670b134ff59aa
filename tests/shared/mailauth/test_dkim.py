"""DKIM and ARC with messages that are signed here: what passes, and every way not to."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.mail.header import header_end
from shared.mailauth.dkim import MAX_SIGNATURES, ArcResult, DkimResult, check_arc, check_signatures, key_names
from shared.mailauth.lookups import Question

MESSAGE = b"From: a@x.test\r\nTo: b@y.test\r\nSubject: hi\r\nDate: Mon, 01 Jun 2026 10:00:00 +0900\r\n\r\nHello.\r\n"
NAME = Question("sel._domainkey.x.test", "TXT")


def make_rsa(bits=2048):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


RSA, RSA_RECORD = make_rsa()


def found(*records):
    return DnsAnswer(NAME.name, "TXT", DnsStatus.FOUND if records else DnsStatus.NO_NAME, records, NAME.name, 60)


def sign(message=MESSAGE, key=RSA, **options):
    wanted = {"include_headers": [b"from", b"to", b"subject"], **options}
    return dkim.sign(message, b"sel", b"x.test", key, **wanted) + message


def check(message, reply):
    header = message[: header_end(message, 0, len(message))]
    assert key_names(header) in ([NAME], [])
    return check_signatures(header, message, {NAME: reply})


def results(message, reply):
    return [each.result for each in check(message, reply)]


def test_passes():
    (verdict,) = check(sign(), found(RSA_RECORD))
    assert (verdict.result, verdict.domain, verdict.selector) == (DkimResult.PASS, "x.test", "sel")
    assert verdict.algorithm == "rsa-sha256"
    assert len(verdict.signature) == 8
    assert results(b"Received: from somewhere\r\n" + sign(), found(RSA_RECORD)) == [DkimResult.PASS]


def test_ed25519():
    # RFC 8463
    key = ed25519.Ed25519PrivateKey.generate()
    seed = base64.b64encode(key.private_bytes_raw())
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"
    message = sign(key=seed, signature_algorithm=b"ed25519-sha256")
    assert results(message, found(record)) == [DkimResult.PASS]
    assert results(message.replace(b"Hello", b"Hullo"), found(record)) == [DkimResult.FAIL]


def test_changed_messages_fail():
    assert results(sign().replace(b"Hello", b"Hullo"), found(RSA_RECORD)) == [DkimResult.FAIL]
    assert results(sign().replace(b"Subject: hi", b"Subject: ho"), found(RSA_RECORD)) == [DkimResult.FAIL]
    assert results(sign(), found(make_rsa()[1])) == [DkimResult.FAIL]


def test_keys_that_do_not_do():
    assert results(sign(), found()) == [DkimResult.PERMERROR]
    assert results(sign(), found("v=DKIM1; p=")) != [DkimResult.PASS]
    assert results(sign(), found("garbage")) != [DkimResult.PASS]
    assert results(sign(), DnsFailure(NAME.name, "TXT", "no answer")) == [DkimResult.TEMPERROR]
    # RFC 8301 §3.2
    small, record = make_rsa(1024)
    assert results(sign(key=small), found(record)) == [DkimResult.PASS]


def test_keys_that_would_take_long():
    """Modulus and exponent are the sender's to choose: what is beyond RSA with 4096 bits is not even tried."""
    huge, record = make_rsa(4096)
    assert results(sign(key=huge), found(record)) == [DkimResult.PASS]
    (verdict,) = check(sign(), found("v=DKIM1; k=rsa; p=" + base64.b64encode(bytes(2000)).decode()))
    assert (verdict.result, verdict.reason) == (DkimResult.PERMERROR, "its key is larger than 4096 bits")
    (verdict,) = check(sign(), found("v=DKIM1; k=rsa; p=" + " ".join(base64.b64encode(bytes(2000)).decode())))
    assert verdict.result is DkimResult.PERMERROR


def test_what_must_not_count():
    # RFC 8301 §3.1
    old = sign().replace(b"a=rsa-sha256", b"a=rsa-sha1")
    assert results(old, found(RSA_RECORD)) == [DkimResult.POLICY]
    partial = sign(length=True)
    assert b" l=" in partial
    assert results(partial + b"more\r\n", found(RSA_RECORD)) == [DkimResult.POLICY]
    unsigned_from = sign().replace(b"h=from", b"h=xrom")
    assert results(unsigned_from, found(RSA_RECORD)) != [DkimResult.PASS]


def test_several_signatures_are_bounded():
    message = sign()
    field = message[: message.index(b"From: a@x.test")]
    many = field * (MAX_SIGNATURES + 5) + MESSAGE
    assert results(many, found(RSA_RECORD)) == [DkimResult.PASS] * MAX_SIGNATURES


@pytest.mark.parametrize(
    "field",
    [
        b"v=1",
        b"",
        b"v=1; a=rsa-sha256; d=; s=; b=; bh=; h=",
        b"v=1; a=rsa-sha256; d=x..test; s=a b; b=!; bh=!; h=from",
        b"\xff=\xff",
    ],
)
def test_odd_signatures(field):
    message = b"DKIM-Signature: " + field + b"\r\n" + MESSAGE
    header = message[: header_end(message, 0, len(message))]
    (verdict,) = check_signatures(header, message, {})
    assert verdict.result is DkimResult.PERMERROR or verdict.result is DkimResult.POLICY


@pytest.mark.parametrize("line", [b"no colon here", b"Bad Name : x", b"Na\xefve: x", b" begins with white space"])
def test_headers_that_the_library_cannot_read(line):
    for message in (sign().replace(b"From: a", line + b"\r\nFrom: a", 1), line + b"\r\n" + sign()):
        header = message[: header_end(message, 0, len(message))]
        verdicts = check_signatures(header, message, {NAME: found(RSA_RECORD)})
        assert all(each.result is not DkimResult.PASS or b":" in line for each in verdicts)


@given(st.binary(max_size=300), st.sampled_from([b"DKIM-Signature", b"ARC-Seal", b"ARC-Message-Signature"]))
def test_any_octets_give_verdicts(octets, name):
    message = name + b": i=1; " + octets + b"\r\n" + MESSAGE
    header = message[: header_end(message, 0, len(message))]
    answers = {question: found(RSA_RECORD) for question in key_names(header)}
    assert all(each.result is not DkimResult.PASS for each in check_signatures(header, message, answers))
    assert check_arc(header, message, answers).result is not ArcResult.PASS


def test_arc():
    received = b"Authentication-Results: lists.test; dkim=pass header.d=x.test\r\n" + MESSAGE
    seal = dkim.arc_sign(received, b"sel", b"x.test", RSA, b"lists.test", include_headers=[b"from", b"to", b"subject"])
    message = b"".join(seal) + received
    header = message[: header_end(message, 0, len(message))]
    verdict = check_arc(header, message, {NAME: found(RSA_RECORD)})
    assert (verdict.result, verdict.domain) == (ArcResult.PASS, "x.test")
    changed = message.replace(b"Hello", b"Hullo")
    assert check_arc(header, changed, {NAME: found(RSA_RECORD)}).result is ArcResult.FAIL
    assert check_arc(header, message, {NAME: DnsFailure(NAME.name, "TXT", "x")}).result is ArcResult.TEMPERROR
    assert check_arc(b"From: a@x.test\r\n\r\n", MESSAGE, {}).result is ArcResult.NONE
