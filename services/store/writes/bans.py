"""Bans and known addresses, written down behind the guard's memory."""

from collections.abc import Sequence

import attrs

from services.store.sql.statements import bans, directory
from services.store.transaction import Transaction
from shared.contract.bans_types import Ban


@attrs.define
class Notes:
    """What the guard has to write down: the last word about each subject. No larger than what the guard remembers."""

    bans: dict[str, tuple[Ban, bool]] = attrs.field(factory=dict)
    """By key; whether it is there."""
    known: dict[tuple[int, str], tuple[str, float | None]] = attrs.field(factory=dict)
    """By account and address: the account's name, and when it logged in from there (None: it is no longer remembered)."""
    forget_before: float = 0.0
    """Logins before this are no longer remembered."""

    def __bool__(self) -> bool:
        return bool(self.bans or self.known or self.forget_before)

    def ban(self, ban: Ban) -> None:
        self.bans[ban.key] = (ban, True)

    def drop(self, ban: Ban) -> None:
        self.bans[ban.key] = (ban, False)

    def take_back(self, ban: Ban) -> None:
        """Somebody else writes down what has become of it."""
        self.bans.pop(ban.key, None)

    def note(self, account_id: int, name: str, client: str, at: float | None) -> None:
        self.known[account_id, client] = (name, at)

    def forget(self, name: str) -> None:
        """The account's addresses are void."""
        for key in [key for key, (account, _) in self.known.items() if account == name]:
            del self.known[key]

    def update(self, later: "Notes") -> None:
        """Add what was noted after this."""
        self.bans.update(later.bans)
        self.known.update(later.known)
        self.forget_before = max(self.forget_before, later.forget_before)


def keep(transaction: Transaction, notes: Notes) -> None:
    """All news at once."""
    cursor = transaction.cursor
    bans.DELETE.run_many(cursor, [(ban.kind.value, ban.subject) for ban, _ in notes.bans.values()])
    bans.INSERT.run_many(cursor, [_row(ban) for ban, there in notes.bans.values() if there])
    bans.DELETE_KNOWN.run_many(cursor, list(notes.known))
    names = {account_id: name for (account_id, _), (name, _) in notes.known.items()}
    # an account that was removed meanwhile has none; one that was made anew has another id
    there = {i for i, name in names.items() if (row := directory.ACCOUNT_ID.one(cursor, name)) and row[0] == i}
    rows = [(*key, at) for key, (_, at) in notes.known.items() if at is not None and key[0] in there]
    bans.INSERT_KNOWN.run_many(cursor, rows)
    if notes.forget_before:
        bans.FORGET_KNOWN.run(cursor, notes.forget_before)


def add(transaction: Transaction, ban: Ban) -> Ban:
    """An administrator's ban, in the place of what is there."""
    bans.DELETE.run(transaction.cursor, ban.kind.value, ban.subject)
    bans.INSERT.run(transaction.cursor, *_row(ban))
    return ban


def lift(transaction: Transaction, keys: Sequence[tuple[str, str]], held: int) -> int:
    """Forget bans; ``held``, which is how many of them held."""
    bans.DELETE.run_many(transaction.cursor, keys)
    return held


def _row(ban: Ban) -> tuple[object, ...]:
    tried = "\n".join(ban.tried)
    return ban.kind.value, ban.subject, ban.since, ban.until, ban.failures, ban.times, tried, ban.manual
