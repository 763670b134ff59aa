"""The outbound queue: leases, results, bounces, and what an administrator does to it.

An entry is one recipient. A lease is a name and an end: an entry whose lease is over is due again, nobody has to clean up
after a worker that died. A message's content is released when its last entry is done.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from services.store.domain.queue import (
    MAX_ATTEMPTS_KEPT,
    MAX_LEASE_SECONDS,
    MAX_TEXT,
    DueEntry,
    QueueTimes,
    after_outcome,
    choose_entries,
)
from services.store.domain.turns import in_turn
from services.store.domain.wishes import wishes_of
from services.store.reads.directory import Rules
from services.store.reads.queue import FOREVER
from services.store.reads.relays import plan_version
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import queue
from services.store.transaction import Transaction
from services.store.writes import history
from services.store.writes.dialogues import Keeper
from services.store.writes.filing import Incoming, ready
from services.store.writes.queueing import file_report
from shared.contract.history_types import Passage, PassageKind
from shared.contract.queue_types import HERE, HOLDER
from shared.contract.types import Bounce, Lease, Outcome, OutcomeKind, QueueEntry
from shared.errors import BadRequest, NotFound
from shared.model.ids import EntryId

MAX_LEASED: Final = 1000
"""Entries in one answer: with the longest addresses they stay below MAX_REPLY_OCTETS."""
MAX_CHANGED: Final = 10_000
_KINDS: Final = {
    OutcomeKind.DELIVERED: PassageKind.DELIVERED,
    OutcomeKind.DEFERRED: PassageKind.DEFERRED,
    OutcomeKind.FAILED: PassageKind.FAILED,
}


DUE_SEEN: Final = 2_000
"""Due entries up to which a lease looks at all of them."""
SHARES_SEEN: Final = 2_000
"""Of many more, how many shares it looks at, beside those of the DUE_SEEN oldest entries: some 10 ms at the most."""


def lease(
    transaction: Transaction, worker: str, limit: int, lease_seconds: float, busy_destinations: Sequence[str]
) -> Lease:
    """Take due entries, in turn over accounts and destinations, of each share the one that waits longest first."""
    if not 0 < lease_seconds <= MAX_LEASE_SECONDS or limit < 1 or worker == HOLDER:
        raise BadRequest("lease")
    limit = min(limit, MAX_LEASED - 100)
    cursor, now = transaction.cursor, transaction.now
    queue.END_LEASES.run(cursor, now)
    turns = in_turn(_waiting(cursor, now), {HERE, *busy_destinations})
    candidates = [_due_entries(transaction, share, limit) for share in turns[:limit]]
    chosen = choose_entries(candidates, limit)
    ids = [entry.entry_id for entry in chosen]
    queue.LEASE.execute(cursor, ids, worker, now + lease_seconds)
    rows = {row[0]: row for row in queue.ENTRIES.all(cursor, ids)}
    return Lease(tuple(_queue_entry(rows[entry]) for entry in ids), next_due(transaction), plan_version(cursor))


def _waiting(cursor: Cursor, now: float) -> list[tuple[str, float]]:
    """Shares with something due, and since when: all of them, or where very much is due the oldest and a random choice."""
    oldest = queue.OLDEST_DUE.all(cursor, now, DUE_SEEN + 1)
    waiting: dict[str, float] = {}
    for share, since in oldest:
        waiting.setdefault(share, since)
    if len(oldest) > DUE_SEEN:
        near = queue.SHARE_NEAR.one(cursor, random.randint(1, max(1, queue.LAST_ENTRY.scalar(cursor))))
        rows = queue.DUE_SHARES.all(cursor, near[0] if near else "", now, SHARES_SEEN)
        if len(rows) < SHARES_SEEN:
            rows += queue.DUE_SHARES.all(cursor, "", now, SHARES_SEEN - len(rows))
        waiting.update((share, since) for share, since in rows if since is not None)
    return list(waiting.items())


def _due_entries(transaction: Transaction, share: str, limit: int) -> list[DueEntry]:
    """The oldest due entries of a share, and all other due recipients of the same messages."""
    cursor, now = transaction.cursor, transaction.now
    oldest = queue.DUE_OF_SHARE.all(cursor, share, now, limit)
    order = {message_id: position for position, message_id in reversed(list(enumerate(row[1] for row in oldest)))}
    every = queue.DUE_OF_MESSAGES.all(cursor, list(order), share, now)
    return [DueEntry(*row) for row in sorted(every, key=lambda row: (order[row[1]], row[0]))]


def _queue_entry(row: Row) -> QueueEntry:
    (
        entry_id, message_id, destination, trace, sender, recipient, original, octets, smtputf8, eight_bit, queued_at,
        expires_at, attempts, account_id, notify, orcpt, envelope_id, ret, warn_at, *wishes, route,
    ) = row  # fmt: skip
    return QueueEntry(
        EntryId(entry_id), message_id, destination, trace, sender, recipient, original, octets, bool(smtputf8),
        bool(eight_bit), queued_at, expires_at, attempts, account_id, notify, orcpt, envelope_id, ret, warn_at,
        wishes_of(wishes), route,
    )  # fmt: skip


def next_due(transaction: Transaction) -> float | None:
    """When the next entry that is not leased becomes due, or a lease ends; None: nothing waits."""
    times = (
        queue.NEXT_DUE.scalar(transaction.cursor),
        queue.NEXT_LEASE_END.scalar(transaction.cursor, FOREVER),
    )
    return min((time for time in times if time is not None), default=None)


def extend(
    transaction: Transaction, worker: str, entries: Sequence[EntryId], lease_seconds: float
) -> tuple[EntryId, ...]:
    """Keep leases that this worker still holds."""
    if not 0 < lease_seconds <= MAX_LEASE_SECONDS or len(entries) > MAX_CHANGED or worker == HOLDER:
        raise BadRequest("lease")
    held = sorted(entry for (entry,) in queue.HELD.all(transaction.cursor, entries, worker, transaction.now))
    queue.LEASE.execute(transaction.cursor, held, worker, transaction.now + lease_seconds)
    return tuple(EntryId(entry) for entry in held)


def report(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    worker: str,
    outcomes: Sequence[Outcome],
    bounces: Sequence[Bounce],
    rules: Rules,
    times: QueueTimes,
) -> None:
    """Record results and file bounces. Entries that are gone or leased by another are passed over."""
    if len(outcomes) > MAX_CHANGED or worker == HOLDER:
        raise BadRequest("too many outcomes, or a name that no worker has")
    cursor = transaction.cursor
    states = {row[0]: row for row in queue.STATE.all(cursor, [outcome.entry_id for outcome in outcomes])}
    done: dict[int, int] = {}
    attempts: list[Row] = []
    deferred: list[Row] = []
    warned: list[int] = []
    keeper = Keeper(transaction)
    for outcome in outcomes:
        keeper.hear(outcome)
        state = states.pop(outcome.entry_id, None)
        if state is None or state[2] != worker:
            continue
        entry_id, message_id, _, due_at, tried, recipient, destination, trace, sender = state
        following = after_outcome(outcome, now=transaction.now, due_at=due_at, attempts=tried)
        text = outcome.text[:MAX_TEXT]
        if outcome.kind is not OutcomeKind.RELEASED:
            passage = _passage(transaction.now, outcome, trace, sender, recipient)
            history.tell(transaction, attrs.evolve(passage, dialogue=keeper.number()))
        if following.done:
            done[entry_id] = message_id
            transaction.journal(
                "smtp_out", str(outcome.kind), 0, (), entry_id, recipient, destination, outcome.code, text
            )
            continue
        deferred.append((following.due_at, following.attempts, text, entry_id))
        if outcome.warned:
            warned.append(entry_id)
        if outcome.kind is not OutcomeKind.RELEASED:
            attempts.append(_attempt(transaction.now, following.attempts, outcome, text, keeper.number()))
    queue.DEFER.run_many(cursor, deferred)
    queue.WARNED.execute(cursor, warned)
    queue.INSERT_ATTEMPT.run_many(cursor, attempts)
    for attempt in attempts:
        if attempt[1] > MAX_ATTEMPTS_KEPT:
            queue.DROP_OLD_ATTEMPTS.run(cursor, attempt[0], attempt[1] - MAX_ATTEMPTS_KEPT)
    if deferred:
        transaction.changes.queue = True
    # A report that is repeated with another operation id finds nothing left to record: its bounces are filed already.
    recorded = not outcomes or bool(done or deferred)
    for position, bounce in enumerate(bounces if recorded else ()):
        file_report(transaction, bounce, ready(incoming, position), rules, times)
    finish_entries(transaction, done)


def _passage(now: float, outcome: Outcome, trace: str, sender: str, recipient: str) -> Passage:
    return Passage(
        trace,
        _KINDS[outcome.kind],
        now,
        sender,
        (recipient,),
        code=outcome.code,
        text=outcome.text,
        remote=outcome.remote,
        tls=outcome.tls,
        seconds=outcome.seconds,
    )


def _attempt(now: float, number: int, outcome: Outcome, text: str, dialogue: int) -> Row:
    return (
        outcome.entry_id, number, now, str(outcome.kind), outcome.code, outcome.enhanced[:20], text,
        outcome.remote[:MAX_TEXT], outcome.tls[:MAX_TEXT], outcome.seconds, dialogue,
    )  # fmt: skip


def finish_entries(transaction: Transaction, done: dict[int, int]) -> None:
    """Entries (with their messages) are done: forget them, release contents whose last entry it was."""
    if not done:
        return
    transaction.flush()
    cursor = transaction.cursor
    ids = list(done)
    queue.DELETE_ATTEMPTS.execute(cursor, ids)
    queue.DELETE_ENTRIES.execute(cursor, ids)
    counts = Counter(done.values())
    queue.ENTRIES_DONE.run_many(cursor, [(number, message_id) for message_id, number in counts.items()])
    finished = queue.FINISHED.all(cursor, list(counts))
    queue.DELETE_MESSAGES.execute(cursor, [message_id for message_id, _ in finished])
    transaction.drop_references(dict(Counter(content_id for _, content_id in finished)))


def retry(transaction: Transaction, entries: Sequence[EntryId]) -> int:
    """Make entries due now; how many were not. What a sender has set to leave later stays so."""
    now = transaction.now
    if len(entries) > MAX_CHANGED:
        raise BadRequest("too many entries")
    if entries:
        changed = queue.RETRY.execute(transaction.cursor, entries, now, now)
    else:
        changed = queue.RETRY_ALL.run(transaction.cursor, now, now).rowcount
    transaction.changes.queue = True
    return changed


def hold(transaction: Transaction, entries: Sequence[EntryId]) -> int:
    """A lease without an end, of a holder that is no worker; how many. What is under way is left alone: it may be delivered already."""
    if len(entries) > MAX_CHANGED:
        raise BadRequest("too many entries")
    return queue.HOLD.execute(transaction.cursor, entries, HOLDER, FOREVER, transaction.now)


def release(transaction: Transaction, entries: Sequence[EntryId]) -> int:
    """Give back what is held; how many."""
    if len(entries) > MAX_CHANGED:
        raise BadRequest("too many entries")
    transaction.changes.queue = True
    return queue.RELEASE.execute(transaction.cursor, entries, HOLDER)


def remove(transaction: Transaction, entries: Sequence[EntryId]) -> int:
    """Take entries out; how many."""
    if not entries:
        raise NotFound("no entry named")
    if len(entries) > MAX_CHANGED:
        raise BadRequest("too many entries")
    states = queue.STATE.all(transaction.cursor, entries)
    for row in states:
        transaction.journal("admin", "queue entry removed", 0, (), row[0], row[5])
        history.tell(transaction, Passage(row[7], PassageKind.REMOVED, transaction.now, row[8], (row[5],)))
    finish_entries(transaction, {row[0]: row[1] for row in states})
    transaction.changes.queue = True
    return len(states)
