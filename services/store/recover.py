"""At start: bring packs and database to where the last commit left them.

The database says how far each pack was committed. The newest packs, which alone can have grown since, are mended: a torn
tail is cut, whole records that no commit knows stay and count as dead. Everything that should be there and is not is
reported, and nothing of it is touched.
"""

import sqlite3
from pathlib import Path

import attrs

from services.store.packs.append import PackAppender
from services.store.packs.paths import pack_numbers, pack_path
from services.store.packs.scan import mend
from services.store.sql.statements import contents
from shared.observe.log import Logger


@attrs.frozen
class Recovered:
    """Where appending goes on."""

    number: int
    end: int
    """0: a new pack."""
    dead: tuple[tuple[int, int, int], ...]
    """(pack, where it ends, octets) of whole records that no commit knows."""


def recover_packs(directory: Path, connection: sqlite3.Connection, log: Logger) -> Recovered:
    """Check what the database relies on and mend the newest packs. Raises OSError."""
    cursor = connection.cursor()
    known = {row[0]: row[1] for row in contents.PACK_ENDS.all(cursor)}
    there = pack_numbers(directory)
    # a retired pack whose file is gone has its row removed by compaction
    retired = {number for number, _, _, retired_at in contents.PACKS.all(cursor) if retired_at is not None}
    for number in sorted(set(known) - set(there) - retired):
        log.error("a pack is missing", pack=number, octets=known[number])
    newest = max(known, default=0)
    end, dead = 0, []
    for number in there:
        path = pack_path(directory, number)
        size = path.stat().st_size
        if number < newest:
            if size < known.get(number, 0):
                log.error("a pack is shorter than it was", pack=number, missing_octets=known[number] - size)
            continue
        mended = mend(path, number, known.get(number, 0))
        # begun by a group that was never committed, or newer than this database: left alone, as it may be all there is of some mail
        torn = bool(mended.damages) and number not in known
        for damage in mended.damages:
            tell, what = (log.warning, "a pack that no commit knows is torn") if torn else (log.error, "a pack is damaged")
            tell(what, pack=number, start=damage.start, end=damage.end, reason=damage.reason)
        if mended.missing_octets:
            log.error("a pack is shorter than it was", pack=number, missing_octets=mended.missing_octets)
        if mended.cut_octets:
            log.warning("a torn tail was cut off", pack=number, octets=mended.cut_octets)
        if mended.unknown_octets and not torn:
            dead.append((number, mended.end, mended.unknown_octets))
        # a pack with damage is not appended to: what is behind the damage stays as it is
        end = 0 if mended.damages or mended.missing_octets else mended.end
    last = max(there, default=0)
    return Recovered(last if end else max(last, newest) + 1, end, tuple(dead))


def open_appender(directory: Path, recovered: Recovered, seal_octets: int) -> PackAppender:
    """Go on where the last process stopped. Raises OSError."""
    end = recovered.end if recovered.end < seal_octets else 0
    number = recovered.number if end or not recovered.end else recovered.number + 1
    return PackAppender(directory, number=number, end=end, seal_octets=seal_octets)


def record_dead(connection: sqlite3.Connection, recovered: Recovered) -> None:
    """Count what recovery found and nobody needs; once, as the ends are moved past it."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    known = {row[0] for row in contents.PACK_ENDS.all(cursor)}
    for number, end, octets in recovered.dead:
        if number not in known:
            contents.INSERT_PACK.run(cursor, number, 0, 0)
        contents.ADD_DEAD.run(cursor, octets, number)
        contents.UPDATE_PACK.run(cursor, end, number)
    cursor.execute("COMMIT")
