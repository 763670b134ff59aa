"""Relays, their rules, learned ways."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema_queue import queue_entry
from services.store.sql.schema_relays import learned_way, relay, relay_rule

_r = relay.c
_u = relay_rule.c
_w = learned_way.c
_e = queue_entry.c

COLUMNS: Final = ("host", "port", "tls", "username", "daily_cap", "fallback")
"""Of a ``RelayConfig``, in its order."""
_INFO: Final = (
    _r.name, *(_r[name] for name in COLUMNS), _r.sent_day, _r.sent, _r.password, _r.test_asked, _r.tested_at, _r.test_passed,
    _r.test_text,
)  # fmt: skip

ALL: Final = Prepared(sa.select(*_INFO).order_by(_r.position))
ONE: Final = Prepared(sa.select(*_INFO).where(_r.name == b("of_name")), "of_name")
LAST_POSITION: Final = Prepared(sa.select(sa.func.coalesce(sa.func.max(_r.position), sa.literal_column("0"))))
INSERT: Final = Prepared(
    relay.insert(), "name", "position", *COLUMNS, "password", "sent_day", "sent", "test_asked", "tested_at", "test_passed", "test_text"
)
SET: Final = Prepared(
    sa.update(relay)
    .where(_r.name == b("of_name"))
    .values(**{name: b(f"new_{name}") for name in COLUMNS}, password=b("new_password")),
    *(f"new_{name}" for name in COLUMNS), "new_password", "of_name",
)  # fmt: skip
SET_SENT: Final = Prepared(
    sa.update(relay).where(_r.name == b("of_name")).values(sent_day=b("new_day"), sent=b("new_sent")),
    "new_day", "new_sent", "of_name",
)  # fmt: skip
ASK_TEST: Final = Prepared(sa.update(relay).where(_r.name == b("of_name")).values(test_asked=sa.true()), "of_name")
SET_TESTED: Final = Prepared(
    sa.update(relay)
    .where(_r.name == b("of_name"))
    .values(test_asked=sa.false(), tested_at=b("now"), test_passed=b("passed"), test_text=b("text")),
    "now", "passed", "text", "of_name",
)  # fmt: skip
DELETE: Final = Prepared(sa.delete(relay).where(_r.name == b("of_name")), "of_name")

RULES: Final = Prepared(
    sa.select(_u.sender_domain, _u.recipient_domain, _u.relay).order_by(_u.sender_domain, _u.recipient_domain)
)
RULES_OF: Final = Prepared(sa.select(sa.func.count()).select_from(relay_rule).where(_u.relay == b("of_name")), "of_name")
RULE_COUNT: Final = Prepared(sa.select(sa.func.count()).select_from(relay_rule))
INSERT_RULE: Final = Prepared(relay_rule.insert(), "sender_domain", "recipient_domain", "relay")
DELETE_RULE: Final = Prepared(
    sa.delete(relay_rule).where(_u.sender_domain == b("sender"), _u.recipient_domain == b("recipient")), "sender", "recipient"
)

_WAY: Final = ("destination", "way", "reason", "since", "until", "times", "unreachable")
WAYS: Final = Prepared(sa.select(*(_w[name] for name in _WAY)).order_by(_w.destination))
INSERT_WAY: Final = Prepared(learned_way.insert(), *_WAY)
DELETE_WAYS: Final = PreparedIn(lambda names: sa.delete(learned_way).where(_w.destination.in_(names)))
DELETE_ALL_WAYS: Final = Prepared(sa.delete(learned_way))
DELETE_WAYS_OF: Final = Prepared(sa.delete(learned_way).where(_w.way == b("of_name")), "of_name")
OLDEST_WAYS: Final = Prepared(sa.select(_w.destination).order_by(_w.since.desc()).limit(b("limit")).offset(b("kept")), "limit", "kept")

ROUTE: Final = PreparedIn(
    lambda ids: sa.update(queue_entry).where(_e.id.in_(ids)).values(route=b("new_route")), "new_route"
)
