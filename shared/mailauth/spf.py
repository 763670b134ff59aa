"""check_host() of RFC 7208 §4, as a generator that asks its DNS questions (see `lookups`).

Laws:
- Any record, any answers, any identity end in one of the seven results; nothing here raises.
- At most MAX_LOOKUPS terms that ask the DNS, MAX_VOID_LOOKUPS of them in vain, MAX_NAMES hosts of one mx or ptr (RFC 7208 §4.6.4):
  beyond that permerror. So an evaluation asks at most a few hundred questions, whatever the records say.
- A lookup that fails is temperror (§2.6.6), never a verdict; in `ptr` and for the explanation it counts as "nothing" (§5.5, §6.2).
- Names with empty or overlong labels match nothing: they are not asked for (§4.8 leaves it open).

Every result says in words which term decided, for the header and the trace.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import attrs

from shared.dns.answers import DnsAnswer, DnsFailure, parse_mx
from shared.mailauth.lookups import Evaluation, Question, Reply
from shared.mailauth.spf_macros import MAX_NAME_CHARACTERS, MacroValues, dotted, expand, expand_domain
from shared.mailauth.spf_record import (
    Kind,
    Mechanism,
    Qualifier,
    SpfRecord,
    SpfSyntaxError,
    check_macros,
    is_spf_record,
    parse_spf,
)

MAX_LOOKUPS: Final = 10
MAX_VOID_LOOKUPS: Final = 2
MAX_NAMES: Final = 10
MAX_EXPLANATION_CHARACTERS: Final = 400
_EXPLANATION_LETTERS: Final = frozenset("slodiphvcrt")

IpAddress = IPv4Address | IPv6Address


class SpfResult(StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105  a result, no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_RESULT_OF: Final = {
    Qualifier.PASS: SpfResult.PASS,
    Qualifier.FAIL: SpfResult.FAIL,
    Qualifier.SOFTFAIL: SpfResult.SOFTFAIL,
    Qualifier.NEUTRAL: SpfResult.NEUTRAL,
}


@attrs.frozen
class SpfVerdict:
    """What check_host() says. ``reason``: the deciding term or the trouble, in words. ``explanation``: the sender's, §6.2."""

    result: SpfResult
    domain: str
    reason: str
    explanation: str = ""


class _Ended(Exception):
    """Evaluation stops with temperror or permerror."""

    def __init__(self, result: SpfResult, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


def check_host(
    ip: IpAddress, domain: str, sender: str, helo: str, *, receiver: str = "unknown", now: int = 0
) -> Evaluation[SpfVerdict]:
    """The verdict on a client that sends as `sender` (an address, or a domain alone) of `domain`.

    `domain` is the MAIL FROM's, or the HELO name with `sender` the same (§2.3, §2.4). `receiver` and `now` (seconds since 1970) are
    for macros of explanations.
    """
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        # RFC 7208 §5: an IPv4-mapped address is the IPv4 address
        ip = ip.ipv4_mapped
    domain = domain.removesuffix(".").lower()
    if not sender.rpartition("@")[0]:
        # RFC 7208 §4.3
        sender = "postmaster@" + sender.rpartition("@")[2]
    if not _is_domain(domain) or "." not in domain:
        return SpfVerdict(SpfResult.NONE, domain, "not a domain name that could have a record")
    evaluation = _Evaluation(MacroValues(ip, sender, domain, helo, receiver, now=now))
    try:
        return (yield from evaluation.check(domain, outermost=True))
    except _Ended as ended:
        return SpfVerdict(ended.result, domain, ended.reason)


def _is_domain(name: str) -> bool:
    labels = name.split(".")
    return 0 < len(name) <= MAX_NAME_CHARACTERS and all(0 < len(label) <= 63 for label in labels)


class _Evaluation:
    """One run of check_host() with its limits."""

    def __init__(self, values: MacroValues) -> None:
        self._values = values
        self._ip = values.ip
        self._lookups = 0
        self._voids = 0
        self._validated: dict[str, list[str]] = {}

    # --- levels ---

    def check(self, domain: str, *, outermost: bool) -> Evaluation[SpfVerdict]:
        """One level: the record of a domain."""
        record = yield from self._record(domain)
        if record is None:
            return SpfVerdict(SpfResult.NONE, domain, f"{domain} publishes no SPF record")
        values = attrs.evolve(self._values, domain=domain)
        for mechanism in record.mechanisms:
            if (yield from self._matches(mechanism, values)):
                result = _RESULT_OF[mechanism.qualifier]
                explanation = ""
                if outermost and result is SpfResult.FAIL and record.explanation:
                    explanation = yield from self._explanation(record.explanation, values)
                return SpfVerdict(result, domain, f"{domain} says {mechanism.text}", explanation)
        if record.redirect:
            return (yield from self._redirected(record.redirect, values, outermost=outermost))
        # RFC 7208 §4.7
        return SpfVerdict(SpfResult.NEUTRAL, domain, f"no term of {domain}'s record matches")

    def _redirected(self, spec: str, values: MacroValues, *, outermost: bool) -> Evaluation[SpfVerdict]:
        """RFC 7208 §6.1."""
        self._count_lookup()
        target = (yield from self._target(spec, values)).lower()
        verdict = None
        if _is_domain(target):
            verdict = yield from self.check(target, outermost=outermost)
        if verdict is None or verdict.result is SpfResult.NONE:
            raise _Ended(SpfResult.PERMERROR, f"{values.domain} redirects to {target[:80]}, which has no SPF record")
        return verdict

    def _record(self, domain: str) -> Evaluation[SpfRecord | None]:
        """RFC 7208 §4.4, §4.5. None: there is none."""
        reply = yield Question(domain, "TXT")
        if isinstance(reply, DnsFailure):
            raise _Ended(SpfResult.TEMPERROR, f"the SPF record of {domain} could not be asked for: {reply.reason}")
        records = [text for text in reply.records if is_spf_record(text)]
        if not records:
            return None
        if len(records) > 1:
            raise _Ended(SpfResult.PERMERROR, f"{domain} publishes {len(records)} SPF records")
        try:
            return parse_spf(records[0])
        except SpfSyntaxError as error:
            raise _Ended(SpfResult.PERMERROR, f"the SPF record of {domain} is wrong: {error}") from None

    # --- mechanisms ---

    def _matches(self, mechanism: Mechanism, values: MacroValues) -> Evaluation[bool]:
        match mechanism.kind:
            case Kind.ALL:
                return True
            case Kind.IP4 | Kind.IP6:
                network = mechanism.network
                return network is not None and network.version == self._ip.version and self._ip in network
            case Kind.INCLUDE:
                return (yield from self._included(mechanism, values))
        self._count_lookup()
        target = values.domain
        if mechanism.domain:
            target = yield from self._target(mechanism.domain, values)
        if not _is_domain(target):
            return False
        match mechanism.kind:
            case Kind.A:
                return self._covers(mechanism, (yield from self._addresses(target)))
            case Kind.MX:
                return (yield from self._mail_host(mechanism, target))
            case Kind.EXISTS:
                # RFC 7208 §5.7: always A
                return bool((yield from self._ask(target, "A")).records)
        names = yield from self._validated_names(target)
        return any(_is_within(name, target.lower()) for name in names)

    def _included(self, mechanism: Mechanism, values: MacroValues) -> Evaluation[bool]:
        """RFC 7208 §5.2."""
        self._count_lookup()
        target = (yield from self._target(mechanism.domain, values)).lower()
        verdict = None
        if _is_domain(target):
            verdict = yield from self.check(target, outermost=False)
        if verdict is None or verdict.result is SpfResult.NONE:
            raise _Ended(SpfResult.PERMERROR, f"{values.domain} includes {target[:80]}, which has no SPF record")
        return verdict.result is SpfResult.PASS

    def _mail_host(self, mechanism: Mechanism, target: str) -> Evaluation[bool]:
        """RFC 7208 §5.4."""
        hosts = parse_mx((yield from self._ask(target, "MX")))
        if len(hosts) > MAX_NAMES:
            raise _Ended(SpfResult.PERMERROR, f"{target} has more than {MAX_NAMES} MX records")
        for host in sorted(hosts, key=lambda each: each.preference):
            if _is_domain(host.host) and self._covers(
                mechanism, (yield from self._addresses(host.host, counted=False))
            ):
                return True
        return False

    def _covers(self, mechanism: Mechanism, addresses: tuple[str, ...]) -> bool:
        prefix = mechanism.prefix4 if self._ip.version == 4 else mechanism.prefix6
        for text in addresses:
            try:
                network: IPv4Network | IPv6Network = ip_network(f"{text}/{prefix}", strict=False)
            except ValueError:
                continue
            if network.version == self._ip.version and self._ip in network:
                return True
        return False

    # --- asking ---

    def _count_lookup(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise _Ended(SpfResult.PERMERROR, f"more than {MAX_LOOKUPS} terms ask the DNS")

    def _ask(self, name: str, rdtype: str, *, counted: bool = True) -> Generator[Question, Reply, DnsAnswer]:
        """An answer; empty ones count as void lookups (RFC 7208 §4.6.4)."""
        reply = yield Question(name, rdtype)
        if isinstance(reply, DnsFailure):
            raise _Ended(SpfResult.TEMPERROR, f"{rdtype} of {name} could not be asked for: {reply.reason}")
        if not reply.records and counted:
            self._voids += 1
            if self._voids > MAX_VOID_LOOKUPS:
                raise _Ended(SpfResult.PERMERROR, f"more than {MAX_VOID_LOOKUPS} lookups found nothing")
        return reply

    def _addresses(self, name: str, *, counted: bool = True) -> Evaluation[tuple[str, ...]]:
        rdtype = "A" if self._ip.version == 4 else "AAAA"
        return (yield from self._ask(name, rdtype, counted=counted)).records

    def _validated_names(self, domain: str) -> Evaluation[list[str]]:
        """RFC 7208 §5.5: names of the client's address that lead back to it; those within `domain` first. Failures count as nothing."""
        known = self._validated.get(domain)
        if known is not None:
            return known
        suffix = "in-addr.arpa" if self._ip.version == 4 else "ip6.arpa"
        reversed_ip = ".".join(reversed(dotted(self._ip).split(".")))
        reply = yield Question(f"{reversed_ip}.{suffix}", "PTR")
        names = [] if isinstance(reply, DnsFailure) else list(reply.records[:MAX_NAMES])
        rdtype = "A" if self._ip.version == 4 else "AAAA"
        found: list[str] = []
        for name in names:
            if not _is_domain(name):
                continue
            answer = yield Question(name, rdtype)
            if not isinstance(answer, DnsFailure) and any(_is_address(text, self._ip) for text in answer.records):
                found.append(name.lower())
        found.sort(key=lambda name: (name != domain, not _is_within(name, domain)))
        self._validated[domain] = found
        return found

    def _target(self, spec: str, values: MacroValues) -> Evaluation[str]:
        return expand_domain(spec, (yield from self._with_name(spec, values)))

    def _with_name(self, spec: str, values: MacroValues) -> Evaluation[MacroValues]:
        """The values, with the p macro looked up only where the text needs it."""
        if "%{p" not in spec.lower():
            return values
        names = yield from self._validated_names(values.domain)
        return attrs.evolve(values, validated_name=names[0] if names else "unknown")

    def _explanation(self, spec: str, values: MacroValues) -> Evaluation[str]:
        """RFC 7208 §6.2: the sender's own words, bounded, or nothing at any trouble."""
        target = yield from self._target(spec, values)
        if not _is_domain(target):
            return ""
        reply = yield Question(target, "TXT")
        if isinstance(reply, DnsFailure) or len(reply.records) != 1:
            return ""
        text = reply.records[0]
        try:
            check_macros(text, _EXPLANATION_LETTERS)
        except SpfSyntaxError:
            return ""
        said = expand(text, (yield from self._with_name(text, values)))
        if not said.isascii() or not said.isprintable():
            return ""
        return said[:MAX_EXPLANATION_CHARACTERS]


def _is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)


def _is_address(text: str, ip: IpAddress) -> bool:
    try:
        return ip_address(text) == ip
    except ValueError:
        return False
