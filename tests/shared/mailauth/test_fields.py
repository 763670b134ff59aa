"""The From field as DMARC reads it, the Authentication-Results field, iprev."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.mailauth.authors import MAX_DOMAINS, read_authors
from shared.mailauth.iprev import IprevResult, check_iprev
from shared.mailauth.lookups import drive
from shared.mailauth.results import MethodResult, build_results, without_results_of


@pytest.mark.parametrize(
    ("header", "domains", "faulty"),
    [
        (b"From: a@X.Test\r\n\r\n", ("x.test",), False),
        (b"From: A <a@x.test>, b@y.test\r\n\r\n", ("x.test", "y.test"), False),
        (b"From: a@x.test, b@x.test\r\n\r\n", ("x.test",), False),
        (b'From: "ceo@bank.test" <a@evil.test>\r\n\r\n', ("evil.test",), False),
        (b"From: =?utf-8?q?ceo=40bank=2Etest?= <a@evil.test>\r\n\r\n", ("evil.test",), False),
        ("From: a@예시.한국\r\n\r\n".encode(), ("xn--vv4b11d.xn--3e0b707e",), False),
        (b"From: a@x.test.\r\n\r\n", ("x.test",), False),
        (b"from : a@x.test\r\n\r\n", ("x.test",), False),
        (b"From: a@x.test\r\nFrom: b@y.test\r\n\r\n", ("x.test", "y.test"), True),
        (b"Subject: x\r\n\r\n", (), True),
        (b"From: nobody\r\n\r\n", (), True),
        (b"From: a@localhost\r\n\r\n", (), True),
        (b"From: a@[192.0.2.1]\r\n\r\n", (), True),
        (b"From: a@x.test, b@-\r\n\r\n", ("x.test",), True),
        (b"From: \r\n\r\n", (), True),
        (
            b"From: " + b", ".join(b"a@x%d.test" % n for n in range(MAX_DOMAINS + 1)) + b"\r\n\r\n",
            tuple(f"x{n}.test" for n in range(MAX_DOMAINS)),
            True,
        ),
    ],
)
def test_authors(header, domains, faulty):
    authors = read_authors(header)
    assert (authors.domains, bool(authors.fault)) == (domains, faulty)


@given(st.binary(max_size=200))
def test_any_octets_have_authors(octets):
    authors = read_authors(b"From: " + octets + b"\r\n\r\n")
    assert all(domain.isascii() and "." in domain for domain in authors.domains)


def test_results_field():
    field = build_results(
        "mx.example.test",
        [
            MethodResult("spf", "pass", "x.test says ip4:192.0.2.0/24", (("smtp.mailfrom", "a@x.test"),)),
            MethodResult(
                "dmarc", "fail", "why (not)\r\nX: y", (("header.from", "x.test; dkim=pass"), ("header.b", ""))
            ),
        ],
    )
    assert field == (
        b"Authentication-Results: mx.example.test;\r\n"
        b"\tspf=pass (x.test says ip4:192.0.2.0/24)\r\n\t smtp.mailfrom=a@x.test;\r\n"
        b'\tdmarc=fail (why ?not???X: y)\r\n\t header.from="x.test; dkim=pass"\r\n'
    )
    assert build_results("mx.example.test", []) == b"Authentication-Results: mx.example.test;\r\n\tnone\r\n"


@given(st.text(), st.text())
def test_nothing_ends_the_field_early(reason, value):
    field = build_results("mx.test", [MethodResult("spf", "pass", reason, (("smtp.helo", value),))])
    lines = field.split(b"\r\n")
    assert lines[-1] == b""
    assert all(line.startswith(b"\t") for line in lines[1:-1])
    assert all(len(line) < 998 for line in lines)
    assert b"\n" not in field.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        (b"Authentication-Results: mx.test; spf=pass\r\n", False),
        (b"AUTHENTICATION-RESULTS: MX.TEST; spf=pass\r\n", False),
        (b"Authentication-Results:\r\n\tmx.test 1;\r\n\tspf=pass\r\n", False),
        (b"Authentication-Results: (a (comment)) mx.test; spf=pass\r\n", False),
        (b"Authentication-Results: (a\\)(b\\()) (c)mx.test(d); spf=pass\r\n", False),
        (b"Authentication-Results: (mx.test) other.test; spf=pass\r\n", True),
        (b'Authentication-Results: "mx\\.\\test"; spf=pass\r\n', False),
        (b'Authentication-Results: "mx.test" (c) 1; spf=pass\r\n', False),
        (b"Authentication-Results: mx.test (no end; spf=pass\r\n", False),
        (b"Authentication-Results: (no end mx.test; spf=pass\r\n", False),
        (b"Authentication-Results: (no end other.test; spf=pass\r\n", True),
        (b"Authentication-Results: ,mx.test; spf=pass\r\n", False),
        (b"Authentication-Results: mx.test=x; spf=pass\r\n", False),
        (b"Authentication-Results: \x00mx.test; spf=pass\r\n", False),
        (b"Authentication-Results: other.test; spf=pass (mx.test)\r\n", True),
        (b"Authentication-Results: sub.mx.test; spf=pass\r\n", True),
        (b"Authentication-Results:\r\n", True),
        (b"Authentication-Results: (comment) mx.test; spf=pass\r\n", False),
        (b'Authentication-Results: "mx.test"; spf=pass\r\n', False),
        (b"Authentication-Results: mx.test.; none\r\n", False),
        (b"Authentication-Results: other.test; spf=pass\r\n", True),
        (b"Authentication-Results: notmx.test; spf=pass\r\n", True),
        (b"X-Authentication-Results: mx.test; spf=pass\r\n", True),
        (b"ARC-Authentication-Results: i=1; mx.test; spf=pass\r\n", True),
    ],
)
def test_foreign_results_in_our_name(field, kept):
    before, after = b"Received: x\r\n", b"Subject: y\r\n\r\n"
    assert without_results_of("mx.test", before + field + after) == before + (field if kept else b"") + after


def test_iprev():
    def run(ip, table):
        def answer(question):
            records = table.get((question.name, question.rdtype))
            if records is None:
                return DnsAnswer(question.name, question.rdtype, DnsStatus.NO_NAME, (), "", 60)
            return (
                records
                if isinstance(records, DnsFailure)
                else DnsAnswer("", "", DnsStatus.FOUND, tuple(records), "", 60)
            )

        return drive(check_iprev(ip_address(ip)), answer)

    pointer = ("1.2.0.192.in-addr.arpa", "PTR")
    confirmed = {pointer: ["b.test", "a.test"], ("a.test", "A"): ["192.0.2.1"]}
    assert (run("192.0.2.1", confirmed).result, run("192.0.2.1", confirmed).name) == (IprevResult.PASS, "a.test")
    assert run("::ffff:192.0.2.1", confirmed).result is IprevResult.PASS
    assert run("192.0.2.1", {pointer: ["a.test"], ("a.test", "A"): ["192.0.2.2", "x"]}).result is IprevResult.FAIL
    assert run("192.0.2.1", {}).result is IprevResult.PERMERROR
    assert run("192.0.2.1", {pointer: DnsFailure("", "", "x")}).result is IprevResult.TEMPERROR
    assert (
        run("192.0.2.1", {pointer: ["a.test"], ("a.test", "A"): DnsFailure("", "", "x")}).result
        is IprevResult.TEMPERROR
    )
    six = ip_address("2001:db8::1")
    assert run(
        "2001:db8::1", {(six.reverse_pointer, "PTR"): ["a.test"], ("a.test", "AAAA"): ["2001:db8::1"]}
    ).result is (IprevResult.PASS)
