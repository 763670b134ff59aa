"""SPF against the RFC's own examples (RFC 7208 §7.4, appendix A) and a zone for every outcome."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.mailauth.lookups import drive
from shared.mailauth.spf import MAX_LOOKUPS, SpfResult, check_host
from shared.mailauth.spf_macros import MacroValues, expand, expand_domain
from shared.mailauth.spf_record import SpfSyntaxError, is_spf_record, parse_spf

BROKEN = object()


class Zone:
    """Answers from a table: {(name, type): records or BROKEN}."""

    def __init__(self, table):
        self.table = {(name.lower(), rdtype): records for (name, rdtype), records in table.items()}
        self.names = {name for name, _ in self.table}
        self.asked = []

    def __call__(self, question):
        name, rdtype = question.name.lower(), question.rdtype
        self.asked.append((name, rdtype))
        records = self.table.get((name, rdtype))
        if records is BROKEN:
            return DnsFailure(name, rdtype, "no answer")
        if records is None:
            status = DnsStatus.NO_DATA if name in self.names else DnsStatus.NO_NAME
            return DnsAnswer(name, rdtype, status, (), name, 60)
        return DnsAnswer(name, rdtype, DnsStatus.FOUND, tuple(records), name, 60)


def check(table, ip="192.0.2.1", sender="user@example.com", helo="mail.example.com", domain=None):
    zone = table if isinstance(table, Zone) else Zone(table)
    return drive(check_host(ip_address(ip), domain or sender.rpartition("@")[2], sender, helo), zone)


def txt(record, name="example.com"):
    return {(name, "TXT"): [record]}


# RFC 7208 appendix A
EXAMPLE = {
    ("example.com", "A"): ["192.0.2.10", "192.0.2.11"],
    ("example.com", "MX"): ["10 mail-a.example.com", "20 mail-b.example.com"],
    ("amy.example.com", "A"): ["192.0.2.65"],
    ("bob.example.com", "A"): ["192.0.2.66"],
    ("mail-a.example.com", "A"): ["192.0.2.129"],
    ("mail-b.example.com", "A"): ["192.0.2.130"],
    ("example.org", "MX"): ["10 mail-c.example.org"],
    ("mail-c.example.org", "A"): ["192.0.2.140"],
    ("10.2.0.192.in-addr.arpa", "PTR"): ["example.com"],
    ("11.2.0.192.in-addr.arpa", "PTR"): ["example.com"],
    ("65.2.0.192.in-addr.arpa", "PTR"): ["amy.example.com"],
    ("66.2.0.192.in-addr.arpa", "PTR"): ["bob.example.com"],
    ("129.2.0.192.in-addr.arpa", "PTR"): ["mail-a.example.com"],
    ("130.2.0.192.in-addr.arpa", "PTR"): ["mail-b.example.com"],
    ("140.2.0.192.in-addr.arpa", "PTR"): ["mail-c.example.org"],
    ("10.0.0.4.in-addr.arpa", "PTR"): ["bob.example.com"],
}
HOSTS = {
    "192.0.2.10",
    "192.0.2.11",
    "192.0.2.65",
    "192.0.2.66",
    "192.0.2.129",
    "192.0.2.130",
    "192.0.2.140",
    "10.0.0.4",
}


@pytest.mark.parametrize(
    ("record", "passes"),
    [
        ("v=spf1 +all", HOSTS),
        ("v=spf1 a -all", {"192.0.2.10", "192.0.2.11"}),
        ("v=spf1 a:example.org -all", set()),
        ("v=spf1 mx -all", {"192.0.2.129", "192.0.2.130"}),
        ("v=spf1 mx:example.org -all", {"192.0.2.140"}),
        ("v=spf1 mx mx:example.org -all", {"192.0.2.129", "192.0.2.130", "192.0.2.140"}),
        ("v=spf1 mx/30 mx:example.org/30 -all", {"192.0.2.129", "192.0.2.130", "192.0.2.140"}),
        ("v=spf1 ptr -all", {"192.0.2.10", "192.0.2.11", "192.0.2.65", "192.0.2.66", "192.0.2.129", "192.0.2.130"}),
        ("v=spf1 ip4:192.0.2.128/28 -all", {"192.0.2.129", "192.0.2.130", "192.0.2.140"}),
    ],
)
def test_appendix_a1(record, passes):
    zone = {**EXAMPLE, **txt(record)}
    assert {ip for ip in HOSTS if check(zone, ip).result is SpfResult.PASS} == passes


def test_appendix_a2_and_a3():
    zone = {
        **EXAMPLE,
        **txt("v=spf1 include:example.com include:example.net -all", "example.org"),
        **txt("v=spf1 redirect=example.org", "la.example.org"),
        **txt("v=spf1 a -all"),
        **txt("v=spf1 mx:example.org -all", "example.net"),
    }
    for sender in ("u@example.org", "u@la.example.org"):
        assert check(zone, "192.0.2.10", sender).result is SpfResult.PASS
        assert check(zone, "192.0.2.140", sender).result is SpfResult.PASS
        assert check(zone, "192.0.2.1", sender).result is SpfResult.FAIL
    # A.3: DNS block list style
    listed = {
        **txt("v=spf1 mx -exists:%{ir}.sbl.example.org ~all"),
        ("3.2.0.192.sbl.example.org", "A"): ["127.0.0.2"],
    }
    assert check(listed, "192.0.2.3").result is SpfResult.FAIL
    assert check(listed, "192.0.2.4").result is SpfResult.SOFTFAIL


# RFC 7208 §7.4
V4 = MacroValues(
    ip_address("192.0.2.3"), "strong-bad@email.example.com", "email.example.com", "mx.example.org",
    validated_name="mx.example.org",
)  # fmt: skip


@pytest.mark.parametrize(
    ("macro", "expansion"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{p}", "mx.example.org"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%%b%_c%-d", "a%b c%20d"),
    ],
)
def test_macros(macro, expansion):
    assert expand(macro, V4) == expansion


def test_macros_of_ipv6_and_of_long_names():
    v6 = MacroValues(ip_address("2001:db8::cb01"), "strong-bad@email.example.com", "email.example.com", "h")
    nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert expand("%{ir}.%{v}._spf.%{d2}", v6) == f"{nibbles}.ip6._spf.example.com"
    long = MacroValues(ip_address("192.0.2.3"), "a@" + ".".join(["b" * 50] * 6), "example.com", "h")
    name = expand_domain("%{o}.%{d}", long)
    assert len(name) <= 253
    assert name.endswith(".example.com")


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 foo", "v=spf1 a:", "v=spf1 a/33", "v=spf1 a//129", "v=spf1 a/", "v=spf1 all:x", "v=spf1 ip4", "v=spf1 ip4:",
        "v=spf1 ip4:1.2.3", "v=spf1 ip4:1.2.3.4/33", "v=spf1 ip4:1.2.3.4/08", "v=spf1 ip6:::1/129", "v=spf1 ip6:1.2.3.4",
        "v=spf1 include", "v=spf1 include:", "v=spf1 exists", "v=spf1 redirect=", "v=spf1 redirect=a.b redirect=c.d",
        "v=spf1 exp=a.b exp=c.d", "v=spf1 exists:%(ir).sbl.example.org", "v=spf1 exists:%{x}.example.org",
        "v=spf1 exists:%{d0}.example.org", "v=spf1 exists:%{t}.example.org", "v=spf1 -all\tx", "v=spf1 include:localhost",
        "v=spf1 a:example.123", "v=spf1 =x", "v=spf1 x=%", "v=spf1 mx:a.b/01", "v=spf1 ptrexample.com", "v=spf1 a.b", "v=spf1 é",
    ],
)  # fmt: skip
def test_wrong_records_are_permerror(record):
    assert is_spf_record(record)
    with pytest.raises(SpfSyntaxError):
        parse_spf(record)
    assert check(txt(record)).result is SpfResult.PERMERROR


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1", "V=SPF1 -ALL", "v=spf1  a   mx ", "v=spf1 a:%{d}/24//64", "v=spf1 A/0", "v=spf1 a//0", "v=spf1 unknown=%{d}",
        "v=spf1 ip4:10.1.2.3/8", "v=spf1 ip6:2001:db8::/32", "v=spf1 exists:%{l1r+-}._spf.%{d}", "v=spf1 a:a.b-c.", "v=spf1 r.e-d_1=",
        "v=spf1 include:_spf.%{d2}", "v=spf1 ptr:%{d}", "v=spf1 moo.cow-far_out=man:dog/cat",
    ],
)  # fmt: skip
def test_right_records(record):
    parse_spf(record)


@pytest.mark.parametrize("record", ["v=spf10 -all", "v=spf1-all", "v=spf", "spf1 a", " v=spf1", "v=spf2.0/pra"])
def test_other_texts_are_no_records(record):
    assert not is_spf_record(record)
    assert check(txt(record)).result is SpfResult.NONE


def test_selecting_records():
    assert check({("example.com", "TXT"): ["v=spf1 +all", "google-site-verification=x"]}).result is SpfResult.PASS
    assert check({("example.com", "TXT"): ["v=spf1 +all", "v=spf1 -all"]}).result is SpfResult.PERMERROR
    assert check({("example.com", "TXT"): BROKEN}).result is SpfResult.TEMPERROR
    assert check({}).result is SpfResult.NONE
    assert check(txt("v=spf1 ?all")).result is SpfResult.NEUTRAL
    assert check(txt("v=spf1 a:no.example.com")).result is SpfResult.NEUTRAL


@pytest.mark.parametrize("domain", ["localhost", "a..b", "x" * 64 + ".com", "", ".", "a." * 130 + "com"])
def test_names_that_have_no_record(domain):
    zone = Zone({})
    assert check(zone, domain=domain or ".", sender="u@x.test").result is SpfResult.NONE
    assert zone.asked == []


def test_a_sender_without_local_part_is_postmaster():
    zone = {**txt("v=spf1 exists:%{l}.%{o}.spf.test -all"), ("postmaster.example.com.spf.test", "A"): ["127.0.0.1"]}
    assert check(zone, sender="example.com").result is SpfResult.PASS
    assert check(zone, sender="@example.com").result is SpfResult.PASS


def test_mapped_addresses_are_ipv4():
    assert check(txt("v=spf1 ip4:192.0.2.1 -all"), "::ffff:192.0.2.1").result is SpfResult.PASS
    assert check(txt("v=spf1 ip6:2001:db8::/32 -all"), "2001:db8::1").result is SpfResult.PASS
    six = {**txt("v=spf1 a -all"), ("example.com", "AAAA"): ["2001:db8::1"], ("example.com", "A"): ["192.0.2.1"]}
    assert check(six, "2001:db8::1").result is SpfResult.PASS


@pytest.mark.parametrize(
    ("inner", "outcome"),
    [
        ("v=spf1 +all", SpfResult.PASS),
        ("v=spf1 -all", SpfResult.SOFTFAIL),
        ("v=spf1 ~all", SpfResult.SOFTFAIL),
        ("v=spf1 ?all", SpfResult.SOFTFAIL),
        ("v=spf1 broken", SpfResult.PERMERROR),
        (None, SpfResult.PERMERROR),
        (BROKEN, SpfResult.TEMPERROR),
    ],
)
def test_include(inner, outcome):
    zone = txt("v=spf1 include:other.test ~all")
    if inner is not None:
        zone["other.test", "TXT"] = inner if inner is BROKEN else [inner]
    assert check(zone).result is outcome


def test_an_include_of_oneself_ends():
    assert check(txt("v=spf1 include:example.com -all")).result is SpfResult.PERMERROR
    assert check(txt("v=spf1 redirect=example.com")).result is SpfResult.PERMERROR


def test_lookup_limit():
    def chain(count):
        terms = " ".join(f"a:h{number}.test" for number in range(count))
        hosts = {(f"h{number}.test", "A"): ["198.51.100.1"] for number in range(count)}
        return {**txt(f"v=spf1 {terms} +all"), **hosts}

    assert check(chain(MAX_LOOKUPS)).result is SpfResult.PASS
    assert check(chain(MAX_LOOKUPS + 1)).result is SpfResult.PERMERROR


def test_void_limit():
    assert check(txt("v=spf1 a:a.test a:b.test +all")).result is SpfResult.PASS
    assert check(txt("v=spf1 a:a.test a:b.test a:c.test +all")).result is SpfResult.PERMERROR


def test_mx_limit_and_failures():
    zone = {**txt("v=spf1 mx +all"), ("example.com", "MX"): [f"10 m{number}.test" for number in range(11)]}
    assert check(zone).result is SpfResult.PERMERROR
    zone["example.com", "MX"] = ["10 m.test"]
    zone["m.test", "A"] = BROKEN
    assert check(zone).result is SpfResult.TEMPERROR
    assert check({**txt("v=spf1 ptr +all"), ("1.2.0.192.in-addr.arpa", "PTR"): BROKEN}).result is SpfResult.PASS


def test_explanation():
    zone = {
        **txt("v=spf1 -all exp=why.%{d}"),
        ("why.example.com", "TXT"): ["%{i} is not one of %{d}'s mail servers. See http://%{d}/why?s=%{S}"],
    }
    verdict = check(zone)
    assert verdict.explanation == (
        "192.0.2.1 is not one of example.com's mail servers. See http://example.com/why?s=user%40example.com"
    )
    assert verdict.reason == "example.com says -all"
    for bad in (["a", "b"], ["ü"], ["%{"], ["%{q}"], BROKEN):
        zone["why.example.com", "TXT"] = bad
        assert check(zone).explanation in ("", "%{")


NAMES = st.sampled_from(["example.com", "a.test", "b.test", "%{d}", "%{ir}.x.test", "%{p}", "%{l}.%{o}"])
TERMS = st.one_of(
    st.builds(
        "{}{}:{}".format,
        st.sampled_from(["", "-", "~", "?"]),
        st.sampled_from(["a", "mx", "include", "exists", "ptr"]),
        NAMES,
    ),
    st.sampled_from(["a", "mx", "ptr", "all", "-all", "ip4:192.0.2.0/24", "redirect=a.test", "exp=b.test"]),
    st.text(max_size=12),
)


@given(
    st.dictionaries(st.sampled_from(["example.com", "a.test", "b.test"]), st.lists(TERMS, max_size=14)), st.randoms()
)
def test_any_records_end_in_a_result_after_few_questions(zones, random):
    table = {(name, "TXT"): ["v=spf1 " + " ".join(terms)] for name, terms in zones.items()}
    zone = Zone(table)

    def answer(question):
        if question.rdtype == "TXT":
            return zone(question)
        zone.asked.append(question)
        kind = random.random()
        if kind < 0.1:
            return DnsFailure(question.name, question.rdtype, "x")
        records = {"A": ["192.0.2.9"], "MX": ["1 a.test", "2 b.test"], "PTR": ["a.test"]}.get(question.rdtype, [])
        return DnsAnswer(question.name, question.rdtype, DnsStatus.FOUND, tuple(records if kind < 0.7 else ()), "", 60)

    assert check(answer_zone(zone, answer)).result in SpfResult
    assert len(zone.asked) < 300


def answer_zone(zone, answer):
    class Answering(Zone):
        def __call__(self, question):
            return answer(question)

    return Answering({})
