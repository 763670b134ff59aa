"""Is it what it says it is: SPF, DKIM, ARC and DMARC of a message from elsewhere, and what follows from them.

Laws:
- Asked between "received" and "committed", for clients that neither logged in nor are local (LMTP) or in an unchecked network; bounded
  in time: what is not known by then is temperror.
- Trouble with the DNS is never a verdict: where a policy of "reject" hangs on an answer that did not come, the reply is 451.
- Nothing passes as authenticated that is not: see `shared.mailauth.authors` for what is done with odd From fields.
- Every verdict stands in the Authentication-Results field, with the reason in words, and in one log line.

RFC 7208, 6376, 8617, 9989 (7489), 8601; RFC 7372 (5.7.26).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from ipaddress import ip_address
from typing import Final

import attrs
import trio

from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction, Vouched
from shared.dns.answers import DnsFailure
from shared.dns.drive import ask, look_up
from shared.dns.resolver import Resolver
from shared.mail.content import as_content
from shared.mail.header import header_end
from shared.mailauth.authors import AuthorFault, Authors, read_authors, to_a_labels
from shared.mailauth.dkim import (
    ArcResult,
    ArcVerdict,
    DkimResult,
    DkimVerdict,
    check_arc,
    check_signatures,
    key_names,
)
from shared.mailauth.dmarc import DmarcResult, DmarcVerdict, Identifiers, Organisations, evaluate_dmarc
from shared.mailauth.dmarc_record import Disposition
from shared.mailauth.iprev import IprevResult, IprevVerdict, check_iprev
from shared.mailauth.lookups import Question
from shared.mailauth.lookups import Reply as DnsReply
from shared.mailauth.results import MethodResult, build_results
from shared.mailauth.spf import SpfResult, SpfVerdict, check_host
from shared.observe.log import Logger

INLINE_OCTETS: Final = 64 * 1024
"""Signatures of larger messages are checked in a thread."""
LARGE_AT_ONCE: Final = 1
"""Large messages whose signatures are checked at once: each takes about twice its size in memory."""
SENDERS_SHARE: Final = 0.6
"""Of the time: for what hangs on names that the sender chose."""
_STRICTNESS: Final = {Disposition.NONE: 0, Disposition.QUARANTINE: 1, Disposition.REJECT: 2}


@attrs.frozen
class Options:
    """From the settings."""

    hostname: str
    enforce: bool
    """Act on DMARC policies; otherwise they are only written down."""
    seconds: float
    unchecked: Container[str]
    organisations: Organisations | None = None
    """Of the list of public suffixes; None: the tree is walked."""


_NO_NAME: Final = IprevVerdict(IprevResult.TEMPERROR, "", "the DNS did not answer in time")
_NO_CHAIN: Final = ArcVerdict(ArcResult.NONE)


@attrs.define
class _Findings:
    """What is known so far; the defaults are what stands when time runs out."""

    spf: SpfVerdict
    iprev: IprevVerdict = _NO_NAME
    dkim: tuple[DkimVerdict, ...] = ()
    arc: ArcVerdict = _NO_CHAIN
    dmarc: tuple[DmarcVerdict, ...] = ()


class Authenticity(Policy):
    """Writes the results to ``transaction.authentication``; refuses or marks as junk what the domain's owner disowns."""

    def __init__(self, resolver: Resolver, options: Options, log: Logger) -> None:
        self._resolver = resolver
        self._options = options
        self._log = log
        self._large = trio.CapacityLimiter(LARGE_AT_ONCE)

    async def on_content(self, received: Received) -> Reply | None:
        """Waits for the DNS, for at most the seconds of the options."""
        transaction = received.transaction
        client = transaction.client
        if client.account is not None or client.submission or client.lmtp or client.ip in self._options.unchecked:
            return None
        content = as_content(received.content)
        start = transaction.front_octets
        header = content[start : header_end(content, start, len(content))]
        authors = read_authors(header)
        findings = await self._find(transaction, header, received, authors)
        transaction.authentication = build_results(self._options.hostname, _lines(transaction, findings, authors))
        transaction.verdicts = _in_words(findings, authors)
        transaction.vouched = _vouched(findings)
        reply, junk = self._decide(findings, authors)
        transaction.junk = junk
        self._log.info(
            "authenticated",
            peer=client.ip,
            spf=str(findings.spf.result),
            dkim=[f"{each.domain}={each.result}" for each in findings.dkim],
            arc=str(findings.arc.result),
            dmarc=[f"{each.domain}={each.result}" for each in findings.dmarc],
            fault=str(authors.fault) or None,
            junk=junk or None,
            reply=str(reply) if reply is not None else None,
        )
        return reply

    # --- finding out ---

    async def _find(self, transaction: Transaction, header: bytes, received: Received, authors: Authors) -> _Findings:
        domain, _ = spf_identity(transaction)
        findings = _Findings(SpfVerdict(SpfResult.TEMPERROR, domain, "the DNS did not answer in time"))
        with trio.move_on_after(self._options.seconds) as scope:
            # The names asked here are the sender's to choose: a server of his that is silent must not use up the time in which the
            # domain in From is asked for its policy.
            with trio.move_on_after(self._options.seconds * SENDERS_SHARE):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._find_spf, transaction, findings)
                    nursery.start_soon(self._find_iprev, transaction, findings)
                    nursery.start_soon(self._find_signatures, header, received, findings)
            identifiers = Identifiers(
                findings.spf.domain if findings.spf.result is SpfResult.PASS else "",
                tuple(each.domain for each in findings.dkim if each.result is DkimResult.PASS),
            )
            verdicts = [
                await look_up(evaluate_dmarc(domain, identifiers, self._options.organisations), self._resolver)
                for domain in authors.domains
            ]
            findings.dmarc = tuple(map(_faulty, verdicts)) if authors.fault else tuple(verdicts)
        if scope.cancelled_caught and not findings.dmarc:
            findings.dmarc = tuple(
                DmarcVerdict(DmarcResult.TEMPERROR, domain, Disposition.NONE, "the DNS did not answer in time")
                for domain in authors.domains
            )
        return findings

    async def _find_spf(self, transaction: Transaction, findings: _Findings) -> None:
        domain, sender = spf_identity(transaction)
        helo = transaction.client.helo
        evaluation = check_host(
            ip_address(transaction.client.ip), domain, sender, helo, receiver=self._options.hostname
        )
        findings.spf = await look_up(evaluation, self._resolver)

    async def _find_iprev(self, transaction: Transaction, findings: _Findings) -> None:
        findings.iprev = await look_up(check_iprev(ip_address(transaction.client.ip)), self._resolver)

    async def _find_signatures(self, header: bytes, received: Received, findings: _Findings) -> None:
        questions = key_names(header)
        if not questions:
            return
        answers: dict[Question, DnsReply] = {
            question: DnsFailure(question.name, "TXT", "no answer in time") for question in questions
        }
        # what stands when time runs out here
        findings.dkim = (DkimVerdict(DkimResult.TEMPERROR, "", "", "", "", "the DNS did not answer in time"),)

        async def fetch(question: Question) -> None:
            answers[question] = await ask(self._resolver, question.name, question.rdtype)

        async with trio.open_nursery() as nursery:
            for question in questions:
                nursery.start_soon(fetch, question)
        start = received.transaction.front_octets

        def check() -> tuple[tuple[DkimVerdict, ...], ArcVerdict]:
            message = bytes(as_content(received.content)[start:])
            return check_signatures(header, message, answers), check_arc(header, message, answers)

        if len(received.content) - start <= INLINE_OCTETS:
            findings.dkim, findings.arc = check()
        else:
            findings.dkim, findings.arc = await trio.to_thread.run_sync(check, limiter=self._large)

    # --- deciding ---

    def _decide(self, findings: _Findings, authors: Authors) -> tuple[Reply | None, bool]:
        """The refusal, and whether it goes to Junk."""
        if not self._options.enforce:
            return None, False
        if authors.fault is AuthorFault.SEVERAL_FIELDS:
            return replies.SEVERAL_AUTHORS, False
        failed = [each for each in findings.dmarc if each.result is DmarcResult.FAIL]
        if not failed:
            return None, authors.fault is AuthorFault.TOO_MANY
        worst = max(failed, key=lambda each: _STRICTNESS[each.disposition])
        if worst.disposition is Disposition.REJECT:
            return (replies.AUTHENTICITY_UNKNOWN if _is_unsure(findings) else replies.DISOWNED), False
        return None, worst.disposition is Disposition.QUARANTINE


def _is_unsure(findings: _Findings) -> bool:
    return findings.spf.result is SpfResult.TEMPERROR or any(
        each.result is DkimResult.TEMPERROR for each in findings.dkim
    )


def _vouched(findings: _Findings) -> Vouched:
    domains = {each.domain for each in findings.dmarc if each.result is DmarcResult.PASS}
    if findings.spf.result is SpfResult.PASS:
        domains.add(findings.spf.domain)
    return Vouched(frozenset(domains), _is_unsure(findings))


def _faulty(verdict: DmarcVerdict) -> DmarcVerdict:
    """Nothing passes for a From with a fault."""
    if verdict.result is not DmarcResult.PASS:
        return verdict
    return attrs.evolve(verdict, result=DmarcResult.PERMERROR, disposition=Disposition.NONE)


def spf_identity(transaction: Transaction) -> tuple[str, str]:
    """The domain that is asked, and the sender: of the null reverse-path it is the HELO name (RFC 7208 §2.4)."""
    sender = transaction.mail.sender
    if sender is None:
        helo = transaction.client.helo
        return to_a_labels(helo.encode()), f"postmaster@{helo}"
    return to_a_labels(sender.domain.encode()), sender.address


def _in_words(findings: _Findings, authors: Authors) -> str:
    """One line for people: ``SPF pass (example.org), DKIM fail (example.org): ...``."""
    spf = findings.spf
    parts = [f"SPF {spf.result} ({spf.domain})" if spf.domain else f"SPF {spf.result}"]
    parts += [f"DKIM {each.result} ({each.domain})" for each in findings.dkim] or ["no DKIM signature"]
    parts += [f"DMARC {each.result} ({each.domain})" for each in findings.dmarc]
    if authors.fault:
        parts.append(str(authors.fault))
    return ", ".join(parts)


def _lines(transaction: Transaction, findings: _Findings, authors: Authors) -> Sequence[MethodResult]:
    identity = (
        ("smtp.mailfrom", transaction.sender) if transaction.mail.sender else ("smtp.helo", transaction.client.helo)
    )
    iprev, spf = findings.iprev, findings.spf
    results = [
        MethodResult("iprev", str(iprev.result), iprev.reason, (("policy.iprev", transaction.client.ip),)),
        MethodResult("spf", str(spf.result), spf.reason, (identity,)),
    ]
    results += [
        MethodResult(
            "dkim",
            str(each.result),
            each.reason,
            (
                ("header.d", each.domain),
                ("header.s", each.selector),
                ("header.a", each.algorithm),
                ("header.b", each.signature),
            ),
        )
        for each in findings.dkim
    ] or [MethodResult("dkim", str(DkimResult.NONE), "no signature")]
    if findings.arc.result is not ArcResult.NONE:
        results.append(
            MethodResult("arc", str(findings.arc.result), findings.arc.reason, (("header.d", findings.arc.domain),))
        )
    if authors.fault:
        results.append(MethodResult("dmarc", str(DmarcResult.PERMERROR), authors.fault))
    results += [
        MethodResult(
            "dmarc",
            str(each.result),
            each.reason + (f"; policy {each.disposition}" if each.result is not DmarcResult.NONE else ""),
            (("header.from", each.domain),),
        )
        for each in findings.dmarc
    ]
    return results
