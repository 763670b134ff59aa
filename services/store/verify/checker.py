"""The process that verifies: ``python -m services.store.verify.checker DATABASE PACKS [--limit OCTETS_PER_SECOND]``.

It only reads, at the lowest priority, and ends when its standard input closes. Lines of JSON: ``{"stage", "done", "total"}`` as it goes
(octets of packs), ``{"damage": {...}}`` for each that is named, at the end ``{"finished": {"damages", "records", "messages"}}``.
Exit status: 0 finished, whatever it found; 1 it could not (the reason on standard error).
"""

import argparse
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs

from services.store.background import begin, report
from services.store.pace import Pace
from services.store.sql.database import connect
from services.store.verify.contents import ContentCheck
from services.store.verify.database import DatabaseCheck
from services.store.verify.findings import Findings, damage_to_json
from shared.contract.verify_types import Damage, DamageKind

CACHE_KIB: Final = 4 * 1024
Report = Callable[[Mapping[str, object]], None]


@attrs.frozen
class Verified:
    """What a verification found."""

    findings: Findings
    records: int
    messages: int


def verify(connection: sqlite3.Connection, packs: Path, pace: Pace, report: Report) -> Verified:
    """All of it. Raises OSError."""
    findings = Findings()

    def progress(stage: str, done: int, total: int) -> None:
        report({"stage": stage, "done": done, "total": total})

    content_check = ContentCheck(connection, packs, pace, findings, progress)
    try:
        content_check.run()
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        findings.add(Damage(DamageKind.DATABASE, f"the database is damaged (contents): {error}"))
    progress("database", pace.octets, pace.octets)
    database_check = DatabaseCheck(connection, findings)
    database_check.run()
    for damage in findings.named:
        report({"damage": damage_to_json(damage)})
    return Verified(findings, content_check.records, database_check.messages)


def verify_files(database: Path, packs: Path, pace: Pace, report: Report) -> Verified:
    """As ``verify``; a database that does not even open is damage. Raises OSError, sqlite3.OperationalError."""
    if not database.exists():
        raise FileNotFoundError(f"there is no database {database}")
    try:
        with closing(connect(database, read_only=True, cache_kib=CACHE_KIB)) as connection:
            return verify(connection, packs, pace, report)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        damage = Damage(DamageKind.DATABASE, f"the database cannot be read at all: {error}")
        report({"damage": damage_to_json(damage)})
        return Verified(Findings(1, [damage]), 0, 0)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("packs", type=Path)
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    begin()
    try:
        verified = verify_files(options.database, options.packs, Pace(options.limit), report)
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finished = {"damages": verified.findings.count, "records": verified.records, "messages": verified.messages}
    report({"finished": finished})
    return 0


if __name__ == "__main__":
    sys.exit(main())
