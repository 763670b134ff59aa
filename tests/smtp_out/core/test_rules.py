"""Tables of the pure rules: routing plan, refused addresses, retry schedule, outcomes, jobs and hops, fitting a hop."""

from __future__ import annotations

import random

import pytest

from services.smtp_out import outcome
from services.smtp_out.attempt import ascii_domain, fit_recipient
from services.smtp_out.destination import FIRST_SESSIONS, REQUEUES, Destination, group_jobs
from services.smtp_out.egress.ways import Choice, relay_way
from services.smtp_out.outcome import Result, from_refused_session, from_verdict
from services.smtp_out.plan import MAX_HOSTS, Hosts, Refusal, plan_hosts, plan_literal, refuse_address
from services.smtp_out.protocol.capabilities import Capabilities
from services.smtp_out.protocol.flow import Step
from services.smtp_out.protocol.reply import Reply
from services.smtp_out.protocol.transaction import Verdict
from services.smtp_out.retry import Schedule, next_attempt_at, retry_delay_seconds
from services.smtp_out.row import Job
from shared.contract.types import OutcomeKind, QueueEntry
from shared.dns.answers import DnsAnswer, DnsStatus, MxRecord
from shared.model.ids import EntryId


def entry(number: int = 1, *, message: int = 1, destination: str = "b.test", **fields: object) -> QueueEntry:
    values: dict[str, object] = {
        "entry_id": EntryId(number), "message_id": message, "destination": destination, "trace": "t", "sender": "s@a.test",
        "recipient": f"r{number}@{destination}", "original": "", "octets": 100, "smtputf8": False, "eight_bit": False,
        "queued_at": 0.0, "expires_at": 1e6, "attempts": 0, "account_id": None, **fields,
    }  # fmt: skip
    return QueueEntry(**values)  # type: ignore[arg-type]  # the table's values have the right types


# --- plan ---

MX = DnsStatus.FOUND


def plan(status: DnsStatus, *records: tuple[int, str], own: tuple[str, ...] = ("me.test",)) -> Hosts | Refusal:
    answer = DnsAnswer("b.test", "MX", status, (), "b.test", 60)
    return plan_hosts("b.test", answer, [MxRecord(*record) for record in records], own, random.Random(1))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (plan(MX, (20, "z"), (10, "a"), (30, "m")), ("a", "z", "m")),
        (plan(DnsStatus.NO_DATA), ("b.test",)),
        (plan(MX, (10, "a"), (20, "me.test"), (20, "c"), (30, "d")), ("a",)),
        (plan(MX, (10, "a"), (10, "a"), (20, "a")), ("a",)),
        (plan(MX, (0, ""), (10, "a")), ("a",)),
    ],
)
def test_hosts(result: Hosts | Refusal, expected: tuple[str, ...]) -> None:
    assert result == Hosts(expected)


@pytest.mark.parametrize(
    ("result", "enhanced"),
    [
        (plan(DnsStatus.NO_NAME), "5.1.2"),
        (plan(MX, (0, "")), "5.1.10"),
        (plan(MX, (10, "me.test"), (10, "a")), "5.4.6"),
    ],
)
def test_refusals(result: Hosts | Refusal, enhanced: str) -> None:
    assert isinstance(result, Refusal)
    assert result.enhanced == enhanced


def test_one_preference_is_shuffled_and_the_set_is_bounded() -> None:
    answer = DnsAnswer("b.test", "MX", MX, (), "b.test", 60)
    records = [MxRecord(10, f"h{i:03}") for i in range(500)]
    orders = {plan_hosts("b.test", answer, records, (), random.Random(seed)) for seed in range(5)}
    assert len(orders) == 5
    assert all(isinstance(hosts, Hosts) and len(hosts.names) == MAX_HOSTS for hosts in orders)


def test_literals() -> None:
    assert plan_literal("b.test") is None
    assert plan_literal("[192.0.2.1]") == Hosts(("192.0.2.1",), literal=True)
    assert plan_literal("[IPv6:2001:db8::1]") == Hosts(("2001:db8::1",), literal=True)
    assert isinstance(plan_literal("[nonsense]"), Refusal)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("8.8.8.8", True, True), ("2606:4700::1111", True, True),
        ("0.0.0.0", False, False), ("::", False, False), ("224.0.0.1", False, False), ("ff02::1", False, False),
        ("255.255.255.255", False, False), ("::ffff:0.0.0.0", False, False), ("nonsense", False, False),
        ("127.0.0.1", False, True), ("::1", False, True), ("10.1.2.3", False, True), ("192.168.1.1", False, True),
        ("169.254.1.1", False, True), ("fe80::1", False, True), ("fd00::1", False, True), ("::ffff:127.0.0.1", False, True),
        ("100.64.0.1", False, True),
    ],
)  # fmt: skip
def test_refused_addresses(address: str, public: bool, private: bool) -> None:
    assert (refuse_address(address, False) is None) == public
    assert (refuse_address(address, True) is None) == private


# --- retry ---


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (8, 7680), (9, 14400), (60, 14400), (10**9, 14400)]
)
def test_delays(attempts: int, seconds: float) -> None:
    rng = random.Random(1)
    delays = [retry_delay_seconds(Schedule(), attempts, rng) for _ in range(100)]
    assert 0.8 * seconds <= min(delays) < seconds < max(delays) <= 1.2 * seconds


def test_the_last_attempt_falls_on_the_end() -> None:
    rng = random.Random(1)
    assert next_attempt_at(Schedule(), 9, 1000.0, 1010.0, rng) == 1010.0
    assert next_attempt_at(Schedule(), 9, 1010.0, 1010.0, rng) is None


def test_five_days_are_a_bounded_number_of_attempts() -> None:
    rng, now, attempts = random.Random(1), 0.0, 0
    while True:
        attempts += 1
        again = next_attempt_at(Schedule(), attempts, now, 5 * 86400.0, rng)
        if again is None:
            break
        assert again > now
        now = again
    assert now == 5 * 86400.0
    assert 30 <= attempts <= 50


# --- outcome ---

D, F, S = OutcomeKind.DEFERRED, OutcomeKind.FAILED, OutcomeKind.DELIVERED


@pytest.mark.parametrize(
    ("step", "code", "line", "kind", "enhanced"),
    [
        (Step.END, 250, "2.0.0 ok", S, "2.0.0"),
        (Step.END, 250, "ok", S, "2.0.0"),
        (Step.END, 451, "4.3.0 x", D, "4.3.0"),
        (Step.END, 554, "x", F, "5.0.0"),
        (Step.RCPT, 550, "5.1.1 x", F, "5.1.1"),
        (Step.RCPT, 550, "x", F, "5.1.0"),
        (Step.RCPT, 450, "x", D, "4.1.0"),
        (Step.RCPT, 552, "5.5.3 too many", D, "4.5.3"),
        (Step.MAIL, 552, "5.3.4 too big", F, "5.3.4"),
        (Step.MAIL, 421, "x", D, "4.1.0"),
        (Step.DATA, 503, "x", F, "5.0.0"),
    ],
)
def test_verdicts(step: Step, code: int, line: str, kind: OutcomeKind, enhanced: str) -> None:
    result = from_verdict(Verdict(step, Reply(code, (line,))))
    assert (result.kind, result.enhanced, result.code) == (kind, enhanced, code)


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH])
@pytest.mark.parametrize("code", [421, 554, 354])
def test_a_refused_session_only_defers(step: Step, code: int) -> None:
    result = from_refused_session(step, Reply(code, ("5.7.1 go away",)))
    assert result.kind is D
    assert result.enhanced.startswith("4.")


def test_expiry_tells_the_last_reason() -> None:
    result = outcome.expired(outcome.deferred("4.4.1", "connection refused"), 5.0)
    assert (result.kind, result.enhanced) == (F, "5.4.7")
    assert "5 days" in result.text
    assert "connection refused" in result.text


# --- what the hop can take ---

FULL = Capabilities(esmtp=True, eight_bit=True, smtputf8=True, size_offered=True, max_size=1000)
BARE = Capabilities()


@pytest.mark.parametrize(
    ("queued", "capabilities", "octets", "expected"),
    [
        (entry(), BARE, 1001, "r1@b.test"),
        (entry(), FULL, 1000, "r1@b.test"),
        (entry(octets=10), FULL, 1001, "5.3.4"),  # what is sent counts
        (entry(recipient="실험@b.test", smtputf8=True), FULL, 1, "실험@b.test"),
        (entry(recipient="실험@b.test", smtputf8=True), BARE, 1, "5.6.7 실험@b.test"),
        (entry(sender="실험@한국.test"), BARE, 1, "5.6.7 실험@xn--3e0b707e.test"),
        (entry(recipient="r@한국.test"), BARE, 1, "r@xn--3e0b707e.test"),
        (entry(sender="s@한국.test"), BARE, 1, "r1@b.test"),
        (entry(recipient="a\r\nb@b.test"), FULL, 1, "5.1.3"),
    ],
)
def test_fit(queued: QueueEntry, capabilities: Capabilities, octets: int, expected: str) -> None:
    fit = fit_recipient(queued, capabilities, octets)
    if isinstance(fit, Result):
        code, _, word = expected.partition(" ")
        assert fit.enhanced == code
        assert word in fit.text
    else:
        assert fit == expected


def test_ascii_domain_leaves_what_cannot_be() -> None:
    assert ascii_domain("") == ""
    assert ascii_domain("a@" + "한" * 70 + ".test") == "a@" + "한" * 70 + ".test"


# --- jobs and hops ---


def test_jobs_group_by_message_and_hop() -> None:
    entries = [entry(1), entry(2), entry(3, message=2), entry(4, destination="c.test"), entry(5)]
    by_domain = group_jobs(entries, lambda _: Choice(), 2)
    assert [job.ids for job in by_domain] == [(1, 2), (5,), (3,), (4,)]
    smart = group_jobs(entries, lambda _: Choice(relay_way("smart")), 100)
    assert [job.ids for job in smart] == [(1, 2, 4, 5), (3,)]
    assert {job.key for job in smart} == {"(relay smart)"}


def test_entries_of_one_message_with_different_ways_do_not_share_a_job() -> None:
    entries = [entry(1), entry(2), entry(3)]
    ways = {1: Choice(), 2: Choice(relay_way("a")), 3: Choice(automatic=True)}
    jobs = group_jobs(entries, lambda one: ways[one.entry_id], 100)
    assert [(job.key, job.ids, job.choice) for job in jobs] == [
        ("b.test", (1,), ways[1]),
        ("(relay a)", (2,), ways[2]),
        ("b.test", (3,), ways[3]),
    ]


def steps(words: str) -> list[int]:
    """The bound on sessions after each word, of a hop that may have 4 at the most."""
    hop = Destination("b.test", 4)
    bounds = []
    for word in words.split():
        match word:
            case "open":
                hop.session_opened()
            case "end":
                hop.session_ended()
            case "delivered":
                hop.delivered()
            case "trouble":
                hop.trouble(Job("b.test", (entry(99),)))
        bounds.append(hop.limit)
    return bounds


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        ("", []),
        ("open", [2]),
        ("open open delivered delivered delivered", [2, 2, 3, 4, 4]),
        # trouble while others work shrinks it to those; success lets it grow again
        ("open open open delivered delivered trouble delivered", [2, 2, 2, 3, 4, 3, 4]),
        ("open open trouble end trouble", [2, 2, 2, 2, 1]),
        # trouble when nobody works: the hop is down; the next time it begins with one
        ("trouble open end", [1, 2, 1]),
        ("open delivered delivered end open", [2, 3, 4, 1, 2]),
    ],
)
def test_sessions_grow_with_success_and_shrink_with_trouble(words: str, bounds: list[int]) -> None:
    assert steps(words) == bounds


def test_lanes_follow_the_jobs_and_the_bound() -> None:
    hop = Destination("b.test", 8)
    assert hop.lanes_wanted(20) == 1
    hop.lanes = 1
    assert hop.lanes_wanted(20) == 0
    hop.session_opened()
    assert hop.lanes_wanted(20) == FIRST_SESSIONS - 1
    assert hop.lanes_wanted(0) == 0
    hop.idle = 1
    assert hop.lanes_wanted(1) == 0


def test_a_job_waits_for_sessions_that_work_but_not_for_ever() -> None:
    hop = Destination("b.test", 8)
    job = Job("b.test", (entry(1),))
    hop.session_opened()
    assert all(hop.trouble(job) for _ in range(REQUEUES))
    assert not hop.trouble(job)
    hop.session_ended()
    assert not hop.trouble(Job("b.test", (entry(99),)))
