"""What is asked of a DNS list, and what its answers mean."""

import pytest

from services.smtp_in.policy.dns_lists import Answer, is_postmaster, judge
from services.smtp_in.protocol.grammar import Mailbox
from shared.config.dns_list import DnsList, parse_dns_list
from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.dns.list_name import list_name


def answer(*records: str) -> DnsAnswer:
    return DnsAnswer("x", "A", DnsStatus.FOUND if records else DnsStatus.NO_NAME, records, "x", 60)


def test_names() -> None:
    assert list_name("192.0.2.99", "bad.example.net") == "99.2.0.192.bad.example.net"
    # RFC 5782 §2.4
    name = "1.0.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2.bad.example.net"
    assert list_name("2001:db8::1", "bad.example.net") == name


@pytest.mark.parametrize(
    ("text", "records", "meaning"),
    [
        ("l.test", (), Answer.CLEAR),
        ("l.test", ("127.0.0.2",), Answer.LISTED),
        ("l.test", ("127.1.2.3",), Answer.LISTED),
        ("l.test", ("127.0.0.1",), Answer.CLEAR),
        ("l.test", ("192.0.2.1",), Answer.CLEAR),  # the zone was sold
        ("l.test", ("not an address",), Answer.CLEAR),
        ("l.test", ("127.255.255.254",), Answer.REFUSED),
        ("l.test", ("127.0.0.2", "127.255.255.252"), Answer.REFUSED),
        ("l.test=127.0.0.2-11", ("127.0.0.11",), Answer.LISTED),
        ("l.test=127.0.0.2-11", ("127.0.0.12",), Answer.CLEAR),
        ("l.test=127.0.0.2-11", ("127.0.0.12", "127.0.0.4"), Answer.LISTED),
        ("l.test=127.0.1.3", ("127.0.1.3",), Answer.LISTED),
        ("l.test=127.0.1.3", ("127.0.1.4",), Answer.CLEAR),
        ("l.test=127.255.255.1-255", ("127.255.255.254",), Answer.REFUSED),
    ],
)
def test_answers(text: str, records: tuple[str, ...], meaning: Answer) -> None:
    assert judge(parse_dns_list(text), answer(*records)) is meaning


def test_trouble_is_no_verdict() -> None:
    assert judge(DnsList("l.test"), DnsFailure("x", "A", "silence")) is Answer.TROUBLE


def test_the_postmaster_of_every_domain() -> None:
    assert is_postmaster(Mailbox("PostMaster", "example.test"))
    assert is_postmaster(Mailbox("postmaster", ""))
    assert not is_postmaster(Mailbox("postmaster2", "example.test"))
