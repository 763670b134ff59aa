"""Which way a message takes: the rules' order, the signs in what servers say, the learner's moves, probes and bounds."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_out.egress import learner as module
from services.smtp_out.egress.learner import Attempt, Judgement, Learner
from services.smtp_out.egress.rules import RuleBook
from services.smtp_out.egress.signs import NO_IPV4, Sign, over_ipv6, sign_of
from services.smtp_out.egress.ways import DIRECT, IPV4, Choice, Way, relay_way
from services.smtp_out.options import TlsPolicy, tls_policy
from services.smtp_out.outcome import Result
from shared.contract.relay_types import ANYWHERE, MAX_REASON, SETTINGS, LearnedWay, RelayRule
from shared.contract.types import OutcomeKind

F, D, OK = OutcomeKind.FAILED, OutcomeKind.DEFERRED, OutcomeKind.DELIVERED
A, B = relay_way("a"), relay_way("b")

# --- rules ---

RULES = (
    RelayRule("us.test", "them.test", "both"),
    RelayRule("us.test", "", "sender"),
    RelayRule("", "them.test", "recipient"),
    RelayRule("", "plain.test", "direct"),
    RelayRule("", "lost.test", "gone"),
    RelayRule("", "", "all"),
)
RELAYS = ("both", "sender", "recipient", "all", "entry")


@pytest.mark.parametrize(
    ("sender", "destination", "route", "expected"),
    [
        ("us.test", "them.test", "entry", "entry"),
        ("us.test", "them.test", "direct", ""),
        ("us.test", "them.test", "", "both"),
        ("us.test", "other.test", "", "sender"),
        ("us.test", "plain.test", "", "sender"),  # the sender's domain goes before the recipient's
        ("ours.test", "them.test", "", "recipient"),
        ("ours.test", "plain.test", "", ""),
        ("ours.test", "other.test", "", "all"),
        ("", "them.test", "", "recipient"),
        ("", "other.test", "", "all"),
        ("ours.test", "lost.test", "", "all"),  # a relay that is gone says nothing
        ("ours.test", "other.test", "gone", "all"),
    ],
)
def test_the_most_particular_word_wins(sender: str, destination: str, route: str, expected: str) -> None:
    way = relay_way(expected) if expected else DIRECT
    assert RuleBook(RULES, RELAYS).choose(sender, destination, route) == Choice(way)


def test_without_a_word_the_settings_decide_or_nobody() -> None:
    assert RuleBook((), (SETTINGS,)).choose("us.test", "them.test") == Choice(relay_way(SETTINGS))
    assert RuleBook((), ("a",)).choose("us.test", "them.test") is None
    assert RuleBook((RelayRule("", "", "direct"),), (SETTINGS,)).choose("us.test", "them.test") == Choice(DIRECT)


def test_words_and_hops_of_ways() -> None:
    assert [way.words for way in (DIRECT, IPV4, A, relay_way(SETTINGS))] == ["", "IPv4 only", "via relay a", ""]
    assert len({way.hop_key("x.test") for way in (DIRECT, IPV4, A, B)}) == 4
    assert A.hop_key("x.test") == A.hop_key("y.test")


@pytest.mark.parametrize(
    ("word", "port", "policy"),
    [
        ("required", 587, TlsPolicy.REQUIRED),
        ("required", 465, TlsPolicy.IMPLICIT),
        ("implicit", 2465, TlsPolicy.IMPLICIT),
        ("none", 465, TlsPolicy.NONE),
    ],
)
def test_tls_of_a_relay(word: str, port: int, policy: TlsPolicy) -> None:
    assert tls_policy(word, port) is policy


# --- signs ---

REFUSALS = [
    (550, "5.7.1", "[2001:db8::1] Our system has detected that this message does not meet IPv6 sending guidelines regarding PTR records"),
    (550, "5.7.25", "[192.0.2.1] The IP address sending this message does not have a PTR record"),
    (550, "5.7.26", "This message does not pass authentication checks (SPF and DKIM both do not pass)"),
    (550, "5.7.1", "Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150)"),
    (550, "5.7.1", "Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org"),
    (554, "5.7.1", "Client host rejected: cannot find your reverse hostname, [192.0.2.1]"),
    (450, "4.7.25", "Client host rejected: cannot find your hostname"),
    (554, "", "Your IP address is listed in our blacklist"),
    (521, "", "192.0.2.1 is blocked, see our page"),
    (554, "5.7.1", "Mail from dynamic IP addresses is not taken here"),
    (421, "4.7.0", "Your IP has a poor reputation"),
    (550, "5.7.606", "Access denied, banned sending IP [192.0.2.1]; the address is banned"),
    (553, "5.3.0", "DNSBL:RBL 521< 192.0.2.1 >_is_blocked"),
    (550, "5.7.1", "connections from your server are refused, your server is rejected"),
]


@pytest.mark.parametrize(("code", "enhanced", "text"), REFUSALS)
def test_refusals_of_our_address(code: int, enhanced: str, text: str) -> None:
    kind = F if code >= 500 else D
    assert sign_of(Result(kind, enhanced, text, code, "MAIL"), direct=True) is Sign.REFUSED


@pytest.mark.parametrize(
    ("kind", "code", "enhanced", "text", "step"),
    [
        (OK, 250, "2.0.0", "taken, not listed by spamhaus", "end of data"),
        (F, 550, "5.1.1", "the address is not listed in our directory", "RCPT"),
        (F, 550, "5.2.1", "this address is blocked", "RCPT"),
        (F, 550, "5.7.1", "only members may write to this list", "RCPT"),
        (F, 554, "5.7.1", "the message looks like spam", "end of data"),
        (F, 552, "5.7.0", "this kind of attachment is blocked", "end of data"),
        (D, 450, "4.7.1", "you have been greylisted, your IP address is blocked for 5 minutes", "RCPT"),
        (D, 421, "4.3.2", "too many connections", "greeting"),
        (D, 0, "4.4.3", "no answer", "DNS"),
        (D, 0, "4.4.2", "the server closed the connection, its host is listed", "MAIL"),
        (F, 550, "5.7.1", "relay access denied", "RCPT"),
    ],
)
def test_what_is_about_something_else(kind: OutcomeKind, code: int, enhanced: str, text: str, step: str) -> None:
    assert sign_of(Result(kind, enhanced, text, code, step), direct=True) is Sign.NONE


@pytest.mark.parametrize(
    ("step", "code", "direct", "sign"),
    [
        ("connect", 0, True, Sign.UNREACHABLE),
        ("connect", 0, False, Sign.UNREACHABLE),
        ("AUTH", 535, False, Sign.UNREACHABLE),
        ("AUTH", 0, False, Sign.UNREACHABLE),
        ("TLS handshake", 0, False, Sign.UNREACHABLE),
        ("TLS handshake", 0, True, Sign.NONE),
        ("greeting", 554, True, Sign.REFUSED),
        ("greeting", 421, True, Sign.NONE),
        (NO_IPV4, 0, True, Sign.REFUSED),
    ],
)
def test_trouble_before_any_mail(step: str, code: int, direct: bool, sign: Sign) -> None:
    assert sign_of(Result(D, "4.3.2", "no", code, step), direct=direct) is sign


def test_the_address_family_of_a_host() -> None:
    assert over_ipv6("mx.b.test[2001:db8::1]:25")
    assert not over_ipv6("mx.b.test[192.0.2.1]:25")
    assert not over_ipv6("")


# --- the learner ---

LISTED = Result(F, "5.7.1", "client [192.0.2.1] blocked using zen.spamhaus.org", 554, "MAIL")
SILENT = Result(D, "4.4.1", "no answer in time", 0, "connect")
TAKEN = Result(OK, "2.0.0", "taken", 250, "end of data")
UNKNOWN = Result(F, "5.1.1", "no such user", 550, "RCPT")
LATER = Result(D, "4.2.0", "later", 451, "RCPT")
V4, V6 = "mx[192.0.2.7]:25", "mx[2001:db8::7]:25"
NOW = 1_000_000.0


def learner(*ways: LearnedWay, fallbacks: tuple[str, ...] = ("a", "b")) -> Learner:
    made = Learner()
    made.load(ways, fallbacks)
    return made


def judge(
    one: Learner, result: Result, way: Way = DIRECT, *, to: str = "x.test", remote: str = V4, attempts: int = 0, now: float = NOW
) -> Judgement:
    return one.judge(Attempt(to, way, remote, attempts), result, now)


def test_a_refused_destination_moves_and_its_message_is_tried_again_at_once() -> None:
    one = learner()
    judged = judge(one, LISTED)
    assert (judged.result.kind, judged.result.soon, judged.result.code) == (D, True, 554)
    assert judged.result.text.endswith("(tried again via relay a)")
    (learned,) = judged.learned
    assert (learned.destination, learned.way, learned.times) == ("x.test", "a", 1)
    assert learned.reason.startswith("refused: client")
    assert one.choose("x.test", NOW + 1).way == A
    assert one.choose("y.test", NOW + 1) == Choice(DIRECT, automatic=True)


def test_ways_in_their_order_and_the_last_refusal_stands() -> None:
    one = learner()
    taken = []
    remote = V6
    for _ in range(10):
        way = one.choose("x.test", NOW).way
        taken.append(way)
        judged = judge(one, LISTED, way, remote=remote)
        if not judged.result.soon:
            break
        remote = V4
    assert taken == [DIRECT, IPV4, A, B]
    assert judged == Judgement(LISTED)


def test_a_refusal_over_ipv4_goes_past_the_way_without_ipv6() -> None:
    assert judge(learner(), LISTED, remote=V4).learned[0].way == "a"
    no_ipv4 = Result(D, "4.4.4", "no IPv4 address", 0, NO_IPV4)
    one = learner()
    judge(one, LISTED, remote=V6)
    assert judge(one, no_ipv4, IPV4, remote="").learned[0].way == "a"


def test_what_goes_direct_while_its_destination_has_moved_follows_and_teaches_nothing() -> None:
    one = learner()
    judge(one, LISTED)
    judged = judge(one, LISTED)
    assert judged.result.soon
    assert judged.learned == ()
    # one that got through meanwhile does not turn it back: the next would bounce between the ways
    assert judge(one, TAKEN).forgotten == ()
    assert one.settled("x.test") == A


def test_without_a_fallback_nothing_is_learned() -> None:
    known = LearnedWay("x.test", "a", "", NOW, NOW + 100)
    one = learner(known, fallbacks=())
    assert one.choose("x.test", NOW) == Choice(DIRECT, automatic=True)
    assert judge(one, LISTED) == Judgement(LISTED)
    assert dict(one.ways) == {}


def test_a_probe_that_gets_through_ends_it() -> None:
    known = LearnedWay("x.test", "a", "", NOW - 100, NOW)
    one = learner(known)
    assert one.choose("x.test", NOW - 1).way == A
    assert one.choose("x.test", NOW) == Choice(DIRECT, automatic=True, probe=True)
    assert one.choose("x.test", NOW).way == A  # one probe at a time
    assert judge(one, LATER) == Judgement(LATER)  # says nothing yet
    assert one.choose("x.test", NOW + module.PROBE_SECONDS).probe
    judged = judge(one, UNKNOWN)  # a word about the recipient: they talk to us
    assert judged == Judgement(UNKNOWN, forgotten=("x.test",))
    assert one.choose("x.test", NOW).way == DIRECT


def test_a_probe_that_is_refused_makes_it_hold_twice_as_long() -> None:
    one = learner(LearnedWay("x.test", "a", "", NOW - 100, NOW))
    assert one.choose("x.test", NOW).probe
    judged = judge(one, LISTED)
    assert judged.result.soon
    (again,) = judged.learned
    assert (again.way, again.times, again.until - NOW) == ("a", 2, 2 * module.REFUSED_SECONDS)
    assert one.choose("x.test", NOW).way == A
    for _ in range(20):
        now = one.ways["x.test"].until
        assert one.choose("x.test", now).probe
        judge(one, LISTED, now=now)
    assert one.ways["x.test"].until - now == module.LONGEST_SECONDS


def test_nobody_answers() -> None:
    one = learner()
    assert judge(one, SILENT) == Judgement(SILENT)
    judged = judge(one, SILENT, attempts=1)
    assert (judged.result.soon, judged.learned[0].unreachable) == (True, True)
    assert judged.learned[0].until - NOW == module.UNREACHABLE_SECONDS
    assert len(judged.learned) == 1


def test_port_25_is_closed_when_several_do_not_answer_and_nobody_else_does() -> None:
    one = learner()
    for number in range(module.CLOSED_DESTINATIONS):
        judged = judge(one, SILENT, to=f"d{number}.test", attempts=1, now=NOW + number)
    assert [way.destination for way in judged.learned] == ["d2.test", ANYWHERE]
    assert one.choose("new.test", NOW + 10).way == A
    # the probe, hours later: still closed, then open
    later = NOW + module.UNREACHABLE_SECONDS + 100
    assert one.choose("new.test", later).probe
    judged = judge(one, SILENT, to="new.test", now=later)
    assert [(way.destination, way.times) for way in judged.learned] == [(ANYWHERE, 2)]
    open_at = judged.learned[0].until
    assert one.choose("new.test", open_at).probe
    assert judge(one, TAKEN, to="new.test", now=open_at).forgotten == (ANYWHERE,)
    assert one.choose("other.test", open_at).way == DIRECT


def test_port_25_that_is_open_to_a_refusal_is_open() -> None:
    one = learner(LearnedWay(ANYWHERE, "a", "", NOW - 100, NOW, unreachable=True))
    assert one.choose("x.test", NOW).probe
    judged = judge(one, LISTED)
    assert judged.forgotten == (ANYWHERE,)
    assert [way.destination for way in judged.learned] == ["x.test"]


def test_port_25_is_not_closed_while_others_answer() -> None:
    one = learner()
    for number in range(10):
        judge(one, TAKEN, to="good.test", now=NOW + number)
        judged = judge(one, SILENT, to=f"d{number}.test", attempts=1, now=NOW + number)
        # what came in the same second counts, the one before does not
        assert len(judged.learned) == 1


def test_a_relay_that_fails_gives_way_to_the_next() -> None:
    wrong_password = Result(D, "4.7.8", "wrong", 535, "AUTH")
    one = learner()
    judge(one, LISTED)
    assert judge(one, wrong_password, A) == Judgement(wrong_password)
    assert judge(one, wrong_password, A, attempts=1).learned[0].way == "b"
    assert judge(one, wrong_password, B, attempts=5) == Judgement(wrong_password)


def test_a_relay_that_is_full_is_passed_over() -> None:
    one = learner()
    judge(one, LISTED)
    assert one.other_relay("a")
    one.full({"a"})
    assert one.choose("x.test", NOW).way == B
    assert not one.other_relay("b")
    one.full({"a", "b"})
    assert one.choose("x.test", NOW).way == A
    one.full(())
    assert one.choose("x.test", NOW).way == A


def test_a_learned_relay_that_is_gone_is_replaced_by_the_first() -> None:
    assert learner(LearnedWay("x.test", "old", "", NOW, NOW + 100)).choose("x.test", NOW).way == A


def test_a_reason_is_bounded() -> None:
    judged = judge(learner(), attrs.evolve(LISTED, text="spamhaus " * 500))
    assert len(judged.learned[0].reason) == MAX_REASON
    assert len(judged.result.text) <= 1000


RESULTS = st.sampled_from([LISTED, SILENT, TAKEN, UNKNOWN, LATER])


@given(st.lists(st.tuples(RESULTS, st.sampled_from(["x.test", "y.test", "z.test", "w.test"]), st.floats(0, 86400 * 9)), max_size=40))
@settings(deadline=None)
def test_nothing_goes_round_in_a_circle(steps: list[tuple[Result, str, float]]) -> None:
    """Whatever came before, a message that is refused everywhere is tried a bounded number of times, then its refusal stands."""
    one, now = learner(), NOW
    for result, destination, pause in steps:
        now += pause
        judge(one, result, one.choose(destination, now).way, to=destination, attempts=1, now=now)
    for attempts in range(6):
        judged = judge(one, LISTED, one.choose("x.test", now).way, remote=V6, attempts=attempts, now=now)
        if not judged.result.soon:
            break
    assert judged.result == LISTED
    assert set(one.ways) <= {"x.test", "y.test", "z.test", "w.test", ANYWHERE}
