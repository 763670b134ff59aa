"""Packs: what is synced is there, whatever is torn off behind it; what is damaged is never returned."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.packs.append import ALLOCATE_OCTETS, PackAppender, SpoolError
from services.store.packs.encode import Compressor, EncodedContent, FrameEncoder, content_digest, encode_content
from services.store.packs.paths import pack_numbers, pack_path
from services.store.packs.read import PackReader
from services.store.packs.record import (
    FRAME_OCTETS,
    HEADER_OCTETS,
    PACK_HEADER,
    CorruptRecordError,
    Location,
    Placement,
    RecordFlag,
    RecordHeader,
    decode_header,
    decode_meta,
    encode_header,
    encode_meta,
)
from services.store.packs.scan import Damage, FoundRecord, mend, scan_pack

COMPRESSOR = Compressor(1)
META = encode_meta([Placement("a@example.test", "INBOX", 7, 1_700_000_000)])


def text(octets: int, seed: int = 0) -> bytes:
    """Compressible."""
    rng = random.Random(seed)
    return b"".join(b"line %d of some text\r\n" % rng.randrange(1000) for _ in range(octets // 20 + 1))[:octets]


def noise(octets: int, seed: int = 0) -> bytes:
    """Not compressible."""
    return random.Random(seed).randbytes(octets)


def fill(directory: Path, contents: list[bytes], seal: int = 1 << 26) -> list[Location]:
    appender = PackAppender(directory, number=1, end=0, seal_octets=seal)
    locations = [appender.append(encode_content(content, COMPRESSOR), META) for content in contents]
    appender.sync()
    appender.close()
    return locations


@given(
    flags=st.integers(0, 3),
    stored=st.integers(0, 1 << 30),
    raw=st.integers(0, 1 << 30),
    crc=st.integers(0, 2**32 - 1),
    meta=st.binary(max_size=200),
)
def test_header_round_trip(flags: int, stored: int, raw: int, crc: int, meta: bytes) -> None:
    header = RecordHeader(RecordFlag(flags), len(meta), stored, raw, bytes(32), crc)
    data = encode_header(header, meta)
    assert len(data) == HEADER_OCTETS
    assert decode_header(data + meta) == header


@given(position=st.integers(0, HEADER_OCTETS + 9), bit=st.integers(0, 7))
def test_every_flipped_bit_of_a_header_is_seen(position: int, bit: int) -> None:
    meta = b"0123456789"
    data = bytearray(encode_header(RecordHeader(RecordFlag(0), len(meta), 5, 5, bytes(32), 1), meta) + meta)
    data[position] ^= 1 << bit
    with pytest.raises(CorruptRecordError):
        decode_header(bytes(data))


def test_meta_round_trip_and_bound() -> None:
    places = [Placement(f"user{n}@example.test", "INBOX", n, 1, 8) for n in range(10)]
    assert decode_meta(encode_meta(places)) == places
    many = [Placement(f"user{n}@example.test", "INBOX", n, 1) for n in range(5000)]
    meta = encode_meta(many)
    assert len(meta) <= 0xFFFF
    assert decode_meta(meta) == many[: len(decode_meta(meta))]


@pytest.mark.parametrize("octets", [0, 1, 100, 4096, FRAME_OCTETS - 1, FRAME_OCTETS, FRAME_OCTETS + 1, 3 * FRAME_OCTETS + 5])
@pytest.mark.parametrize("make", [text, noise])
def test_what_was_written_is_read(tmp_path: Path, octets: int, make: "type[text]") -> None:
    content = make(octets)
    (location,) = fill(tmp_path, [content])
    reader = PackReader(tmp_path, cache_octets=1 << 20)
    assert reader.read(location) == content
    for start, length in ((0, 10), (octets // 2, 100), (max(0, octets - 5), 50), (octets, 5), (0, octets), (FRAME_OCTETS - 3, 7)):
        assert reader.read(location, start, length) == content[start : start + length]
    reader.close()


def test_zstd_only_where_it_pays() -> None:
    assert encode_content(text(4096), COMPRESSOR).stored_octets < 2500
    assert encode_content(noise(4096), COMPRESSOR).payload == noise(4096)


@given(sizes=st.lists(st.integers(0, 200_000), max_size=8), seed=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_pieces_encode_as_the_whole(sizes: list[int], seed: int) -> None:
    pieces = [text(size, seed + number) for number, size in enumerate(sizes)]
    whole = b"".join(pieces)
    encoder = FrameEncoder(COMPRESSOR)
    payload = b"".join(encoder.write(piece) for piece in pieces)
    tail, described = encoder.finish("spool")
    expected = encode_content(whole, COMPRESSOR)
    assert payload + tail == expected.payload
    assert described == EncodedContent(
        expected.digest, len(whole), expected.stored_octets, expected.flags, expected.payload_crc, spool="spool"
    )


def test_spooled_content(tmp_path: Path) -> None:
    content = noise(5 * FRAME_OCTETS + 17)
    encoder = FrameEncoder(COMPRESSOR)
    spool = tmp_path / "spool"
    payload = encoder.write(content)
    tail, described = encoder.finish(str(spool))
    spool.write_bytes(payload + tail)
    packs = tmp_path / "packs"
    packs.mkdir()
    appender = PackAppender(packs, number=1, end=0, seal_octets=1 << 26)
    before = appender.append(encode_content(b"before", COMPRESSOR), META)
    location = appender.append(described, META)
    after = appender.append(encode_content(b"after", COMPRESSOR), META)
    appender.sync()
    appender.close()
    reader = PackReader(packs, cache_octets=1 << 20)
    assert [reader.read(where) for where in (before, location, after)] == [b"before", content, b"after"]


def test_a_spool_that_is_gone_or_short_fails_alone(tmp_path: Path) -> None:
    encoder = FrameEncoder(COMPRESSOR)
    spool = tmp_path / "spool"
    content = noise(5 * FRAME_OCTETS)
    payload = encoder.write(content)
    tail, described = encoder.finish(str(spool))
    packs = tmp_path / "packs"
    packs.mkdir()
    appender = PackAppender(packs, number=1, end=0, seal_octets=1 << 26)
    before = appender.append(encode_content(b"before", COMPRESSOR), META)
    with pytest.raises(SpoolError):
        appender.append(described, META)
    spool.write_bytes(payload[: 3 * FRAME_OCTETS])
    with pytest.raises(SpoolError):
        appender.append(described, META)
    after = appender.append(encode_content(b"after", COMPRESSOR), META)
    spool.write_bytes(payload + tail)
    whole = appender.append(described, META)
    appender.sync()
    assert appender.take_ends() == {1: whole.offset + whole.length}
    appender.close()
    assert [type(item) for item in scan_pack(pack_path(packs, 1))] == [FoundRecord] * 3
    reader = PackReader(packs, cache_octets=0)
    assert [reader.read(where) for where in (before, after, whole)] == [b"before", b"after", content]


def test_packs_are_sealed(tmp_path: Path) -> None:
    contents = [noise(1000, seed) for seed in range(20)]
    locations = fill(tmp_path, contents, seal=5000)
    assert len(pack_numbers(tmp_path)) == max(where.pack for where in locations) > 3
    reader = PackReader(tmp_path, cache_octets=0, files_max=2)
    assert [reader.read(where) for where in locations] == contents
    assert reader.statistics()["open_files"] == 2


def test_a_tail_torn_at_every_byte_is_cut_and_nothing_before_it(tmp_path: Path) -> None:
    contents = [text(300, 1), noise(50, 2), text(200, 3)]
    locations = fill(tmp_path, contents)
    path = pack_path(tmp_path, 1)
    whole = path.read_bytes()
    ends = [where.offset + where.length for where in locations]
    assert ends[-1] == len(whole)
    for size in range(ends[0], len(whole) + 1):
        path.write_bytes(whole[:size])
        mended = mend(path, 1, ends[0])
        expected = max(end for end in ends if end <= size)
        assert (mended.end, mended.cut_octets, mended.damages) == (expected, size - expected, ())
        assert path.read_bytes() == whole[:expected]
        assert mended.unknown_octets == expected - ends[0]


def test_zeros_behind_the_end_are_cut(tmp_path: Path) -> None:
    """Some file systems leave zeros where a write was under way."""
    (location,) = fill(tmp_path, [text(300)])
    path = pack_path(tmp_path, 1)
    end = location.offset + location.length
    with path.open("ab") as file:
        file.write(bytes(5000))
    assert mend(path, 1, end).cut_octets == 5000
    assert path.stat().st_size == end


def test_acknowledged_data_is_never_cut(tmp_path: Path) -> None:
    locations = fill(tmp_path, [text(300, seed) for seed in range(3)])
    path = pack_path(tmp_path, 1)
    whole = bytearray(path.read_bytes())
    whole[locations[2].offset + 80] ^= 1
    path.write_bytes(whole)
    mended = mend(path, 1, len(whole))
    assert path.read_bytes() == bytes(whole)
    assert mended.cut_octets == 0
    assert [damage.start for damage in mended.damages] == [locations[2].offset]


def test_a_corrupt_middle_is_reported_and_the_rest_is_found(tmp_path: Path) -> None:
    locations = fill(tmp_path, [text(300, seed) for seed in range(5)])
    path = pack_path(tmp_path, 1)
    whole = bytearray(path.read_bytes())
    whole[locations[1].offset + 3] ^= 1
    whole[locations[3].offset + locations[3].length - 2] ^= 1
    path.write_bytes(whole)
    found = list(scan_pack(path))
    assert [item.offset for item in found if isinstance(item, FoundRecord)] == [locations[n].offset for n in (0, 2, 4)]
    assert [(item.start, item.end) for item in found if isinstance(item, Damage)] == [
        (locations[n].offset, locations[n].offset + locations[n].length) for n in (1, 3)
    ]
    # even when nothing of it was acknowledged: there are whole records behind it
    assert mend(path, 1, 0).cut_octets == 0
    assert path.read_bytes() == bytes(whole)


def test_missing_octets_are_reported(tmp_path: Path) -> None:
    locations = fill(tmp_path, [text(300, seed) for seed in range(3)])
    path = pack_path(tmp_path, 1)
    end = locations[2].offset + locations[2].length
    os.truncate(path, locations[2].offset + 10)
    mended = mend(path, 1, end)
    assert mended.missing_octets == locations[2].length - 10
    assert mended.cut_octets == 0


@pytest.mark.parametrize("size", range(PACK_HEADER.size + 1))
def test_a_pack_that_was_just_begun(tmp_path: Path, size: int) -> None:
    PackAppender(tmp_path, number=1, end=0, seal_octets=1000).close()
    path = pack_path(tmp_path, 1)
    os.truncate(path, size)
    assert mend(path, 1, 0).end == PACK_HEADER.size
    appender = PackAppender(tmp_path, number=1, end=PACK_HEADER.size, seal_octets=1000)
    location = appender.append(encode_content(b"x", COMPRESSOR), META)
    appender.sync()
    appender.close()
    assert PackReader(tmp_path, cache_octets=0).read(location) == b"x"


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_damage_is_never_returned(position: int, bit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        contents = [text(600, 1), noise(700, 2), noise(FRAME_OCTETS + 900, 3)]
        locations = fill(Path(directory), contents)
        path = pack_path(Path(directory), 1)
        data = bytearray(path.read_bytes())
        data[PACK_HEADER.size + position * 37 % (len(data) - PACK_HEADER.size)] ^= 1 << bit
        path.write_bytes(data)
        reader = PackReader(Path(directory), cache_octets=0)
        for location, content in zip(locations, contents, strict=True):
            try:
                assert reader.read(location) == content
            except CorruptRecordError:
                continue


def test_rollback_leaves_nothing(tmp_path: Path) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 20)
    first = appender.append(encode_content(b"first", COMPRESSOR), META)
    appender.sync()
    appender.append(encode_content(b"second", COMPRESSOR), META)
    appender.rollback()
    third = appender.append(encode_content(b"third", COMPRESSOR), META)
    appender.sync()
    assert third.offset == first.offset + first.length
    reader = PackReader(tmp_path, cache_octets=0)
    assert [reader.read(first), reader.read(third)] == [b"first", b"third"]
    assert [item.offset for item in scan_pack(pack_path(tmp_path, 1)) if isinstance(item, FoundRecord)] == [
        first.offset,
        third.offset,
    ]


def test_a_failed_fsync_gives_the_pack_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 20)
    first = appender.append(encode_content(b"first", COMPRESSOR), META)
    appender.sync()

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    appender.append(encode_content(b"second", COMPRESSOR), META)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(os, "fdatasync", broken)
        appender.sync()
    appender.rollback()
    third = appender.append(encode_content(b"third", COMPRESSOR), META)
    appender.sync()
    assert (first.pack, third.pack) == (1, 2)
    reader = PackReader(tmp_path, cache_octets=0)
    assert [reader.read(first), reader.read(third)] == [b"first", b"third"]


def test_a_pack_that_was_begun_and_cannot_be_removed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=20)
    appender.append(encode_content(b"first", COMPRESSOR), META)
    appender.sync()

    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        patch.setattr(os, "unlink", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Read-only"):
                appender.append(encode_content(b"second", COMPRESSOR), META)
            appender.rollback()
    second = appender.append(encode_content(b"second", COMPRESSOR), META)
    appender.sync()
    assert second.pack > 2
    assert PackReader(tmp_path, cache_octets=0).read(second) == b"second"


def test_a_failed_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 20)
    first = appender.append(encode_content(b"first", COMPRESSOR), META)
    appender.sync()
    size = appender.end
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        real(fd, bytes(data)[:20], offset)
        raise OSError(28, "No space left on device")

    appender.append(encode_content(b"second", COMPRESSOR), META)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "pwrite", full)
        appender.sync()
    appender.rollback()
    assert pack_path(tmp_path, 1).stat().st_size == size
    third = appender.append(encode_content(b"third", COMPRESSOR), META)
    appender.sync()
    assert third.pack == 1
    reader = PackReader(tmp_path, cache_octets=0)
    assert [reader.read(first), reader.read(third)] == [b"first", b"third"]


@pytest.mark.parametrize("call", ["pwrite", "ftruncate", "fdatasync"])
def test_a_pack_that_could_not_be_sealed_has_no_end_beyond_what_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A later group commits the ends: one beyond the file would be damage at the next start."""
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=5000)
    first = appender.append(encode_content(noise(1000), COMPRESSOR), META)
    appender.sync()
    durable = appender.end
    assert appender.take_ends() == {1: durable}

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, call, full)
        for seed in range(10):
            appender.append(encode_content(noise(1000, seed), COMPRESSOR), META)
    appender.rollback()
    last = appender.append(encode_content(b"last", COMPRESSOR), META)
    appender.sync()
    end = appender.end
    ends = appender.take_ends()
    assert ends == {last.pack: end}
    assert ends.get(1, durable) <= pack_path(tmp_path, 1).stat().st_size
    reader = PackReader(tmp_path, cache_octets=0)
    assert [reader.read(first), reader.read(last)] == [noise(1000), b"last"]


def test_reference_records_are_walked_over(tmp_path: Path) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 20)
    content = text(500)
    appender.append(encode_content(content, COMPRESSOR), META)
    again = encode_meta([Placement("b@example.test", "INBOX", 1, 5)])
    length = appender.append_reference(content_digest(content), len(content), again)
    appender.sync()
    appender.close()
    first, second = (item for item in scan_pack(pack_path(tmp_path, 1)) if isinstance(item, FoundRecord))
    assert second.header.flags is RecordFlag.REFERENCE
    assert second.header.digest == first.header.digest
    assert second.header.record_octets == length
    assert decode_meta(second.meta)[0].address == "b@example.test"


def test_the_cache_is_bounded_and_serves_ranges(tmp_path: Path) -> None:
    contents = [text(100_000, seed) for seed in range(10)]
    locations = fill(tmp_path, contents)
    reader = PackReader(tmp_path, cache_octets=250_000)
    for location, content in zip(locations, contents, strict=True):
        for start in range(0, 100_000, 30_000):
            assert reader.read(location, start, 30_000) == content[start : start + 30_000]
    assert reader.statistics()["cached_octets"] <= 250_000
    assert reader.statistics()["cached_frames"] == 2


def test_small_groups_leave_the_length_of_the_file_alone(tmp_path: Path) -> None:
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 22)
    path = pack_path(tmp_path, 1)
    lengths = set()
    for seed in range(400):
        appender.append(encode_content(noise(1000, seed), COMPRESSOR), META)
        appender.sync()
        lengths.add(path.stat().st_size)
        assert appender.end <= path.stat().st_size <= appender.end + ALLOCATE_OCTETS
    assert len(lengths) == 2
    end = appender.end
    appender.close()
    assert path.stat().st_size == end


def test_a_hole_behind_what_was_committed_is_cut(tmp_path: Path) -> None:
    """A power cut may keep the second record of a group and not the first; where nothing is known of commits, nothing is cut."""
    locations = fill(tmp_path, [noise(1000, seed) for seed in range(4)])
    path = pack_path(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[locations[2].offset : locations[3].offset] = bytes(locations[2].length)
    path.write_bytes(data)
    mended = mend(path, 1, 0)
    assert (mended.end, mended.cut_octets, len(mended.damages)) == (len(data), 0, 1)
    mended = mend(path, 1, locations[2].offset)
    assert (mended.end, mended.damages) == (locations[2].offset, ())
    assert path.stat().st_size == locations[2].offset
