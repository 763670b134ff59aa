"""What an administrator says of relays and rules, what is sent through a relay on a day, what smtp_out has learned.

A day's count is taken before anything is sent and given back where it was not: a crash in between leaves it too high, never too
low, so that a relay's cap holds whatever happens.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from services.store.domain.relays import (
    InvalidRelayError,
    check_config,
    check_destination,
    check_name,
    granted,
    normal_rule,
    rule_domain,
)
from services.store.domain.sending import day_of
from services.store.reads.relays import PLAN_VERSION, plan_version, relay_named
from services.store.sql.statements import bookkeeping, queue, relays
from services.store.transaction import Transaction
from services.store.writes.housekeeping import PIECE
from services.store.writes.queue import MAX_CHANGED
from shared.contract.relay_types import (
    BY_RULES,
    DIRECT,
    MAX_REASON,
    MAX_RELAYS,
    MAX_RULES,
    MAX_WAYS,
    LearnedWay,
    RelayConfig,
    RelayInfo,
    RelayRule,
)
from shared.errors import AlreadyExists, BadRequest, LimitExceeded, NotFound
from shared.model.ids import EntryId

MAX_RECIPIENTS = 1000
"""In one reservation."""
T = TypeVar("T")


def _checked(check: Callable[..., T], *arguments: object) -> T:
    try:
        return check(*arguments)
    except InvalidRelayError as error:
        raise BadRequest(str(error)) from None


def add(transaction: Transaction, name: str, config: RelayConfig, password: str) -> RelayInfo:
    """Raises AlreadyExists, BadRequest, LimitExceeded."""
    _checked(check_name, name)
    _checked(check_config, config, password)
    cursor = transaction.cursor
    if relays.ONE.one(cursor, name) is not None:
        raise AlreadyExists(f"relay {name}")
    if len(relays.ALL.all(cursor)) >= MAX_RELAYS:
        raise LimitExceeded(f"{MAX_RELAYS} relays")
    position = relays.LAST_POSITION.scalar(cursor) + 1
    relays.INSERT.run(cursor, name, position, *_columns(config), password, 0, 0, False, 0.0, False, "")
    _changed(transaction)
    return relay_named(transaction.cursor, name).info(transaction.now)


def change(transaction: Transaction, name: str, config: RelayConfig, password: str | None) -> RelayInfo:
    """Raises NotFound, BadRequest."""
    known = relay_named(transaction.cursor, name)
    kept = known.password if password is None else password
    _checked(check_config, config, kept)
    relays.SET.run(transaction.cursor, *_columns(config), kept, name)
    _changed(transaction)
    return relay_named(transaction.cursor, name).info(transaction.now)


def _columns(config: RelayConfig) -> tuple[object, ...]:
    return (config.host, config.port, str(config.tls), config.username, config.daily_cap, config.fallback)


def _changed(transaction: Transaction) -> None:
    """smtp_out reads the plan anew before it sends anything else."""
    version = plan_version(transaction.cursor) + 1
    if not bookkeeping.UPDATE_META.run(transaction.cursor, version, PLAN_VERSION).rowcount:
        bookkeeping.INSERT_META.run(transaction.cursor, PLAN_VERSION, version)
    transaction.changes.queue = True


def remove(transaction: Transaction, name: str) -> None:
    """Raises NotFound, BadRequest where a rule names it."""
    cursor = transaction.cursor
    relay_named(cursor, name)
    if relays.RULES_OF.scalar(cursor, name):
        raise BadRequest("a rule names it: take that away first (pillarbox relay use --default)")
    relays.DELETE_WAYS_OF.run(cursor, name)
    relays.DELETE.run(cursor, name)
    _changed(transaction)


def use(transaction: Transaction, rule: RelayRule) -> RelayRule:
    """Raises NotFound, BadRequest, LimitExceeded."""
    cursor = transaction.cursor
    rule = _checked(normal_rule, rule)
    if rule.relay != DIRECT:
        relay_named(cursor, rule.relay)
    replaced = relays.DELETE_RULE.run(cursor, rule.sender_domain, rule.recipient_domain).rowcount
    if not replaced and relays.RULE_COUNT.scalar(cursor) >= MAX_RULES:
        raise LimitExceeded(f"{MAX_RULES} rules")
    relays.INSERT_RULE.run(cursor, rule.sender_domain, rule.recipient_domain, rule.relay)
    _changed(transaction)
    return rule


def unuse(transaction: Transaction, sender_domain: str, recipient_domain: str) -> None:
    """Raises NotFound, BadRequest."""
    sender, recipient = _checked(rule_domain, sender_domain), _checked(rule_domain, recipient_domain)
    if not relays.DELETE_RULE.run(transaction.cursor, sender, recipient).rowcount:
        raise NotFound("rule")
    _changed(transaction)


def reserve(transaction: Transaction, name: str, recipients: int) -> int:
    """How many of them the relay takes today. Raises NotFound, BadRequest."""
    if not 1 <= recipients <= MAX_RECIPIENTS:
        raise BadRequest("recipients")
    relay, day = relay_named(transaction.cursor, name), day_of(transaction.now)
    sent = relay.sent_on(day)
    count = granted(relay.config.daily_cap, sent, recipients)
    if count:
        relays.SET_SENT.run(transaction.cursor, day, sent + count, name)
    return count


def give_back(transaction: Transaction, name: str, recipients: int) -> None:
    """Raises BadRequest."""
    if not 1 <= recipients <= MAX_RECIPIENTS:
        raise BadRequest("recipients")
    try:
        relay = relay_named(transaction.cursor, name)
    except NotFound:
        return
    day = day_of(transaction.now)
    # what was reserved on another day is of no interest any more
    relays.SET_SENT.run(transaction.cursor, day, max(0, relay.sent_on(day) - recipients), name)


def ask_test(transaction: Transaction, name: str) -> RelayInfo:
    """Raises NotFound."""
    before = relay_named(transaction.cursor, name).info(transaction.now)
    relays.ASK_TEST.run(transaction.cursor, name)
    _changed(transaction)
    return before


def tested(transaction: Transaction, name: str, passed: bool, text: str) -> None:
    """The result of a test."""
    relays.SET_TESTED.run(transaction.cursor, transaction.now, passed, text[:1000], name)


def learn(transaction: Transaction, way: LearnedWay) -> None:
    """Raises BadRequest."""
    _checked(check_destination, way.destination)
    cursor = transaction.cursor
    relays.DELETE_WAYS.execute(cursor, [way.destination])
    relays.INSERT_WAY.run(
        cursor, way.destination, way.way[:MAX_REASON], way.reason[:MAX_REASON], way.since, way.until, way.times, way.unreachable
    )
    beyond = [destination for (destination,) in relays.OLDEST_WAYS.all(cursor, PIECE, MAX_WAYS)]
    relays.DELETE_WAYS.execute(cursor, beyond)
    _changed(transaction)


def unlearn(transaction: Transaction, destinations: Sequence[str]) -> int:
    """All where none is named; how many."""
    _changed(transaction)
    if not destinations:
        return relays.DELETE_ALL_WAYS.run(transaction.cursor).rowcount
    if len(destinations) > MAX_WAYS:
        raise BadRequest("too many destinations")
    return relays.DELETE_WAYS.execute(transaction.cursor, [name.lower() for name in destinations])


def reroute(transaction: Transaction, entries: Sequence[EntryId], route: str) -> int:
    """How many entries have that route now; they are due. Raises NotFound, BadRequest."""
    if len(entries) > MAX_CHANGED:
        raise BadRequest("too many entries")
    if route not in (DIRECT, BY_RULES):
        relay_named(transaction.cursor, route)
    cursor, now = transaction.cursor, transaction.now
    count = relays.ROUTE.execute(cursor, entries, "" if route == BY_RULES else route)
    queue.RETRY.execute(cursor, entries, now, now)
    transaction.changes.queue = True
    return count
