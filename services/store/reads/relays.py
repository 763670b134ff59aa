"""Relays, rules and learned ways."""

import time
from typing import Final

import attrs

from services.store.domain.sending import day_of
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import bookkeeping, relays
from shared.contract.relay_types import (
    LearnedWay,
    RelayConfig,
    RelayInfo,
    RelayLogin,
    RelayPlan,
    RelayRule,
    RelayTable,
    RelayTls,
)
from shared.errors import NotFound

PLAN_VERSION: Final = "relay_plan"


@attrs.frozen
class Relay:
    """A row."""

    name: str
    config: RelayConfig
    sent_day: int
    sent: int
    password: str = attrs.field(repr=False)
    test_asked: bool
    tested_at: float
    test_passed: bool
    test_text: str

    def sent_on(self, day: int) -> int:
        return self.sent if self.sent_day == day else 0

    def info(self, now: float) -> RelayInfo:
        return RelayInfo(
            self.name,
            self.config,
            self.sent_on(day_of(now)),
            bool(self.password),
            self.test_asked,
            self.tested_at,
            self.test_passed,
            self.test_text,
        )


def _relay(row: Row) -> Relay:
    name, host, port, tls, username, cap, fallback, day, sent, password, asked, tested_at, passed, text = row
    config = RelayConfig(host, port, RelayTls(tls), username, cap, bool(fallback))
    return Relay(name, config, day, sent, password, bool(asked), tested_at, bool(passed), text)


def relay_named(cursor: Cursor, name: str) -> Relay:
    """Raises NotFound."""
    row = relays.ONE.one(cursor, name)
    if row is None:
        raise NotFound(f"relay {name}")
    return _relay(row)


def all_ways(cursor: Cursor) -> tuple[LearnedWay, ...]:
    return tuple(attrs.evolve(LearnedWay(*row), unreachable=bool(row[6])) for row in relays.WAYS.all(cursor))


def plan_version(cursor: Cursor) -> int:
    """Grows with every change of relays, rules and ways."""
    row = bookkeeping.META.one(cursor, PLAN_VERSION)
    return 0 if row is None else int(row[0])


def _rules(cursor: Cursor) -> tuple[RelayRule, ...]:
    return tuple(RelayRule(*row) for row in relays.RULES.all(cursor))


def plan(snapshot: Snapshot) -> RelayPlan:
    """With passwords: for smtp_out."""
    cursor = snapshot.cursor
    logins = tuple(
        RelayLogin(relay.name, relay.config, relay.password, relay.test_asked)
        for relay in map(_relay, relays.ALL.all(cursor))
    )
    return RelayPlan(logins, _rules(cursor), all_ways(cursor), plan_version(cursor))


def table(snapshot: Snapshot) -> RelayTable:
    now = time.time()
    return RelayTable(
        tuple(_relay(row).info(now) for row in relays.ALL.all(snapshot.cursor)), _rules(snapshot.cursor)
    )


def ways(snapshot: Snapshot) -> tuple[LearnedWay, ...]:
    return all_ways(snapshot.cursor)


def may_leave_by_relay(cursor: Cursor, domain: str) -> bool:
    """Whether some mail of a sender's domain may be sent by a relay: its SPF record then has to name it."""
    if any(relay.config.fallback for relay in map(_relay, relays.ALL.all(cursor))):
        return True
    names = {row[0] for row in relays.ALL.all(cursor)}
    return any(rule.relay in names and rule.sender_domain in ("", domain) for rule in _rules(cursor))
