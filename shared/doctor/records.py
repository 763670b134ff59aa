"""A domain's records as the world sees them against what they should be. Pure: answers come in.

What is to be published says the store (`pillarbox domain dns`); a domain may have more than that, and its own words for SPF and DMARC, as
long as they mean what they should.
"""

from collections.abc import Generator, Iterable, Sequence
from ipaddress import ip_address
from typing import Final

from shared.contract.dkim_types import DnsRecord
from shared.dns.answers import DnsAnswer, DnsFailure, parse_mx
from shared.doctor.findings import Finding, Level
from shared.mailauth.lookups import Question
from shared.mailauth.spf import SpfResult, check_host

Looking = Generator[Question, DnsAnswer | DnsFailure, list[Finding]]
SIGNS: Final = "(DKIM)"
"""In the purpose of a key that signs now; those that do not yet, or no more, may be missing."""


def look_at_domain(domain: str, wanted: Sequence[DnsRecord], addresses: Sequence[str], *, relayed: bool) -> Looking:
    """All of its records. ``addresses``: of this server, public ones; ``relayed``: mail leaves through a provider."""
    found: list[Finding] = []
    for record in wanted:
        reply = yield Question(record.name, record.type)
        if isinstance(reply, DnsFailure):
            found.append(Finding(domain, Level.UNKNOWN, f"{record.type} of {record.name} could not be asked for: {reply.reason}"))
        elif record.type == "MX":
            found.append(_judge_mx(domain, record, reply))
        elif record.name == domain:
            found += yield from _look_at_spf(domain, record, reply, addresses, relayed=relayed)
        elif record.name.startswith("_dmarc."):
            found.append(_judge_dmarc(domain, record, reply))
        else:
            found.append(_judge_key(domain, record, reply))
    return found


def _publish(record: DnsRecord) -> str:
    return f"publish: {record.name}. IN {record.type} {record.value}"


def _judge_mx(domain: str, wanted: DnsRecord, answer: DnsAnswer) -> Finding:
    hosts = [record.host for record in sorted(parse_mx(answer), key=lambda record: record.preference)]
    ours = wanted.value.partition(" ")[2].rstrip(".").lower()
    if not hosts:
        return Finding(domain, Level.PROBLEM, "no MX record: no mail comes in", _publish(wanted))
    if ours not in hosts:
        return Finding(domain, Level.PROBLEM, f"mail goes to {', '.join(hosts[:5])}, not to {ours}", _publish(wanted))
    if hosts[0] != ours:
        return Finding(domain, Level.NOTE, f"mail goes to {hosts[0]} first, then to {ours}", "give this server the lowest preference")
    return Finding(domain, Level.OK, f"mail comes to {ours} (MX)")


def texts_of(answer: DnsAnswer, version: str) -> list[str]:
    """TXT records of a kind, by the tag that they begin with."""
    return [text for text in answer.records if text.strip().lower().startswith(version)]


def _look_at_spf(
    domain: str, wanted: DnsRecord, answer: DnsAnswer, addresses: Sequence[str], *, relayed: bool
) -> Looking:
    texts = texts_of(answer, "v=spf1")
    if not texts:
        return [Finding(domain, Level.PROBLEM, "no SPF record: others take your mail for forged", _publish(wanted))]
    if len(texts) > 1:
        # RFC 7208 §4.5
        return [Finding(domain, Level.PROBLEM, "several SPF records, so none counts", "keep one of them")]
    if relayed:
        return [Finding(domain, Level.OK, f"SPF: {texts[0]} (your provider's servers must be in it)")]
    found = []
    for address in addresses:
        verdict = yield from check_host(ip_address(address), domain, f"postmaster@{domain}", domain)
        if verdict.result is SpfResult.PASS:
            found.append(Finding(domain, Level.OK, f"SPF lets {address} send"))
        elif verdict.result is SpfResult.TEMPERROR:
            found.append(Finding(domain, Level.UNKNOWN, f"SPF of {address}: {verdict.reason}"))
        else:
            seen = f"SPF does not let {address} send ({verdict.result}: {verdict.reason})"
            found.append(Finding(domain, Level.PROBLEM, seen, _publish(wanted)))
    return found or [Finding(domain, Level.UNKNOWN, "SPF is there, but this server's public addresses are not known")]


def _judge_key(domain: str, wanted: DnsRecord, answer: DnsAnswer) -> Finding:
    selector = wanted.name.partition(".")[0]
    key = _tag(wanted.value, "p")
    texts = [text for text in answer.records if _tag(text, "p") is not None]
    if any(_tag(text, "p") == key for text in texts):
        return Finding(domain, Level.OK, f"DKIM key {selector} is published")
    if not texts:
        level = Level.PROBLEM if SIGNS in wanted.purpose else Level.NOTE
        return Finding(domain, level, f"DKIM key {selector} is not published", _publish(wanted))
    return Finding(domain, Level.PROBLEM, f"another DKIM key is published as {selector}", _publish(wanted))


def _tag(text: str, name: str) -> str | None:
    """A tag's value without spaces. RFC 6376 §3.2."""
    for part in text.split(";"):
        tag, equals, value = part.partition("=")
        if equals and tag.strip() == name:
            return "".join(value.split())
    return None


def _judge_dmarc(domain: str, wanted: DnsRecord, answer: DnsAnswer) -> Finding:
    texts = texts_of(answer, "v=dmarc1")
    if len(texts) != 1:
        seen = "several DMARC records, so none counts" if texts else "no DMARC record: anybody may write in your name"
        return Finding(domain, Level.PROBLEM, seen, _publish(wanted))
    policy = (_tag(texts[0], "p") or "").lower()
    if policy in ("quarantine", "reject"):
        return Finding(domain, Level.OK, f"DMARC asks others to {policy} what is not from you")
    return Finding(domain, Level.NOTE, f"DMARC only watches (p={policy or 'missing'})", "p=quarantine, once the reports look well")


def worst(findings: Iterable[Finding]) -> Level:
    """The level that decides."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.PROBLEM, Level.UNKNOWN, Level.NOTE) if level in levels), Level.OK)
