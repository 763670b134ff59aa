"""Sets of changed UIDs: never narrower than what they stand for, and coarser with age, not longer."""

import random
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store import changed as changed_messages
from services.store.changed import ChangedMessages
from services.store.domain.changed import (
    EVERYTHING,
    GAP,
    LIST_MAX,
    RANGES_MAX,
    decode,
    encode,
    pieces,
    ranges_of,
    union,
)
from services.store.reads import changed as reads
from services.store.sql.database import connect
from services.store.sql.migrate import migrate

uids = st.lists(st.integers(1, 400) | st.integers(1, 2**32 - 1), max_size=200)


def members(ranges, among):
    return {uid for uid in among if any(low <= uid <= high for low, high in ranges)}


@given(uids)
def test_every_uid_is_in_its_ranges(some: list[int]) -> None:
    ranges = ranges_of(some)
    assert members(ranges, some) == set(some)
    bounds = [uid for pair in ranges for uid in pair]
    assert bounds == sorted(bounds)
    assert all(after[0] - before[1] - 1 > GAP for before, after in pairwise(ranges))
    assert {low for low, _ in ranges} <= set(some)
    assert decode(encode(ranges)) == ranges


@given(st.lists(uids, max_size=5))
def test_a_union_has_all_of_them(sets: list[list[int]]) -> None:
    whole = union(bounds for some in sets for bounds in ranges_of(some))
    everything = {uid for some in sets for uid in some}
    assert members(whole, everything) == everything
    assert whole == sorted(whole)


def test_dense_is_one_range() -> None:
    assert ranges_of(range(5, 10_005)) == [(5, 10_004)]
    assert ranges_of(range(1, 9000, GAP + 1)) == [(1, 8992)]
    assert ranges_of([]) == union([]) == []
    assert union([(1, 50), (2, 3), (80, 81), (52, 52)]) == [(1, 52), (80, 81)]
    assert union([EVERYTHING, (4, 9)]) == [EVERYTHING]


def test_very_many_ranges_are_joined_where_the_gaps_are_narrow() -> None:
    rng = random.Random(1)
    scattered = sorted(rng.sample(range(1, 10_000_000), 20_000))
    ranges = ranges_of(scattered)
    assert len(ranges) == RANGES_MAX
    assert members(ranges[:40], [uid for uid in scattered if uid <= ranges[39][1]]) == {
        uid for uid in scattered if uid <= ranges[39][1]
    }
    assert (ranges[0][0], ranges[-1][1]) == (scattered[0], scattered[-1])
    widest = max(after - before for before, after in pairwise(scattered))
    assert max(after[0] - before[1] for before, after in pairwise(ranges)) == widest


@given(uids, st.integers(0, 500))
def test_pieces_are_what_is_above(some: list[int], after: int) -> None:
    ranges = ranges_of(some)
    asked: list[int] = []
    last = after
    for piece in pieces(ranges, after):
        if isinstance(piece, tuple):
            assert last < piece[0] <= piece[1]
            last = piece[1]
            asked += members([piece], some)
        else:
            assert 0 < len(piece) <= LIST_MAX
            assert last < piece[0]
            assert piece == sorted(set(piece))
            last = piece[-1]
            asked += piece
    assert {uid for uid in some if uid > after} <= set(asked)
    assert all(uid > after for uid in asked)


def test_many_short_ranges_take_several_lists() -> None:
    some = list(range(1, 40_000, 40))
    found = list(pieces(ranges_of(some), 0))
    assert [uid for piece in found for uid in piece] == some
    assert len(found) == 3


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[sqlite3.Cursor]:
    migrate(tmp_path / "db")
    connection = connect(tmp_path / "db", read_only=False, cache_kib=1000)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA foreign_keys=OFF")
    yield connection.cursor()
    connection.close()


def test_older_rows_become_one_and_nothing_is_lost(cursor: sqlite3.Cursor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_messages, "BLOCK", 4)
    rng = random.Random(7)
    noted = ChangedMessages()
    newest: dict[int, int] = {}
    most = 0
    modseq = 0
    while modseq < 3000:
        mine: dict[int, int] = {}
        for _ in range(rng.randint(1, 6)):
            modseq += 1
            noted.count(1, modseq)
            some = rng.sample(range(1, 3000), rng.randint(0, 4))
            noted.note(1, modseq, some)
            mine.update(dict.fromkeys(some, modseq))
        if rng.random() < 0.2:
            # it did not happen: its modseqs come again
            noted.clear()
            modseq = cursor.execute("SELECT coalesce(max(modseq), 0) FROM change_set").fetchone()[0]
            continue
        noted.write(cursor)
        newest.update(mine)
        since = rng.choice([modseq - 1, modseq - 3, rng.randint(0, modseq)])
        ranges = reads.changed_ranges(cursor, 1, since)
        wanted = {uid for uid, at in newest.items() if at > since}
        assert members(ranges, wanted) == wanted
        most = max(most, cursor.execute("SELECT count(*) FROM change_set").fetchone()[0])
    assert most < 60
    assert cursor.execute("SELECT max(modseq) FROM change_set").fetchone()[0] <= modseq


def test_the_newest_block_is_exact(cursor: sqlite3.Cursor) -> None:
    noted = ChangedMessages()
    for modseq in range(1, 2001):
        noted.count(1, modseq)
        noted.note(1, modseq, [modseq * 20])
        noted.write(cursor)
    for since in (1999, 1900, 2000 - changed_messages.BLOCK):
        assert reads.changed_ranges(cursor, 1, since) == [(uid * 20, uid * 20) for uid in range(since + 1, 2001)]
    # six whole blocks are a row each: all but the newest, which was not yet full
    assert cursor.execute("SELECT count(*) FROM change_set WHERE modseq < 1536").fetchone()[0] <= 6


def test_too_much_to_remember_is_the_whole_mailbox(cursor: sqlite3.Cursor, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = ChangedMessages()
    for modseq in range(1, 4):
        noted.note(1, modseq, [modseq * 100, modseq * 100 + 50])
        noted.write(cursor)
    monkeypatch.setattr(reads, "SETS_OCTETS_MAX", 32)
    assert reads.changed_ranges(cursor, 1, 0) == [EVERYTHING]
    assert len(reads.changed_ranges(cursor, 1, 1)) == 4


def test_of_a_deleted_mailbox_nothing_is_written(cursor: sqlite3.Cursor) -> None:
    noted = ChangedMessages()
    noted.note(1, 256, [1])
    noted.count(1, 256)
    noted.note(2, 5, [9])
    noted.drop(1)
    noted.write(cursor)
    assert cursor.execute("SELECT mailbox_id, modseq FROM change_set").fetchall() == [(2, 5)]
