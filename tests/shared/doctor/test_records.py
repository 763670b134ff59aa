"""A domain's records as they are against what they should be."""

import pytest

from shared.contract.dkim_types import DnsRecord
from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.doctor.findings import Finding, Level
from shared.doctor.records import look_at_domain, worst

MX = DnsRecord("d.test", "MX", "10 mx.d.test.", "where your mail is delivered")
SPF = DnsRecord("d.test", "TXT", "v=spf1 mx -all", "who may send as you (SPF)")
KEY = DnsRecord("s1._domainkey.d.test", "TXT", "v=DKIM1; k=rsa; p=QUJD", "proves that your mail is yours (DKIM)")
NEW_KEY = DnsRecord("s2._domainkey.d.test", "TXT", "v=DKIM1; k=rsa; p=REVG", "publish now; then `pillarbox domain dkim-activate`")
DMARC = DnsRecord("_dmarc.d.test", "TXT", "v=DMARC1; p=quarantine; rua=mailto:postmaster@d.test", "DMARC")
US = "192.0.2.1"


def look(wanted: DnsRecord, zone: dict[tuple[str, str], list[str] | None], *, relayed: bool = False) -> list[Finding]:
    """``zone``: records by name and type; None: the DNS does not answer."""
    looking = look_at_domain("d.test", [wanted], [US], relayed=relayed)
    try:
        question = next(looking)
        while True:
            records = zone.get((question.name, question.rdtype), [])
            if records is None:
                question = looking.send(DnsFailure(question.name, question.rdtype, "timeout"))
                continue
            status = DnsStatus.FOUND if records else DnsStatus.NO_DATA
            answer = DnsAnswer(question.name, question.rdtype, status, tuple(records), question.name, 60)
            question = looking.send(answer)
    except StopIteration as end:
        found: list[Finding] = end.value
        return found


SPF_ZONE = {("d.test", "MX"): ["10 mx.d.test"], ("mx.d.test", "A"): [US]}


@pytest.mark.parametrize(
    ("wanted", "zone", "level", "seen"),
    [
        (MX, {("d.test", "MX"): ["10 MX.d.test".lower()]}, Level.OK, "mail comes to mx.d.test"),
        (MX, {("d.test", "MX"): ["5 a.test", "10 mx.d.test"]}, Level.NOTE, "to a.test first"),
        (MX, {("d.test", "MX"): ["5 a.test"]}, Level.PROBLEM, "mail goes to a.test, not to mx.d.test"),
        (MX, {}, Level.PROBLEM, "no MX record"),
        (MX, {("d.test", "MX"): None}, Level.UNKNOWN, "timeout"),
        (SPF, {("d.test", "TXT"): ["other", "v=spf1 mx -all"], **SPF_ZONE}, Level.OK, f"SPF lets {US} send"),
        (SPF, {("d.test", "TXT"): ["V=SPF1 ip4:192.0.2.0/24 ~all"]}, Level.OK, f"SPF lets {US} send"),
        (SPF, {("d.test", "TXT"): ["v=spf1 a:x.test -all"]}, Level.PROBLEM, f"SPF does not let {US} send (fail"),
        (SPF, {("d.test", "TXT"): ["v=spf1 mx -all"], ("d.test", "MX"): None}, Level.UNKNOWN, "SPF of"),
        (SPF, {("d.test", "TXT"): ["v=spf1 mx", "v=spf1 a"]}, Level.PROBLEM, "several SPF records"),
        (SPF, {("d.test", "TXT"): ["spf"]}, Level.PROBLEM, "no SPF record"),
        (KEY, {(KEY.name, "TXT"): ["v=DKIM1; k=rsa;  p=QU JD;"]}, Level.OK, "DKIM key s1 is published"),
        (KEY, {(KEY.name, "TXT"): ["v=DKIM1; k=rsa; p=XXXX"]}, Level.PROBLEM, "another DKIM key is published as s1"),
        (KEY, {}, Level.PROBLEM, "DKIM key s1 is not published"),
        (NEW_KEY, {}, Level.NOTE, "DKIM key s2 is not published"),
        (DMARC, {(DMARC.name, "TXT"): ["v=DMARC1; p=Reject"]}, Level.OK, "asks others to reject"),
        (DMARC, {(DMARC.name, "TXT"): ["v=DMARC1; p=none"]}, Level.NOTE, "only watches (p=none)"),
        (DMARC, {(DMARC.name, "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, Level.PROBLEM, "several DMARC"),
        (DMARC, {}, Level.PROBLEM, "no DMARC record"),
    ],
)
def test_each_record(wanted: DnsRecord, zone: dict[tuple[str, str], list[str] | None], level: Level, seen: str) -> None:
    (found,) = look(wanted, zone)
    assert (found.level, seen in found.seen) == (level, True), found
    # what is wrong is always said with what to do
    assert bool(found.advice) == (level in (Level.PROBLEM, Level.NOTE))
    if level is Level.PROBLEM and "several" not in found.seen:
        assert found.advice == f"publish: {wanted.name}. IN {wanted.type} {wanted.value}"


def test_a_provider_sends() -> None:
    (found,) = look(SPF, {("d.test", "TXT"): ["v=spf1 include:p.test ~all"]}, relayed=True)
    assert found.level is Level.OK


def test_the_worst_decides() -> None:
    levels = [Level.OK, Level.NOTE, Level.UNKNOWN, Level.PROBLEM]
    for count, level in enumerate(levels, 1):
        assert worst(Finding("x", each, "") for each in levels[:count]) is level
    assert worst([]) is Level.OK
