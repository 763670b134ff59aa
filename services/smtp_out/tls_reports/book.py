"""The counts of the days, in a small SQLite file: they survive restarts, and all workers of the machine share them. Blocking.

Laws
- Bounded: ROWS at most; beyond that new rows are not counted, those that are there still are.
- A day of a domain is reported by one worker at a time: `take` puts the next try off before it returns.
- A file that is broken is begun anew: its loss costs others a report, and no mail.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from services.smtp_out.tls_reports.document import Counted
from services.smtp_out.tls_reports.seen import DAY_SECONDS, Applied, Failure, PolicyType, Seen

ROWS: Final = 50_000
"""About 15 MB."""
ROWS_OF_A_REPORT: Final = 2000
KEPT_DAYS: Final = 2
"""RFC 8460 §5.4 has senders try for 24 hours; a machine that was off in that time still tells of the days before."""
_NAMES: Final = ("seen", "due", "told")
_BUSY_SECONDS: Final = 5.0
_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS seen (
        day INTEGER, domain TEXT, policy TEXT, failure TEXT, host TEXT, address TEXT, sessions INTEGER NOT NULL,
        PRIMARY KEY (day, domain, policy, failure, host, address)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS due (day INTEGER, domain TEXT, at REAL NOT NULL, PRIMARY KEY (day, domain)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS told (day INTEGER, domain TEXT, place TEXT, PRIMARY KEY (day, domain, place)) WITHOUT ROWID",
)


@attrs.frozen
class DomainDay:
    """What is to be reported."""

    domain: str
    day: int
    rows: tuple[Counted, ...]
    told: frozenset[str]  # places that have the report already


class Book:
    """One per process; each call opens the file. All raise OSError."""

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        self._path = path
        self._rows = rows

    def add(self, day: int, counts: Mapping[Seen, int]) -> int:
        """Count sessions of a day; how many rows found no room."""
        lost = 0
        with self._change() as database:
            (number,) = database.execute("SELECT count(*) FROM seen").fetchone()
            for seen, sessions in counts.items():
                key = (day, seen.domain, _policy_text(seen.policy), seen.failure or "", seen.host, seen.address)
                changed = database.execute(
                    "UPDATE seen SET sessions = sessions + ? WHERE (day, domain, policy, failure, host, address) = (?, ?, ?, ?, ?, ?)",
                    (sessions, *key),
                )
                if changed.rowcount:
                    continue
                if number >= self._rows:
                    lost += 1
                    continue
                database.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, sessions))
                number += 1
        return lost

    def close_days(self, today: int, now: float, spread_seconds: float, rng: random.Random) -> None:
        """Give every domain's days before `today` a time for their reports, within the spread from now; forget what is too old."""
        with self._change() as database:
            for table in _NAMES:
                database.execute(f"DELETE FROM {table} WHERE day < ?", (today - KEPT_DAYS,))  # noqa: S608 - names of ours
            ended = database.execute(
                "SELECT DISTINCT day, domain FROM seen WHERE day < ? EXCEPT SELECT day, domain FROM due", (today,)
            ).fetchall()
            database.executemany(
                "INSERT INTO due VALUES (?, ?, ?)", [(*one, now + rng.random() * spread_seconds) for one in ended]
            )

    def take(self, now: float, again_seconds: float) -> DomainDay | None:
        """What is due, the longest first; put off meanwhile, in case nothing comes of it. None: nothing is due."""
        with self._change() as database:
            found = database.execute("SELECT day, domain FROM due WHERE at <= ? ORDER BY at LIMIT 1", (now,)).fetchone()
            if found is None:
                return None
            database.execute("UPDATE due SET at = ? WHERE (day, domain) = (?, ?)", (now + again_seconds, *found))
            rows = database.execute(
                "SELECT policy, failure, host, address, sessions FROM seen WHERE (day, domain) = (?, ?) ORDER BY sessions DESC LIMIT ?",
                (*found, ROWS_OF_A_REPORT),
            ).fetchall()
            told = database.execute("SELECT place FROM told WHERE (day, domain) = (?, ?)", found).fetchall()
        day, domain = found
        return DomainDay(domain, day, tuple(_counted(*row) for row in rows), frozenset(place for (place,) in told))

    def tell(self, domain: str, day: int, place: str) -> None:
        """This place has it; others may not."""
        with self._change() as database:
            database.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", (day, domain, place))

    def drop(self, domain: str, day: int) -> None:
        """It is reported, or nobody wants it."""
        with self._change() as database:
            for table in _NAMES:
                database.execute(f"DELETE FROM {table} WHERE (day, domain) = (?, ?)", (day, domain))  # noqa: S608 - as above

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        try:
            database = self._open()
            try:
                # immediate: what two workers do at once they do one after the other
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
            finally:
                database.close()
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return self._connect()
        except sqlite3.OperationalError:
            raise  # locked, disk full: nothing is wrong with what is in it
        except sqlite3.DatabaseError:
            for suffix in ("", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            # it outlives restarts; a power cut may cost the last second's counts
            database.execute("PRAGMA synchronous=NORMAL")
            for table in _TABLES:
                database.execute(table)
        except BaseException:
            database.close()
            raise
        return database


def day_of(now: float) -> int:
    """Days of UTC since 1970 (RFC 8460 §4.1)."""
    return int(now // DAY_SECONDS)


def _policy_text(policy: Applied) -> str:
    return json.dumps([policy.type, policy.strings, policy.hosts], separators=(",", ":"))


def _counted(policy: str, failure: str, host: str, address: str, sessions: int) -> Counted:
    kind, strings, hosts = json.loads(policy)
    applied = Applied(PolicyType(kind), tuple(strings), tuple(hosts))
    return Counted(applied, Failure(failure) if failure else None, host, address, sessions)
