"""The process that builds the index: ``python -m services.store.search.indexer DATABASE PACKS SEARCH [--rebuild] [--compact] [--skip ID]``.

The store starts it when there is something to index and holds the other end of its standard input: when that closes, this process ends.
It reads the database and the packs and writes below SEARCH only, at the lowest priority. What it did it says in lines of JSON:
``{"indexed": contents in this run, "through": highest id looked at}`` after each partition that was written, and ``{"at": id}`` before
a content that is large (so that one which ends the process is left out the next time).

Memory: one partition's bits (8 MiB, twice while they are compressed) and the texts of one message (bounded by
``shared.mail.search_text``). Exit status: 0 done, 1 failed (the reason on standard error).
"""

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from services.store.background import begin, report
from services.store.packs.read import PackReader
from services.store.packs.record import CorruptRecordError, Location
from services.store.search.builder import PartitionBuilder
from services.store.search.document import searched_texts
from services.store.search.files import (
    SearchDamageError,
    document_of,
    grams_path,
    last_id,
    list_files,
    partition_of,
    text_path,
)
from services.store.search.grams import DOCUMENTS
from services.store.search.partition import Partition, read_header
from services.store.sql import plain
from services.store.sql.database import connect

ROWS: Final = 64
"""Contents asked for at once: no snapshot of the database is held for longer than it takes to read them."""
FLUSH_SECONDS: Final = 20.0
"""A partition is written this often while it is filled: what is lost when the process is killed."""
AGAIN: Final = 1000
"""Contents that came during a run and are worth another round at once; fewer wait for the next run."""
LARGE_OCTETS: Final = 1024 * 1024
WHOLE_OCTETS: Final = 256 * 1024
CACHE_KIB: Final = 2 * 1024
Report = Callable[[dict[str, int]], None]


class Indexer:
    """One run over the store's contents."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        packs: PackReader,
        directory: Path,
        report: Report,
        skip: Iterable[int] = (),
    ) -> None:
        self._connection = connection
        self._packs = packs
        self._directory = directory
        self._report = report
        self._skip = frozenset(skip)
        self._indexed = 0

    def run(self, *, rebuild: bool, compact: bool) -> None:
        """Index what is not yet, and what came meanwhile if it is much. Raises sqlite3.Error, OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for left in self._directory.glob("*.new"):
            left.unlink()
        done, last = 0, self._last_content()
        anew = rebuild
        more = last > 0
        while more:
            for partition in range(partition_of(last) + 1):
                self._bring_up(partition, min(last, last_id(partition)), anew=anew)
            anew = False
            done, last = last, self._last_content()
            more = last - done >= AGAIN
        if compact:
            for partition in list_files(self._directory):
                self._compact(partition)

    def _last_content(self) -> int:
        row = self._connection.execute(plain.LAST_CONTENT).fetchone()
        return 0 if row is None else int(row[0])

    def _open(self, partition: int) -> Partition | None:
        """None where there is no such partition, or none that makes sense."""
        try:
            return Partition(self._directory, partition)
        except (SearchDamageError, FileNotFoundError):
            return None

    def _reaches(self, partition: int) -> int:
        """The id up to which a partition says that it is complete; -1 where there is none that makes sense."""
        try:
            return read_header(self._directory, partition).through
        except (SearchDamageError, FileNotFoundError):
            return -1

    def _bring_up(self, partition: int, through: int, *, anew: bool) -> None:
        """Index a partition's contents up to an id."""
        if not anew and self._reaches(partition) >= through:
            return
        base = None if anew else self._open(partition)
        try:
            try:
                builder = PartitionBuilder(self._directory, partition, base)
            except SearchDamageError:
                base = self._closed(base)
                builder = PartitionBuilder(self._directory, partition, None)
            # id 0 is nobody's
            done = base.header.through if base is not None else (partition * DOCUMENTS or 1) - 1
            with closing(builder):
                self._fill(builder, done, through)
        finally:
            self._closed(base)

    @staticmethod
    def _closed(base: Partition | None) -> None:
        if base is not None:
            base.close()

    def _fill(self, builder: PartitionBuilder, done: int, through: int) -> None:
        written_at = time.monotonic()
        while True:
            rows = self._connection.execute(plain.CONTENTS, (done, through, ROWS)).fetchall()
            for row in rows:
                self._add(builder, row)
            done = rows[-1][0] if len(rows) == ROWS else through
            if done >= through or time.monotonic() - written_at >= FLUSH_SECONDS:
                self._write(builder, done)
                written_at = time.monotonic()
            if done >= through:
                return

    def _add(self, builder: PartitionBuilder, row: tuple[Any, ...]) -> None:
        """A content that cannot be read or taken apart is left out: whoever searches looks into it itself."""
        content_id, *place, parts = row
        location = Location(*place)
        if content_id in self._skip:
            return
        if location.raw_octets >= LARGE_OCTETS:
            self._report({"at": content_id})
        try:
            header, body = searched_texts(parts, self._reader(location))
        except (ValueError, CorruptRecordError, FileNotFoundError):
            return
        builder.add(document_of(content_id), header, body)
        self._indexed += 1

    def _reader(self, location: Location) -> Callable[[int, int], bytes]:
        packs = self._packs
        if location.raw_octets <= WHOLE_OCTETS:
            content = packs.read(location)
            return lambda start, stop: content[start:stop]
        return lambda start, stop: packs.read(location, start, stop - start)

    def _write(self, builder: PartitionBuilder, through: int) -> None:
        header = builder.write(through)
        self._sweep(header.partition, header.generation)
        self._report({"indexed": self._indexed, "through": through})

    def _sweep(self, partition: int, generation: int) -> None:
        """Texts that nothing refers to any more."""
        for each in list_files(self._directory).get(partition, []):
            if each != generation:
                text_path(self._directory, partition, each).unlink(missing_ok=True)

    def _compact(self, partition: int) -> None:
        """Write a partition anew when most of it are contents that are gone."""
        base = self._open(partition)
        if base is None:
            grams_path(self._directory, partition).unlink(missing_ok=True)
            return
        with closing(base):
            first = partition * DOCUMENTS
            alive = 0
            for (content_id,) in self._connection.execute(plain.CONTENT_IDS, (first, last_id(partition))).fetchall():
                alive |= 1 << document_of(content_id)
            known = base.directory.known
            if (known & ~alive).bit_count() * 2 <= known.bit_count():
                self._sweep(partition, base.header.generation)
                return
            try:
                with closing(PartitionBuilder(self._directory, partition, base, alive)) as builder:
                    self._write(builder, base.header.through)
            except SearchDamageError:
                grams_path(self._directory, partition).unlink(missing_ok=True)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser()
    for name in ("database", "packs", "search"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--skip", type=int, action="append", default=[])
    options = parser.parse_args()
    begin()
    try:
        with closing(connect(options.database, read_only=True, cache_kib=CACHE_KIB)) as connection:
            packs = PackReader(options.packs, cache_octets=WHOLE_OCTETS, files_max=4)
            indexer = Indexer(connection, packs, options.search, report, options.skip)
            indexer.run(rebuild=options.rebuild, compact=options.compact)
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
