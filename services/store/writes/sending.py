"""What accounts send is counted by the write that queues it, in its transaction; its limits are decided there.

``decide`` changes nothing and may refuse; ``record`` writes what was decided and never refuses: so ``filing.deliver`` keeps
the law of batches.
"""

from collections import Counter
from collections.abc import Sequence

import attrs

from services.store.domain.sending import LIMIT_MAX, DailyLimits, Sent, charge, chosen_recipients, day_of, state
from services.store.reads.sending import account_of, find_account, known_days
from services.store.sql.prepared import Cursor
from services.store.sql.statements import sending
from services.store.transaction import Transaction
from services.store.writes.housekeeping import PIECE
from shared.contract.sending_types import SendingState
from shared.contract.types import Delivery
from shared.errors import BadRequest


@attrs.frozen
class Charge:
    """What a message costs its account."""

    account_id: int
    sent: Sent
    new: tuple[str, ...]
    again: tuple[str, ...]
    """Known recipients whose last use is on another day."""


def decide(transaction: Transaction, delivery: Delivery, defaults: DailyLimits) -> Charge | None:
    """None: nothing to count, it is nobody's submission or stays here.

    Raises MessagesReached, NewRecipientsReached, GrantExpired where the account is gone, InvalidAddressError.
    """
    if delivery.account_id is None or not delivery.remote:
        return None
    cursor, day = transaction.cursor, day_of(transaction.now)
    account = account_of(cursor, delivery.account_id)
    chosen = chosen_recipients(delivery.remote)
    known = known_days(cursor, delivery.account_id, chosen)
    new = tuple(address for address in chosen if address not in known)
    limits = DailyLimits() if delivery.unlimited else account.limits(defaults)
    sent = charge(account.sent.on(day), limits, len(delivery.remote), len(new))
    again = tuple(address for address, used in known.items() if used != day)
    return Charge(delivery.account_id, sent, new, again)


def record(transaction: Transaction, decided: Charge) -> None:
    """Count what was decided."""
    cursor, account_id, sent = transaction.cursor, decided.account_id, decided.sent
    _make_row(cursor, account_id)
    sending.SET_SENT.run(cursor, sent.day, sent.messages, sent.new_recipients, len(decided.new), account_id)
    if decided.new:
        sending.INSERT_KNOWN.run_many(cursor, [(account_id, address, sent.day) for address in decided.new])
    if decided.again:
        sending.USED.run_many(cursor, [(sent.day, account_id, address) for address in decided.again])


def _make_row(cursor: Cursor, account_id: int) -> None:
    if sending.KNOWN_COUNT.one(cursor, account_id) is None:
        sending.INSERT.run(cursor, account_id, 0, 0, 0, 0, 0)


def was_told(transaction: Transaction, account_id: int) -> bool:
    """Whether an account's owner was told today that a limit was reached; from now on that is so. Raises GrantExpired."""
    day = day_of(transaction.now)
    if account_of(transaction.cursor, account_id).told_day == day:
        return True
    _make_row(transaction.cursor, account_id)
    sending.SET_TOLD.run(transaction.cursor, day, account_id)
    return False


def set_limits(
    transaction: Transaction, address: str, messages: int | None, new_recipients: int | None, defaults: DailyLimits
) -> SendingState:
    """Raises NotFound, BadRequest."""
    if any(limit is not None and not 0 <= limit <= LIMIT_MAX for limit in (messages, new_recipients)):
        raise BadRequest("limit")
    account_id = find_account(transaction.cursor, address)
    _make_row(transaction.cursor, account_id)
    sending.SET_OWN.run(transaction.cursor, messages, new_recipients, account_id)
    return state(account_of(transaction.cursor, account_id), defaults, day_of(transaction.now))


def remove_all(transaction: Transaction, account_id: int) -> None:
    """With its account."""
    sending.DELETE_ALL_KNOWN.run(transaction.cursor, account_id)
    sending.DELETE.run(transaction.cursor, account_id)


def forget_unused(transaction: Transaction, days: int) -> int:
    """Forget recipients that nobody has sent to for so long; how many."""
    before = day_of(transaction.now) - days
    return _forget(transaction.cursor, sending.UNUSED.all(transaction.cursor, before, PIECE))


def forget_beyond(transaction: Transaction, account_id: int, most: int) -> int:
    """Forget the recipients of an account that were used least lately, beyond ``most``; how many."""
    row = sending.KNOWN_COUNT.one(transaction.cursor, account_id)
    above = 0 if row is None else min(row[0] - most, PIECE)
    return _forget(transaction.cursor, sending.OLDEST.all(transaction.cursor, account_id, above)) if above > 0 else 0


def _forget(cursor: Cursor, rows: Sequence[tuple[int, str]]) -> int:
    sending.DELETE_KNOWN.run_many(cursor, rows)
    fewer = Counter(account_id for account_id, _ in rows)
    sending.FEWER_KNOWN.run_many(cursor, [(count, account_id) for account_id, count in fewer.items()])
    return len(rows)
