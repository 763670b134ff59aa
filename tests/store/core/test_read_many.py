"""Many records at once: the same octets as one by one, in any order, and damage is never returned."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.paths import pack_path
from services.store.packs.read import PackReader, Wanted
from services.store.packs.record import FRAME_OCTETS, PACK_HEADER, CorruptRecordError, Location, Placement, encode_meta

COMPRESSOR = Compressor(1)
META = encode_meta([Placement("a@example.test", "INBOX", 7, 1_700_000_000)])
SIZES = st.one_of(st.integers(0, 3000), st.sampled_from([FRAME_OCTETS - 1, FRAME_OCTETS, FRAME_OCTETS + 1, 600_000]))


def make(octets: int, seed: int) -> bytes:
    """Compressible or not."""
    rng = random.Random(seed)
    return rng.randbytes(octets) if seed % 3 == 0 else (b"%d of some text\r\n" % seed * (octets // 12 + 1))[:octets]


def fill(directory: Path, contents: list[bytes], seal: int) -> list[Location]:
    appender = PackAppender(directory, number=1, end=0, seal_octets=seal)
    locations = [appender.append(encode_content(content, COMPRESSOR), META) for content in contents]
    appender.sync()
    appender.close()
    return locations


def want(location: Location, start: int, stop: int) -> Wanted:
    return (location.pack, location.offset, location.length, location.raw_octets, start, stop)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(SIZES, min_size=1, max_size=12),
    picks=st.lists(st.tuples(st.integers(0, 11), st.floats(0, 1), st.floats(0, 1)), max_size=30),
    seal=st.sampled_from([1000, 1 << 26]),
)
def test_the_same_as_one_by_one(sizes: list[int], picks: list[tuple[int, float, float]], seal: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        contents = [make(octets, seed) for seed, octets in enumerate(sizes)]
        locations = fill(Path(name), contents, seal)
        wanted, expected = [], []
        for number, low, high in picks:
            content, location = contents[number % len(sizes)], locations[number % len(sizes)]
            start = int(low * len(content)) if low > 0.3 else 0
            stop = max(start, int(high * len(content))) if high < 0.7 else len(content)
            wanted.append(want(location, start, stop))
            expected.append(content[start:stop])
        reader = PackReader(Path(name), cache_octets=100_000)
        assert [bytes(piece) for piece in reader.read_many(wanted)] == expected
        assert reader.statistics()["cached_octets"] <= 100_000
        reader.close()


@settings(max_examples=80, deadline=None)
@given(position=st.integers(0, 20_000), bit=st.integers(0, 7))
def test_damage_is_never_returned(position: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        contents = [make(700, seed) for seed in range(8)]
        locations = fill(Path(name), contents, 1 << 26)
        path = pack_path(Path(name), 1)
        data = bytearray(path.read_bytes())
        data[PACK_HEADER.size + position % (len(data) - PACK_HEADER.size)] ^= 1 << bit
        path.write_bytes(data)
        reader = PackReader(Path(name), cache_octets=0)
        with pytest.raises(CorruptRecordError):
            reader.read_many([want(location, 0, location.raw_octets) for location in locations])
        reader.close()


def test_a_pack_that_is_cut_short(tmp_path: Path) -> None:
    locations = fill(tmp_path, [make(700, seed) for seed in range(3)], 1 << 26)
    path = pack_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptRecordError):
        PackReader(tmp_path, cache_octets=0).read_many([want(each, 0, each.raw_octets) for each in locations])


def test_a_frame_that_lies_about_its_length(tmp_path: Path) -> None:
    """Checksums that are right do not make a record what the database means."""
    first, second = fill(tmp_path, [make(700, 1), make(900, 2)], 1 << 26)
    wrong = Location(second.pack, second.offset, second.length, 901)
    with pytest.raises(CorruptRecordError):
        PackReader(tmp_path, cache_octets=0).read_many([want(first, 0, 700), want(wrong, 0, 901)])


def test_neighbours_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    locations = fill(tmp_path, [make(2000, seed) for seed in range(200)], 1 << 26)
    calls: list[int] = []
    pread = os.pread

    def counted(fd: int, octets: int, offset: int) -> bytes:
        calls.append(octets)
        return pread(fd, octets, offset)

    monkeypatch.setattr(os, "pread", counted)
    PackReader(tmp_path, cache_octets=0).read_many([want(each, 0, each.raw_octets) for each in locations])
    assert len(calls) == 1
