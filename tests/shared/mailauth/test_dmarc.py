"""DMARC: the tree walk and its limits, alignment, what the owner asks for; records that are odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.mailauth.dmarc import DmarcResult, Identifiers, evaluate_dmarc, walk_names
from shared.mailauth.dmarc_record import Disposition, parse_dmarc
from shared.mailauth.lookups import drive

BROKEN = object()


def judge(domain, table, spf="", dkim=(), exists=True):
    asked = []

    def answer(question):
        asked.append(question)
        if question.rdtype == "A":
            return DnsAnswer(question.name, "A", DnsStatus.NO_DATA if exists else DnsStatus.NO_NAME, (), "", 60)
        records = table.get(question.name.removeprefix("_dmarc."), ())
        if records is BROKEN:
            return DnsFailure(question.name, "TXT", "no answer")
        records = (records,) if isinstance(records, str) else tuple(records)
        return DnsAnswer(question.name, "TXT", DnsStatus.FOUND if records else DnsStatus.NO_NAME, records, "", 60)

    verdict = drive(evaluate_dmarc(domain, Identifiers(spf, tuple(dkim))), answer)
    return verdict, asked


REJECT = {"example.com": "v=DMARC1; p=reject; sp=quarantine"}


@pytest.mark.parametrize(
    ("domain", "spf", "dkim", "result", "disposition"),
    [
        ("example.com", "example.com", (), DmarcResult.PASS, Disposition.REJECT),
        ("example.com", "bounces.example.com", (), DmarcResult.PASS, Disposition.REJECT),
        ("example.com", "", ("example.com",), DmarcResult.PASS, Disposition.REJECT),
        ("example.com", "other.test", ("mail.example.com",), DmarcResult.PASS, Disposition.REJECT),
        ("example.com", "other.test", ("other.test",), DmarcResult.FAIL, Disposition.REJECT),
        ("example.com", "", (), DmarcResult.FAIL, Disposition.REJECT),
        ("example.com", "notexample.com", ("example.com.evil.test",), DmarcResult.FAIL, Disposition.REJECT),
        ("news.example.com", "", (), DmarcResult.FAIL, Disposition.QUARANTINE),
        ("news.example.com", "example.com", (), DmarcResult.PASS, Disposition.QUARANTINE),
        ("a.b.c.example.com", "", ("x.example.com",), DmarcResult.PASS, Disposition.QUARANTINE),
        ("elsewhere.test", "", (), DmarcResult.NONE, Disposition.NONE),
    ],
)
def test_relaxed_alignment(domain, spf, dkim, result, disposition):
    verdict, _ = judge(domain, REJECT, spf, dkim)
    assert (verdict.result, verdict.disposition) == (result, disposition)


def test_strict_alignment():
    table = {"example.com": "v=DMARC1; p=reject; adkim=s; aspf=s"}
    assert judge("example.com", table, "mail.example.com", ("x.example.com",))[0].result is DmarcResult.FAIL
    assert judge("example.com", table, "example.com")[0].result is DmarcResult.PASS
    half = {"example.com": "v=DMARC1; p=reject; adkim=s"}
    assert judge("example.com", half, "mail.example.com")[0].result is DmarcResult.PASS


def test_public_suffixes_keep_their_customers_apart():
    """RFC 9989 §4.10.2: psd=y of the suffix, psd=n of a domain whose parts are run by different people."""
    table = {"bank": "v=DMARC1; p=reject; psd=y"}
    assert judge("giant.bank", table, "other.bank")[0].result is DmarcResult.FAIL
    assert judge("giant.bank", table, "mail.giant.bank")[0].result is DmarcResult.PASS
    assert judge("www.giant.bank", table, "mail.giant.bank")[0].disposition is Disposition.REJECT
    table = {"sales.example.com": "v=DMARC1; p=reject; psd=n", "example.com": "v=DMARC1; p=none"}
    assert judge("sales.example.com", table, "example.com")[0].result is DmarcResult.FAIL
    assert judge("sales.example.com", table, "x.sales.example.com")[0].result is DmarcResult.PASS


def test_the_policy_for_names_that_do_not_exist():
    table = {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}
    assert judge("a.example.com", table, exists=True)[0].disposition is Disposition.QUARANTINE
    assert judge("a.example.com", table, exists=False)[0].disposition is Disposition.REJECT


def test_testing_is_one_level_gentler():
    for text in ("v=DMARC1; p=reject; t=y", "v=DMARC1; p=reject; pct=0"):
        assert judge("example.com", {"example.com": text})[0].disposition is Disposition.QUARANTINE
    assert judge("example.com", {"example.com": "v=DMARC1; p=quarantine; t=y"})[0].disposition is Disposition.NONE


def test_trouble_is_temporary_and_doubles_are_none():
    assert judge("example.com", {"example.com": BROKEN})[0].result is DmarcResult.TEMPERROR
    assert (
        judge("example.com", {"example.com": ("v=DMARC1; p=reject", "v=DMARC1; p=none")})[0].result is DmarcResult.NONE
    )


def test_the_walk_is_short():
    # RFC 9989 §4.10.1, the example with many labels
    assert walk_names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    _, asked = judge(".".join("a" * 100) + ".example.com", REJECT, "example.com")
    assert len(asked) <= 17


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=none", Disposition.NONE),
        ("v=DMARC1;p=REJECT;", Disposition.REJECT),
        ("v = DMARC1 ; p = quarantine ; rua=mailto:a@b", Disposition.QUARANTINE),
        ("v=DMARC1; rua=mailto:a@b", Disposition.NONE),
        ("v=DMARC1; p=nonsense; rua=mailto:a@b", Disposition.NONE),
        ("v=DMARC1; p=reject; p=none", Disposition.REJECT),
        ("v=DMARC1; p=reject; unknown=1; =; x", Disposition.REJECT),
        ("v=DMARC1", None),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC12; p=reject", None),
        ("p=reject; v=DMARC1", None),
        ("", None),
        ("v=DMARC1; p=reject;" + "x" * 5000, None),
    ],
)
def test_records(text, policy):
    record = parse_dmarc(text)
    assert (record.policy if record else None) is policy


@given(st.text(max_size=200))
def test_any_text_is_a_record_or_none(text):
    parse_dmarc(text)
    parse_dmarc("v=DMARC1;" + text)
