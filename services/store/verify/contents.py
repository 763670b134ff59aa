"""Packs against the database: every record is read, every content row has its record, every stretch that is torn has a name.

The packs are walked once, in the order in which they lie on the disk. Each sound record's row is looked up by its digest; contents
that were seen are remembered as one bit each. What is left of the rows after that is looked at where it should lie: that says what is
wrong with it, and spares what was moved or came meanwhile. No look at the database lasts longer than PAGE rows: mail goes on meanwhile.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from services.store.pace import Pace
from services.store.packs import scan
from services.store.packs.paths import pack_path
from services.store.packs.record import CorruptRecordError, RecordFlag
from services.store.sql import plain_verify as sql
from services.store.verify.findings import Findings
from services.store.verify.owners import name_owners
from services.store.verify.walk import PackFile
from shared.contract.verify_types import Damage, DamageKind

PAGE: Final = 500
SUSPECTS_MAX: Final = 2000
"""Contents named at the most: beyond it they are counted."""
IDS_MAX: Final = 1 << 28
"""More contents than any machine of this kind holds: an id beyond it is damage, and no reason to take memory for it."""
Progress = Callable[[str, int, int], None]
"""Stage, octets done, octets in all."""


class Seen:
    """A set of ids, one bit each."""

    def __init__(self, last: int) -> None:
        if last > IDS_MAX:
            raise ValueError(f"content id {last} is out of bounds")
        self._bits = bytearray((last >> 3) + 1)
        self.last = last

    def add(self, content: int) -> None:
        if content <= self.last:
            self._bits[content >> 3] |= 1 << (content & 7)

    def __contains__(self, content: int) -> bool:
        return bool(self._bits[content >> 3] >> (content & 7) & 1)


@attrs.define
class ContentCheck:
    """One pass over packs and contents."""

    connection: sqlite3.Connection
    packs: Path
    pace: Pace
    findings: Findings
    progress: Progress
    records: int = 0

    def run(self) -> None:
        """Raises sqlite3.Error, OSError."""
        seen = Seen(int(self.connection.execute(sql.LAST_CONTENT).fetchone()[0]))
        packs = self.connection.execute(sql.PACKS).fetchall()
        total = sum(int(octets) for _, octets in packs)
        done = 0
        self.progress("packs", 0, total)
        for number, octets in packs:
            self._pack(int(number), int(octets), seen, done, total)
            done += int(octets)
        self.progress("contents", total, total)
        self._unseen(seen)

    def _pack(self, number: int, end: int, seen: Seen, done: int, total: int) -> None:
        """All records of a pack. One that is gone from the database meanwhile was compacted away."""
        try:
            file = PackFile(pack_path(self.packs, number), self.pace)
        except OSError as error:
            if self.connection.execute(sql.PACK, (number,)).fetchone() is not None:
                reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be opened: {error.strerror}"
                self.findings.add(Damage(DamageKind.PACK, f"pack {number} ({end} octets) {reason}"))
            return
        told = done
        with file:
            if file.size < end:
                self.findings.add(Damage(DamageKind.PACK, f"pack {number} is {end - file.size} octets shorter than it was"))
                end = file.size
            try:
                file.check_start(number)
            except CorruptRecordError as error:
                self.findings.add(Damage(DamageKind.PACK, f"pack {number}: {error}"))
            for found in file.walk(end):
                if isinstance(found, scan.Damage):
                    what = f"pack {number}, octets {found.start} to {found.end}: {found.reason}"
                    self.findings.add(Damage(DamageKind.PACK, what))
                    continue
                self.records += 1
                if not found.header.flags & RecordFlag.REFERENCE:
                    self._match(number, found.offset, found.header.record_octets, found.header.digest, seen)
                if done + found.end - told >= 1 << 20:
                    told = done + found.end
                    self.progress("packs", told, total)
        self.progress("packs", done + end, total)

    def _match(self, number: int, offset: int, length: int, digest: bytes, seen: Seen) -> None:
        row = self.connection.execute(sql.BY_DIGEST, (digest,)).fetchone()
        if row is not None and tuple(row[1:4]) == (number, offset, length):
            seen.add(row[0])

    def _unseen(self, seen: Seen) -> None:
        """Contents whose record was not met, each looked at where its row says that it lies."""
        suspects: dict[int, str] = {}
        more, after = 0, 0
        while rows := self.connection.execute(sql.CONTENTS, (after, seen.last, PAGE)).fetchall():
            after = rows[-1][0]
            for content, digest, number, offset, length, octets in rows:
                if content in seen:
                    continue
                reason = self._look(digest, number, offset, length, octets)
                if reason and self._still(content, (digest, number, offset, length, octets)):
                    if len(suspects) < SUSPECTS_MAX:
                        suspects[content] = reason
                    else:
                        more += 1
        self.findings.add_all(name_owners(self.connection, suspects))
        self.findings.count += more

    def _look(self, digest: bytes, number: int, offset: int, length: int, octets: int) -> str:
        """What is wrong with a content; empty when nothing is."""
        try:
            with PackFile(pack_path(self.packs, number), self.pace) as file:
                header = file.check_record(offset)
        except CorruptRecordError as error:
            return f"pack {number}, octet {offset}: {error}"
        except FileNotFoundError:
            return f"pack {number} is missing"
        except (OSError, ValueError, TypeError, OverflowError) as error:
            return f"pack {number}, octet {offset}: {error}"
        if (header.digest, header.record_octets, header.raw_octets) != (digest, length, octets):
            return f"pack {number}, octet {offset}: another record lies here"
        return ""

    def _still(self, content: int, row: tuple[object, ...]) -> bool:
        """Whether a row is what it was: it may have been dropped or its record moved since."""
        now = self.connection.execute(sql.CONTENT, (content,)).fetchone()
        return now is not None and tuple(now) == row
