"""TLSA records and what they match: pure."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_out.dane.judge import UNAUTHENTICATED, Dane, Judgement, judge
from services.smtp_out.dane.tlsa import MAX_DATA_OCTETS, parse_tlsa, public_key_of, usable_records

NOW = dt.datetime.now(dt.UTC)
Made = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def make(
    name: str, issuer: Made | None = None, *, authority: bool = False, may_sign: bool = True, days: int = 30, names: bool = True
) -> Made:
    """A certificate, self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=may_sign, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=40))
        .not_valid_after(NOW + dt.timedelta(days=days))
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
    elif names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def der(made: Made) -> bytes:
    return made[0].public_bytes(serialization.Encoding.DER)


def spki(made: Made) -> bytes:
    return made[0].public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def text(usage: int, selector: int, matching: int, made: Made) -> str:
    """The record that means a certificate."""
    data = spki(made) if selector else der(made)
    shown = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}[matching]
    return f"{usage} {selector} {matching} {shown.hex()}"


def verdict(chain: list[Made], *records: str, names: tuple[str, ...] = ("mx.b.test",)) -> Judgement:
    dane = Dane("mx.b.test", usable_records(records), names)
    return judge(dane, [der(one) for one in chain], NOW.timestamp())


ROOT = make("root", authority=True)
MIDDLE = make("middle", ROOT, authority=True)
LEAF = make("mx.b.test", MIDDLE)
OTHER = make("mx.b.test")
CHAIN = [LEAF, MIDDLE, ROOT]
EVERY_FORM = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "3 1 1",
        "3 1 1 xyz",
        "0 1 1 " + "ab" * 32,  # RFC 7672 §3.1.3: PKIX-TA
        "1 1 1 " + "ab" * 32,  # and PKIX-EE
        "4 1 1 " + "ab" * 32,
        "3 2 1 " + "ab" * 32,
        "3 1 3 " + "ab" * 32,
        "3 1 1 " + "ab" * 31,
        "3 1 2 " + "ab" * 32,
        "3 0 0 ",
        "3 0 0 " + "ab" * (MAX_DATA_OCTETS + 1),
        "255 255 255 ab",
        "-3 1 1 " + "ab" * 32,
    ],
)
def test_records_that_smtp_cannot_use(wrong: str) -> None:
    assert parse_tlsa(wrong) is None


def test_the_data_may_be_divided() -> None:
    record = parse_tlsa("3 1 1 " + " ".join(["AB" * 8] * 4))
    assert record is not None
    assert record.data == b"\xab" * 32


def test_only_the_strongest_digest_counts() -> None:
    both = usable_records([text(3, 1, 1, OTHER), text(3, 1, 2, LEAF), text(3, 0, 1, OTHER), text(3, 1, 0, LEAF)])
    assert [(one.selector, one.matching) for one in both] == [(1, 2), (0, 1), (1, 0)]


@given(st.text(alphabet="0123456789abcdef ", max_size=80))
def test_any_text_is_a_record_or_none(shown: str) -> None:
    parse_tlsa(shown)


def test_the_key_is_cut_out_of_any_certificate() -> None:
    for made in (*CHAIN, OTHER):
        assert public_key_of(der(made)) == spki(made)
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    long = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    certificate = long.not_valid_before(NOW).not_valid_after(NOW + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    cut = public_key_of(certificate.public_bytes(serialization.Encoding.DER))
    assert cut == key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@given(st.integers(0, 600), st.integers(0, 255))
def test_a_broken_certificate_has_no_key_or_some_octets_of_it(place: int, octet: int) -> None:
    whole = bytearray(der(LEAF))
    assert public_key_of(bytes(whole[: place % len(whole)])) is None
    whole[place % len(whole)] = octet
    found = public_key_of(bytes(whole))
    assert found is None or found in whole


@pytest.mark.parametrize(("selector", "matching"), EVERY_FORM)
def test_the_servers_own_certificate(selector: int, matching: int) -> None:
    assert verdict([LEAF], text(3, selector, matching, LEAF)) == Judgement("DANE-EE verified")
    assert verdict([LEAF], text(3, selector, matching, OTHER)).fault == "no TLSA record fits the certificate"
    # an issuer does not stand for the server
    assert verdict(CHAIN, text(3, selector, matching, MIDDLE)).fault


def test_of_the_servers_own_certificate_neither_names_nor_dates_count() -> None:
    old = make("somebody.else", days=-2)
    assert verdict([old], text(3, 1, 1, old)) == Judgement("DANE-EE verified")


@pytest.mark.parametrize(("selector", "matching"), EVERY_FORM)
@pytest.mark.parametrize("anchor", [MIDDLE, ROOT])
def test_an_issuer(selector: int, matching: int, anchor: Made) -> None:
    assert verdict(CHAIN, text(2, selector, matching, anchor)) == Judgement("DANE-TA verified")
    assert verdict(CHAIN, text(2, selector, matching, OTHER)).fault
    # what is not sent cannot be matched; a whole certificate in the record needs not be
    unsent = verdict([LEAF, MIDDLE], text(2, selector, matching, ROOT))
    assert unsent.verdict == ("DANE-TA verified" if (selector, matching) == (0, 0) else "")


def test_an_issuer_vouches_for_names_and_dates() -> None:
    record = text(2, 1, 1, MIDDLE)
    for names in (("b.test", "mx.b.test"), ("mx.b.test", "b.test")):
        assert verdict(CHAIN, record, names=names).verdict
    assert "subjectAltName" in verdict(CHAIN, record, names=("mx.c.test", "c.test")).fault
    assert "not valid at" in verdict([make("mx.b.test", MIDDLE, days=-1), MIDDLE], record).fault
    assert "subjectAltName" in verdict([make("mx.b.test", MIDDLE, names=False), MIDDLE], record).fault
    assert verdict([make("*.b.test", MIDDLE), MIDDLE], record).verdict
    assert verdict([make("*.test", MIDDLE), MIDDLE], record).fault
    assert verdict(CHAIN, record, names=("a name with spaces", "")).fault


def test_an_issuer_must_be_one_and_have_signed() -> None:
    impostor = make("middle", authority=True)
    assert verdict([make("mx.b.test", impostor), MIDDLE], text(2, 1, 1, MIDDLE)).fault
    no_authority = make("middle", ROOT)
    assert verdict([make("mx.b.test", no_authority), no_authority], text(2, 1, 1, no_authority)).fault
    not_signing = make("middle", ROOT, authority=True, may_sign=False)
    assert verdict([make("mx.b.test", not_signing), not_signing], text(2, 1, 1, not_signing)).fault
    # a server's certificate over another one, below an authority that is named
    below = make("mx.c.test", ROOT)
    assert verdict([make("mx.b.test", below), below, ROOT], text(2, 1, 1, ROOT)).fault


def test_any_record_will_do_and_none_is_no_word_on_who_it_is() -> None:
    assert verdict(CHAIN, text(3, 1, 1, OTHER), text(2, 1, 1, ROOT)).verdict == "DANE-TA verified"
    assert verdict(CHAIN, text(2, 1, 1, OTHER), text(3, 1, 1, LEAF)).verdict == "DANE-EE verified"
    assert verdict([OTHER], text(1, 1, 1, LEAF), "9 9 9 ab") == Judgement(UNAUTHENTICATED)
    assert verdict([], text(3, 1, 1, LEAF)).fault == "the server sent no certificate"


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_octets_for_certificates_are_refused(chain: list[bytes]) -> None:
    dane = Dane("mx.b.test", usable_records([text(3, 1, 1, LEAF), text(2, 0, 0, ROOT)]), ("mx.b.test",))
    assert judge(dane, chain, NOW.timestamp()).fault
