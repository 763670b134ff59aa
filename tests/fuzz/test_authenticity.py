"""What strangers write about who they are, nearly right and wrong in every way: it never raises, and never passes for more than it is.

The promises are written down a second time here, plainly: what a signature covers, who owns an Authentication-Results field.
"""

import base64
import re

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsStatus
from shared.mail.header import header_end
from shared.mailauth.dkim import ArcResult, DkimResult, check_arc, check_signatures, key_names
from shared.mailauth.dmarc_record import Disposition, PublicSuffix, parse_dmarc
from shared.mailauth.lookups import Question
from shared.mailauth.results import without_results_of
from shared.mailauth.spf_record import SpfRecord, SpfSyntaxError, is_spf_record, parse_spf
from shared.testing.mutants import mutants

NAME = "sel._domainkey.x.test"
MESSAGE = (
    b"From: a@x.test\r\nTo: b@y.test\r\nSubject: hi\r\n there\r\nDate: Mon, 01 Jun 2026 10:00:00 +0900\r\n\r\n"
    b"Hello.\r\n\r\nIt is  I.\r\n"
)
SIGNED = (b"from", b"to", b"subject")


def make_key() -> tuple[bytes, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


KEY, RECORD = make_key()
OPTIONS = {"include_headers": list(SIGNED), "canonicalize": (b"relaxed", b"relaxed")}
SIGNATURE = dkim.sign(MESSAGE, b"sel", b"x.test", KEY, **OPTIONS)
SEALED = b"".join(
    dkim.arc_sign(
        b"Authentication-Results: lists.test; dkim=pass header.d=x.test\r\n" + MESSAGE,
        *(b"sel", b"x.test", KEY, b"lists.test"),
        include_headers=list(SIGNED),
    )
)
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b";", b"=", b":", b"a=", b"b=", b"bh=", b"h=", b"d=", b"i=", b"l=0;", b"c=simple/"),
    *(b"From: evil@x.test\r\n", b"To: \r\n", b"\r\n\r\n", b"x.test", b"rsa-sha1", b"cv=pass", b"\xff"),
)


def head_of(message: bytes) -> bytes:
    return message[: header_end(message, 0, len(message))]


def answers(header: bytes, record: str) -> dict[Question, DnsAnswer]:
    """Our key for x.test, wherever the mutant asks."""
    return {
        question: DnsAnswer(NAME, "TXT", DnsStatus.FOUND, (record,) if question.name == NAME else (), NAME, 60)
        for question in key_names(header)
    }


def meaning(message: bytes) -> tuple[list[bytes], bytes]:
    """RFC 6376 §3.4.2, §3.4.4, §5.4.2: the lowest field of each signed name and the body, as the signature sees them."""
    header, _, body = message.partition(b"\r\n\r\n")
    fields = [re.sub(rb"\r\n(?=[ \t])", b"", field) for field in re.split(rb"\r\n(?![ \t])", header)]
    pairs = [(name.strip().lower(), b" ".join(value.split())) for name, _, value in (one.partition(b":") for one in fields)]
    lowest = [next((value for name, value in reversed(pairs) if name == wanted), b"") for wanted in SIGNED]
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    return lowest, b"\n".join(lines).rstrip(b"\n")


@given(mutants([MESSAGE], TOKENS))
@settings(max_examples=100)
def test_what_passes_says_what_was_signed(message: bytes) -> None:
    whole = SIGNATURE + message
    verdicts = check_signatures(head_of(whole), whole, answers(head_of(whole), RECORD))
    if any(verdict.result is DkimResult.PASS for verdict in verdicts):
        assert meaning(message) == meaning(MESSAGE)


@given(mutants([SIGNATURE, SIGNATURE * 2, SEALED], TOKENS), mutants([RECORD.encode()], (b"k=", b"p=", b"t=s", b"h=sha1", b";", b" ")))
@settings(max_examples=100)
def test_a_signature_never_covers_another_message(fields: bytes, record: bytes) -> None:
    other = fields + MESSAGE.replace(b"It is", b"It was")
    known = answers(head_of(other), record.decode("utf-8", "replace"))
    verdicts = check_signatures(head_of(other), other, known)
    assert all(verdict.result is not DkimResult.PASS for verdict in verdicts)
    assert check_arc(head_of(other), other, known).result is not ArcResult.PASS


@given(mutants([SEALED], TOKENS))
@settings(max_examples=100)
def test_a_chain_that_passes_is_the_chain_that_was_sealed(fields: bytes) -> None:
    whole = fields + MESSAGE
    if check_arc(head_of(whole), whole, answers(head_of(whole), RECORD)).result is ArcResult.PASS:
        kept = re.findall(rb"(?ims)^arc-[^:]*:.*?(?=^\S|\Z)", fields)
        sealed = re.findall(rb"(?ims)^arc-[^:]*:.*?(?=^\S|\Z)", SEALED)
        squeezed = [b"".join(field.split()).lower() for field in kept]
        assert {b"".join(field.split()).lower() for field in sealed} <= set(squeezed)


SPF_RECORDS = (
    b"v=spf1 mx a:a.test/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:_spf.x.test ~all",
    b"v=spf1 exists:%{ir}.%{l1r-}.%{d2}._spf.x.test ptr:%{p}.test ?all exp=why.%{d} redirect=x.test",
    b"v=spf1 +a -mx:%{h}.test other=1%_2%-%% all",
)
SPF_TOKENS = (
    *(b"%", b"%{", b"}", b"/", b"//", b":", b"=", b"-all", b" ", b"redirect=", b"exp=", b"999", b"ip4:", b"ip6:::"),
    *(b"%{d0}", "ü".encode()),
)


def read_or_words(text: str) -> SpfRecord | str:
    try:
        return parse_spf(text)
    except SpfSyntaxError as error:
        return str(error)


@given(mutants(SPF_RECORDS, SPF_TOKENS))
@settings(max_examples=400)
def test_an_spf_record_is_read_or_wrong(record: bytes) -> None:
    text = record.decode("utf-8", "replace")
    if not is_spf_record(text):
        return
    read = read_or_words(text)
    if isinstance(read, str):
        assert read.isprintable()
        return
    # RFC 7208 §12: nothing beyond printable ASCII is in a term, and every directive is one of the terms
    assert text.isascii()
    assert len(read.mechanisms) <= len(text.split(" ")) - 1


DMARC_RECORDS = (
    b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; t=y; psd=n; rua=mailto:a@x.test",
    b"v=DMARC1;p=none;pct=0;fo=1:d:s;ri=86400",
)


@given(mutants(DMARC_RECORDS, (b"=", b";", b"p=", b"v=DMARC1", b" ", b"\t", b"reject", b"psd=y", b"\xff", b"P=")))
@settings(max_examples=300)
def test_a_dmarc_record_is_read_or_none(record: bytes) -> None:
    read = parse_dmarc(record.decode("utf-8", "replace"))
    if read is None:
        return
    assert record.lstrip(b" \t").startswith(b"v")
    assert read.policy in Disposition
    assert read.psd in PublicSuffix
    if read.policy is Disposition.REJECT:
        assert re.search(rb"(?i)p[ \t]*=[ \t]*reject", record)


comments = st.recursive(
    st.text("a \t\\(;\"", max_size=5).map(lambda text: re.sub(r"[\\(]", lambda found: "\\" + found[0], text)),
    lambda inner: st.lists(inner, max_size=3).map(lambda texts: "(" + "".join(texts) + ")"),
    max_leaves=6,
).map(lambda text: f"({text})")
spaces = st.lists(st.sampled_from(["", " ", "\t", "\r\n ", "\r\n\t"]) | comments, max_size=4).map("".join)


@st.composite
def spellings(draw: st.DrawFn, name: str) -> str:
    """RFC 8601 §2.2: the ways to write an authserv-id, as a token or a quoted-string."""
    written = "".join(draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    if draw(st.booleans()):
        return written
    return '"' + "".join(draw(st.sampled_from(["", "\\"])) + letter for letter in written) + '"'


@given(spaces, spellings("mx.test"), spaces, st.sampled_from(["; spf=pass", "", " 1; none", ";\r\n\tdkim=pass (mx.other)"]))
@settings(max_examples=300)
def test_our_name_is_taken_out_however_it_is_written(before: str, name: str, behind: str, rest: str) -> None:
    field = f"Authentication-Results:{before}{name}{behind}{rest}\r\n".encode()
    header = b"Received: x\r\n%bSubject: y\r\n\r\n"
    assert without_results_of("mx.test", header % field) == header % b""


@given(spaces, spellings("mx.other"), spaces, st.sampled_from(["; spf=pass", "", " 1; none", "; dkim=pass (mx.test)"]))
@settings(max_examples=300)
def test_what_others_found_is_kept_byte_for_byte(before: str, name: str, behind: str, rest: str) -> None:
    header = f"Received: x\r\nAuthentication-Results:{before}{name}{behind}{rest}\r\nSubject: y\r\n\r\n".encode()
    assert without_results_of("mx.test", header) == header


@given(mutants([b"Authentication-Results: (c) mx.test; spf=pass\r\n", b"Subject: y\r\n"], TOKENS))
@settings(max_examples=300)
def test_nothing_but_such_fields_is_taken_out(block: bytes) -> None:
    kept = without_results_of("mx.test", block)
    assert without_results_of("mx.test", kept) == kept
    assert other_lines(kept) == other_lines(block)


def other_lines(block: bytes) -> list[bytes]:
    """Lines that are in no such field."""
    return [line for line in block.split(b"\n") if line and b"esults" not in line and not line.startswith((b" ", b"\t"))]
