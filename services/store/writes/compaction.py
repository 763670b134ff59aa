"""Contents move to another pack; packs that nothing needs any more go.

A record is in at least one pack that the database names, at every moment: its copy is on the disk before the row that names it is
committed (the writer syncs the packs first), the old pack is retired only when no row names it, and its file goes before its row does.
"""

from collections.abc import Sequence
from pathlib import Path

from services.store.reads.compaction import LiveRecord
from services.store.sql.statements import contents
from services.store.transaction import Transaction


def move(transaction: Transaction, pack: int, path: Path, records: Sequence[LiveRecord]) -> int:
    """Copy records of a sealed pack into the current one; their octets. Those that are gone or elsewhere meanwhile are left out.

    Raises SpoolError where the pack cannot be read.
    """
    cursor = transaction.cursor
    places = {row[0]: row[1:] for row in contents.PLACES.all(cursor, [record.content_id for record in records])}
    moved: list[tuple[int, int, int]] = []
    octets = 0
    for record in records:
        if places.get(record.content_id) != (pack, record.offset):
            continue
        if record.data:
            location = transaction.appender.append_record(record.data, record.raw_octets)
        else:
            location = transaction.appender.copy_record(path, record.offset, record.length, record.raw_octets)
        moved.append((location.pack, location.offset, record.content_id))
        octets += record.length
        transaction.named[location.pack] = transaction.named.get(location.pack, 0) + location.length
    contents.MOVE.run_many(cursor, moved)
    transaction.dead[pack] = transaction.dead.get(pack, 0) + octets
    return octets


def retire(transaction: Transaction, pack: int) -> None:
    """No row names a pack: its file is going to be removed."""
    contents.RETIRE.run(transaction.cursor, transaction.now, pack)


def forget(transaction: Transaction, pack: int) -> None:
    """The file of a retired pack is gone."""
    contents.FORGET_PACK.run(transaction.cursor, pack)
