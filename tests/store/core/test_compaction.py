"""Which pack is written anew; records are copied as they are; what is needed of a pack, piece by piece."""

import os
import random
from pathlib import Path

import pytest

from services.store.domain.compaction import RESERVE_OCTETS, PackState, choose
from services.store.packs.append import PackAppender, SpoolError
from services.store.packs.encode import Compressor, EncodedContent, encode_content
from services.store.packs.paths import pack_path
from services.store.packs.read import PackReader
from services.store.packs.record import FRAME_OCTETS, PACK_HEADER, Location, encode_meta
from services.store.packs.scan import FoundRecord, scan_pack
from services.store.readers import Snapshot
from services.store.reads import compaction as reads
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.sql.statements import contents
from services.store.transaction import Ids, Transaction
from services.store.writes import compaction as writes

COMPRESSOR = Compressor(1)
META = encode_meta([])
PLENTY = 1 << 50


def state(number: int, octets: int, dead: int, *, retired: bool = False) -> PackState:
    return PackState(number, octets, dead, retired)


def test_the_pack_that_gives_most_back_is_chosen() -> None:
    packs = [state(1, 1000, 600), state(2, 1000, 700), state(3, 1000, 500), state(4, 1000, 1000)]
    assert choose(packs, 50, (), PLENTY) == packs[1]
    assert choose(packs, 50, {2}, PLENTY) == packs[0]
    # exactly half is not less than half; the newest is still written to
    assert choose(packs, 50, {1, 2}, PLENTY) is None
    assert choose(packs, 51, {1, 2}, PLENTY) == packs[2]
    assert choose(packs, 0, (), PLENTY) is None
    assert choose([], 50, (), PLENTY) is None
    assert choose([state(1, 1000, 999, retired=True), state(2, 9, 0)], 50, (), PLENTY) is None
    # of two alike the older
    assert choose([state(1, 10, 9), state(2, 10, 9), state(3, 1, 0)], 50, (), PLENTY) == state(1, 10, 9)


def test_room_is_left_for_mail() -> None:
    packs = [state(1, 1000, 600), state(2, 516, 500), state(3, 1, 0)]
    assert choose(packs, 50, (), RESERVE_OCTETS + 800) == packs[0]
    assert choose(packs, 50, (), RESERVE_OCTETS + 799) == packs[1]
    assert choose(packs, 50, (), 0) == packs[1], "what nothing needs takes no room"


class Bench:
    """Packs with some contents in them, and their rows."""

    def __init__(self, tmp_path: Path, seal_octets: int = 1 << 40) -> None:
        migrate(tmp_path / "db")
        self.connection = connect(tmp_path / "db", read_only=False, cache_kib=1000)
        self.cursor = self.connection.cursor()
        self.cursor.execute("BEGIN")
        self.directory = tmp_path / "packs"
        self.directory.mkdir()
        self.appender = PackAppender(self.directory, number=1, end=0, seal_octets=seal_octets)
        self.reader = PackReader(self.directory, cache_octets=1 << 20)
        self.snapshot = Snapshot(self.cursor, self.reader)
        self.raw: dict[int, bytes] = {}

    def add(self, raw: bytes) -> int:
        encoded = encode_content(raw, COMPRESSOR)
        location = self.appender.append(encoded, META)
        content_id = len(self.raw) + 1
        row = (content_id, encoded.digest, location.pack, location.offset, location.length, len(raw), 1)
        contents.INSERT.run(self.cursor, *row)
        self.raw[content_id] = raw
        return content_id

    def drop(self, content_id: int) -> None:
        self.cursor.execute("DELETE FROM content WHERE id = ?", (content_id,))
        del self.raw[content_id]

    def seal(self) -> None:
        """Sync and go on in the next pack."""
        self.appender.sync()
        self.appender.close()
        self.appender = PackAppender(self.directory, number=self.appender.number + 1, end=0, seal_octets=1 << 40)

    def transaction(self) -> Transaction:
        return Transaction(self.cursor, self.appender, Ids(self.cursor), 1000.0)

    def move_all(self, pack: int) -> list[int]:
        """As the task does; how many records each piece had."""
        position, end = PACK_HEADER.size, pack_path(self.directory, pack).stat().st_size
        pieces = []
        while position < end:
            piece = reads.piece(self.snapshot, self.directory, pack, position, end)
            assert piece.damage is None
            assert position < piece.next <= end
            pieces.append(len(piece.live))
            writes.move(self.transaction(), pack, pack_path(self.directory, pack), piece.live)
            position = piece.next
        self.appender.sync()
        return pieces

    def check(self, pack: int) -> None:
        """All contents are in this pack, and whole."""
        for content_id, raw in self.raw.items():
            location = Location(*contents.LOCATION.one(self.cursor, content_id))
            assert location.pack == pack
            assert self.reader.read(location) == raw


def test_what_is_needed_moves_and_reads_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rng = random.Random(3)
    sizes = [1, 900, FRAME_OCTETS, FRAME_OCTETS + 1, 3_000_000, *(rng.randrange(64, 5000) for _ in range(2500))]
    ids = [bench.add(rng.randbytes(size // 2) + bytes(size - size // 2)) for size in sizes]
    bench.appender.append_reference(bytes(32), 5, META)
    bench.appender.append(EncodedContent(bytes(32), 0, 0, encode_content(b"", COMPRESSOR).flags, 0), META)
    for content_id in ids[5::3]:
        bench.drop(content_id)
    bench.seal()
    pieces = bench.move_all(1)
    assert sum(pieces) == len(bench.raw)
    assert len(pieces) > 5
    assert max(pieces) <= reads.EXTENT_RECORDS
    bench.check(2)
    assert reads.names_pack(bench.snapshot, 1, 0) == (False, 0)
    assert reads.names_pack(bench.snapshot, 2, 0) == (True, 0)
    # nothing else was copied, and a pack can be walked from end to end
    found = list(scan_pack(pack_path(bench.directory, 2), stop=bench.appender.end))
    assert all(isinstance(record, FoundRecord) for record in found)
    assert len(found) == len(bench.raw)
    # once more: what is elsewhere already is left alone
    assert sum(bench.move_all(1)) == 0
    bench.check(2)


def test_what_went_meanwhile_is_not_moved(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ids = [bench.add(b"content %d" % number) for number in range(3)]
    bench.seal()
    end = pack_path(bench.directory, 1).stat().st_size
    piece = reads.piece(bench.snapshot, bench.directory, 1, PACK_HEADER.size, end)
    bench.drop(ids[0])
    transaction = bench.transaction()
    moved = writes.move(transaction, 1, pack_path(bench.directory, 1), piece.live)
    assert moved == transaction.dead[1] == sum(record.length for record in piece.live[1:])
    assert writes.move(bench.transaction(), 1, pack_path(bench.directory, 1), piece.live) == 0
    bench.appender.sync()
    bench.check(2)


def test_damage_ends_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(3):
        bench.add(b"content %d" % number * 50)
    bench.seal()
    path = pack_path(bench.directory, 1)
    second = Location(*contents.LOCATION.one(bench.cursor, 2)).offset
    data = bytearray(path.read_bytes())
    data[second + 90] ^= 1
    path.write_bytes(data)
    first = reads.piece(bench.snapshot, bench.directory, 1, PACK_HEADER.size, len(data))
    assert [record.content_id for record in first.live] == [1]
    assert first.next == second
    then = reads.piece(bench.snapshot, bench.directory, 1, second, len(data))
    assert then.live == ()
    assert then.damage is not None
    # the pack was cut: no piece comes any further
    os.truncate(path, second)
    assert reads.piece(bench.snapshot, bench.directory, 1, second, len(data)) == reads.Piece(second, ())


def test_a_record_that_cannot_be_copied_leaves_nothing(tmp_path: Path) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1000)
    first = appender.append(encode_content(b"first", COMPRESSOR), META)
    (tmp_path / "short").write_bytes(bytes(4000))
    for source in (tmp_path / "nothing", tmp_path / "short"):
        with pytest.raises(SpoolError):
            appender.copy_record(source, 16, 5000, 4000)
    record = pack_path(tmp_path, 1).read_bytes()[first.offset : first.offset + first.length]
    second = appender.append_record(record, first.raw_octets)
    appender.sync()
    assert second.offset == first.offset + first.length
    reader = PackReader(tmp_path, cache_octets=0)
    assert reader.read(first) == reader.read(second) == b"first"


def test_only_what_is_retired_is_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    contents.INSERT_PACK.run(bench.cursor, 1, 100, 50)
    writes.forget(bench.transaction(), 1)
    assert reads.packs(bench.snapshot) == [PackState(1, 100, 50)]
    writes.retire(bench.transaction(), 1)
    assert reads.packs(bench.snapshot) == [PackState(1, 100, 50, retired=True)]
    writes.forget(bench.transaction(), 1)
    assert reads.packs(bench.snapshot) == []
