"""What senders ask of the way: which sessions may be shared, what goes along, when it is over, whether a hop is good enough."""

import random

import attrs
import pytest

from services.smtp_out import require_tls, wishes
from services.smtp_out.bounce import Failure, build_bounce, returns_all, told_action
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.options import Options
from services.smtp_out.outcome import deferred
from services.smtp_out.protocol.capabilities import Capabilities, parse_ehlo
from services.smtp_out.protocol.reply import Reply
from services.smtp_out.protocol.transaction import Envelope, mail_command
from services.smtp_out.require_tls import Hop, is_vouched_for, objection
from services.smtp_out.route import Router
from shared.contract.queue_types import FILED, NOBODY
from shared.contract.types import Outcome, OutcomeKind, QueueEntry
from shared.contract.wishes_types import ByMode, TlsWish, Wishes
from shared.dns.resolver import Resolver
from shared.mail.dsn import DsnAction
from shared.model.ids import EntryId
from shared.model.notify import Notify
from shared.testing import trio_test

NOW = 1e9
BY = Capabilities(deliver_by=True, deliver_by_minimum=30)
RETURN = Wishes(deliver_by=NOW + 100, by_mode=ByMode.RETURN)
TELL = Wishes(deliver_by=NOW + 100, by_mode=ByMode.NOTIFY)
REQUIRED, OPTIONAL = Wishes(TlsWish.REQUIRED), Wishes(TlsWish.OPTIONAL)


def entry(asked: Wishes = Wishes(), **fields: object) -> QueueEntry:  # noqa: B008
    plain = QueueEntry(EntryId(1), 1, "b.test", "t", "s@a.test", "r@b.test", "", 100, False, False, NOW - 50, NOW + 9e5, 0, None)
    return attrs.evolve(plain, wishes=asked, **fields)  # type: ignore[arg-type]  # the tests' values have the right types


# --- sessions ---


def test_what_is_secured_in_another_way_has_a_session_of_its_own() -> None:
    lanes = {wishes.lane_of(entry(asked), "b.test") for asked in (Wishes(), REQUIRED, OPTIONAL)}
    assert len(lanes) == 3
    assert wishes.lane_of(entry(RETURN), "b.test") == "b.test"
    # RFC 8689 §5
    assert wishes.lane_of(entry(REQUIRED, sender=""), "b.test") == "b.test"


# --- parameters ---


@pytest.mark.parametrize(
    ("asked", "capabilities", "good", "parameters"),
    [
        (Wishes(), BY, True, b""),
        (REQUIRED, Capabilities(), True, b" REQUIRETLS"),
        (REQUIRED, Capabilities(require_tls=True), False, b""),
        (OPTIONAL, Capabilities(), True, b""),
        (RETURN, BY, False, b" BY=100;R"),
        (attrs.evolve(RETURN, by_trace=True), BY, False, b" BY=100;RT"),
        (RETURN, Capabilities(), False, b""),
        (attrs.evolve(TELL, deliver_by=NOW), BY, False, b" BY=0;N"),
        (attrs.evolve(TELL, deliver_by=NOW - 7), BY, False, b" BY=-7;N"),
        (attrs.evolve(TELL, deliver_by=NOW + 1e12), BY, False, b" BY=999999999;N"),
    ],
)
def test_what_goes_along(asked: Wishes, capabilities: Capabilities, good: bool, parameters: bytes) -> None:
    found = wishes.mail_parameters(entry(asked), capabilities, NOW, require_tls=good)
    assert found == parameters
    line = mail_command(Envelope("s@a.test", ("r@b.test",), 1, mail_parameters=found), capabilities)
    assert line == b"MAIL FROM:<s@a.test>" + parameters + b"\r\n"


@pytest.mark.parametrize(
    ("line", "offered", "minimum"),
    [("DELIVERBY", True, 0), ("deliverby 240", True, 240), ("DELIVERBY soon", True, 0), ("DELIVERBYX 5", False, 0)],
)
def test_what_servers_offer(line: str, offered: bool, minimum: int) -> None:
    found = parse_ehlo(Reply(250, ("h.test", line, "REQUIRETLS")))
    assert (found.deliver_by, found.deliver_by_minimum, found.require_tls) == (offered, minimum, True)


# --- by when ---


def test_it_goes_back_when_its_time_is_over() -> None:
    assert wishes.late(entry(RETURN), NOW + 99.9) is None
    for late in (wishes.late(entry(RETURN), NOW + 100), wishes.expired(entry(RETURN), deferred("4.4.1", "down"), NOW + 100)):
        assert late is not None
        assert (late.kind, late.enhanced) == (OutcomeKind.FAILED, "5.4.7")
        assert "sender has set" in late.text
    assert wishes.late(entry(TELL), NOW + 1e6) is None
    assert "0 days; the last reason: down" in wishes.expired(entry(Wishes()), deferred("4.4.1", "down"), NOW).text


def test_a_server_that_needs_longer_is_not_asked() -> None:
    assert wishes.too_slow(entry(RETURN), BY, NOW + 70) is None
    slow = wishes.too_slow(entry(RETURN), BY, NOW + 71)
    assert slow is not None
    assert slow.enhanced == "5.4.7"
    assert wishes.too_slow(entry(TELL), BY, NOW + 99) is None


def test_the_attempt_that_tells_of_the_delay_comes_in_time() -> None:
    assert wishes.next_look_at(entry(TELL), NOW + 300, NOW) == NOW + 100
    assert wishes.next_look_at(entry(TELL), NOW + 30, NOW) == NOW + 30
    assert wishes.next_look_at(entry(TELL), NOW + 300, NOW + 100) == NOW + 300
    assert wishes.next_look_at(entry(), NOW + 300, NOW) == NOW + 300


@pytest.mark.parametrize(
    ("asked", "notify", "deliver_by", "action"),
    [
        (TELL, 0, False, DsnAction.RELAYED),
        (RETURN, 0, False, DsnAction.RELAYED),
        (TELL, int(Notify.NEVER), False, None),
        (TELL, 0, True, None),
        (attrs.evolve(TELL, by_trace=True), 0, True, DsnAction.RELAYED),
        (Wishes(), 0, False, None),
    ],
)
def test_who_is_told_that_it_went_on(asked: Wishes, notify: int, deliver_by: bool, action: DsnAction | None) -> None:
    told = told_action(entry(asked, notify=notify), OutcomeKind.DELIVERED, now=NOW, dsn=True, deliver_by=deliver_by)
    assert told is action
    assert told_action(entry(asked, sender=""), OutcomeKind.DELIVERED, now=NOW, dsn=True) is None


# --- REQUIRETLS ---


@pytest.mark.parametrize(
    ("mode", "host", "found_by_mx", "vouched"),
    [
        (None, "mx.b.test", True, False),
        (None, "b.test", False, True),
        (Mode.ENFORCE, "mx.b.test", True, True),
        (Mode.TESTING, "mx.b.test", True, True),
        (Mode.ENFORCE, "mx.c.test", True, False),
        (Mode.NONE, "mx.b.test", True, False),
    ],
)
def test_whose_name_is_the_owners_word(mode: Mode | None, host: str, found_by_mx: bool, vouched: bool) -> None:
    policy = None if mode is None else Policy(mode, 60, ("mx.b.test",))
    assert is_vouched_for(host, policy, found_by_mx=found_by_mx) is vouched


@pytest.mark.parametrize(
    ("lacking", "enhanced"),
    [("vouched", "5.7.10"), ("tls", "5.7.10"), ("verified", "5.7.10"), ("offered", "5.7.30")],
)
def test_a_hop_has_to_have_all_of_it(lacking: str, enhanced: str) -> None:
    good = Hop("mx.b.test", vouched=True, tls=True, verified=True, offered=True)
    assert objection(good) is None
    refused = objection(attrs.evolve(good, **{lacking: False}))
    assert refused is not None
    assert (refused.kind, refused.enhanced, refused.code) == (OutcomeKind.FAILED, enhanced, 550)


def test_of_several_hosts_the_one_that_came_nearest_is_told() -> None:
    plain = require_tls.unprotected("no TLS")
    unsupported = objection(Hop("mx.b.test", vouched=True, tls=True, verified=True))
    assert unsupported is not None
    assert require_tls.of_all([plain, unsupported, plain]) is unsupported
    assert require_tls.of_all([plain]) is plain


# --- reports ---


def test_a_report_on_it_returns_the_header_and_is_protected() -> None:
    failure = Failure(entry(REQUIRED, ret="FULL"), Outcome(EntryId(1), OutcomeKind.FAILED, 0.0, 550, "5.1.1", "no"))
    assert not returns_all([failure])
    bounce = build_bounce("mail.a.test", [failure], b"X: y\r\n\r\nsecret", NOW, "u1")
    assert bounce.require_tls
    assert b"secret" not in (bounce.content.inline or b"")
    other = Failure(entry(RETURN, ret="FULL"), failure.outcome)
    assert returns_all([other])
    told = build_bounce("mail.a.test", [other], b"X: y\r\n\r\n", NOW, "u1")
    assert not told.require_tls
    assert b"\r\nDeliver-By-Date: Sun, 9 Sep 2001 01:48:20 +0000\r\n" in (told.content.inline or b"")


def test_errands_of_the_store_reach_the_sender() -> None:
    async def scenario() -> None:
        router = Router(Options("a.test"), Resolver([("127.0.0.1", 9)]), random.Random(1))
        filed, nobody = await router.route(FILED), await router.route(NOBODY)
        assert (filed.kind, nobody.kind) == (OutcomeKind.DELIVERED, OutcomeKind.FAILED)  # type: ignore[union-attr]
        assert nobody.enhanced == "5.1.1"  # type: ignore[union-attr]

    trio_test(scenario)()
    done = entry(destination=FILED, notify=int(Notify.SUCCESS))
    assert told_action(done, OutcomeKind.DELIVERED, now=NOW, dsn=False) is DsnAction.DELIVERED
