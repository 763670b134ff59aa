"""A pack read whole: every octet of it matters."""

import random
from pathlib import Path

import pytest

from services.store.pace import Pace
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, content_digest, encode_content
from services.store.packs.paths import pack_path
from services.store.packs.record import FRAME_OCTETS, PACK_HEADER, CorruptRecordError, Placement, encode_meta
from services.store.packs.scan import Damage
from services.store.verify.walk import PackFile, Sound

META = encode_meta([Placement("a@b.test", "INBOX", 1, 1)])


def write_pack(directory: Path) -> tuple[Path, int, list[int]]:
    """Small, compressed, incompressible, framed records and a reference; path, end, where each begins."""
    noise = random.Random(1)
    contents = [b"", b"x", b"text " * 2000, noise.randbytes(5000), noise.randbytes(FRAME_OCTETS * 2 + 17), b"z" * (FRAME_OCTETS * 3)]
    appender = PackAppender(directory, number=1, end=0, seal_octets=1 << 30)
    compressor = Compressor(1)
    starts = []
    for content in contents:
        starts.append(appender.append(encode_content(content, compressor), META).offset)
    starts.append(appender.end)
    appender.append_reference(content_digest(b"x"), 1, META)
    starts.append(appender.append(encode_content(b"the last", compressor), META).offset)
    appender.sync()
    end = appender.end
    appender.close()
    return pack_path(directory, 1), end, starts


def test_a_sound_pack(tmp_path: Path) -> None:
    path, end, starts = write_pack(tmp_path)
    pace = Pace(0)
    with PackFile(path, pace) as file:
        file.check_start(1)
        found = list(file.walk(end))
        with pytest.raises(CorruptRecordError):
            file.check_start(2)
    assert [each.offset for each in found if isinstance(each, Sound)] == starts
    assert len(found) == len(starts)
    assert pace.octets >= end - PACK_HEADER.size


def test_any_octet_that_changes_is_found(tmp_path: Path) -> None:
    """And the records around it are not: what is torn ends where the next sound record begins."""
    path, end, starts = write_pack(tmp_path)
    good = path.read_bytes()
    draw = random.Random(7)
    places = [PACK_HEADER.size + n for n in range(64)] + [draw.randrange(PACK_HEADER.size, end) for _ in range(60)] + starts
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << draw.randrange(8)
        path.write_bytes(bad)
        with PackFile(path, Pace(0)) as file:
            found = list(file.walk(end))
        torn = [each for each in found if isinstance(each, Damage)]
        mine = max(start for start in starts if start <= place)
        following = min((start for start in [*starts, end] if start > place), default=end)
        assert [(each.start, each.end) for each in torn] == [(mine, following)], place
        sound = [each.offset for each in found if isinstance(each, Sound)]
        assert sound == [start for start in starts if start != mine]


def test_a_digest_that_is_not_the_contents(tmp_path: Path) -> None:
    """All checksums are right, and still it is not what came in."""
    appender = PackAppender(tmp_path, number=1, end=0, seal_octets=1 << 30)
    encoded = encode_content(b"one thing", Compressor(1))
    object.__setattr__(encoded, "digest", content_digest(b"another"))
    appender.append(encoded, META)
    appender.sync()
    with PackFile(pack_path(tmp_path, 1), Pace(0)) as file:
        (found,) = file.walk(appender.end)
    appender.close()
    assert isinstance(found, Damage)
    assert found.reason == "digest"


def test_a_pack_that_ends_early(tmp_path: Path) -> None:
    path, end, starts = write_pack(tmp_path)
    path.write_bytes(path.read_bytes()[: end - 1])
    with PackFile(path, Pace(0)) as file:
        found = list(file.walk(end))
    assert isinstance(found[-1], Damage)
    assert found[-1].start == starts[-1]
