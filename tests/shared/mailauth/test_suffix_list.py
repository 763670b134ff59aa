"""The older rule for the organisational domain: the list of public suffixes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsStatus
from shared.mailauth.dmarc import DmarcResult, Identifiers, evaluate_dmarc
from shared.mailauth.dmarc_record import Disposition
from shared.mailauth.lookups import drive
from shared.mailauth.suffix_list import load_suffix_list

ORGANISATION = load_suffix_list()


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("example.com", "example.com"), ("a.b.example.com", "example.com"), ("mail.example.co.uk", "example.co.uk"),
        ("mail.example.co.kr", "example.co.kr"), ("a.b.xn--3e0b707e", "b.xn--3e0b707e"), ("shop.xn--55qx5d.cn", "shop.xn--55qx5d.cn"),
        # private suffixes are suffixes, too; exceptions; unknown ones
        ("me.github.io", "me.github.io"), ("x.www.ck", "www.ck"), ("a.b.nowhere", "b.nowhere"),
        # a public suffix stands for itself
        ("co.uk", "co.uk"), ("com", "com"),
    ],
)  # fmt: skip
def test_organisational_domains(domain: str, organisation: str) -> None:
    assert ORGANISATION(domain) == organisation


@given(st.text(max_size=80))
def test_any_text_has_an_answer(text: str) -> None:
    assert isinstance(ORGANISATION(text), str)


def judge(domain: str, table: dict[str, str], spf: str = "", dkim: tuple[str, ...] = ()) -> tuple[DmarcResult, Disposition, list[str]]:
    asked: list[str] = []

    def answer(question):
        asked.append(question.name)
        record = table.get(question.name.removeprefix("_dmarc."))
        records = () if record is None else (record,)
        return DnsAnswer(question.name, question.rdtype, DnsStatus.FOUND if records else DnsStatus.NO_NAME, records, "", 60)

    verdict = drive(evaluate_dmarc(domain, Identifiers(spf, dkim), ORGANISATION), answer)
    return verdict.result, verdict.disposition, asked


def test_the_domain_and_the_organisation_are_asked_and_no_others() -> None:
    table = {"example.co.uk": "v=DMARC1; p=reject; sp=quarantine"}
    result, disposition, asked = judge("a.b.example.co.uk", table, "bounce.example.co.uk")
    assert (result, disposition) == (DmarcResult.PASS, Disposition.QUARANTINE)
    assert asked == ["_dmarc.a.b.example.co.uk", "_dmarc.example.co.uk"]
    assert judge("example.co.uk", table, "", ("x.y.example.co.uk",))[:2] == (DmarcResult.PASS, Disposition.REJECT)
    # neighbours below one suffix have nothing in common, whatever its own record says
    shared_suffix = {**table, "co.uk": "v=DMARC1; p=none; psd=n"}
    assert judge("example.co.uk", shared_suffix, "other.co.uk")[:2] == (DmarcResult.FAIL, Disposition.REJECT)
    # a record between the two is not looked for, one at the domain itself goes before
    between = {"b.example.co.uk": "v=DMARC1; p=reject"}
    assert judge("a.b.example.co.uk", between)[0] is DmarcResult.NONE
    own = {**table, "a.example.co.uk": "v=DMARC1; p=none"}
    assert judge("a.example.co.uk", own, "example.co.uk") == (DmarcResult.PASS, Disposition.NONE, ["_dmarc.a.example.co.uk"])


def test_what_a_record_says_of_public_suffixes_is_passed_over() -> None:
    table = {"a.example.com": "v=DMARC1; p=reject; psd=n", "example.com": "v=DMARC1; p=reject; psd=y"}
    assert judge("a.example.com", table, "b.example.com")[0] is DmarcResult.PASS
    assert judge("x.example.com", table, "b.example.com")[0] is DmarcResult.PASS
