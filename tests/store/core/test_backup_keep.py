"""Which backups stay, and what a manifest may say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.backup.keep import Keep, superfluous
from services.store.backup.manifest import (
    BackupError,
    Entry,
    Manifest,
    decode,
    encode,
    end_of,
    name_of,
    time_of,
)

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def names(*ages_days: float) -> list[str]:
    return [name_of(NOW - timedelta(days=age)) for age in ages_days]


def kept(all_names: list[str], keep: Keep) -> list[str]:
    gone = superfluous(all_names, keep)
    return sorted(name for name in all_names if name not in gone)


def test_days_weeks_and_months() -> None:
    hourly = names(*[n / 24 for n in range(24 * 100)])
    stay = kept(hourly, Keep(daily=3, weekly=2, monthly=2))
    # the newest of today, yesterday and the day before; of last week (until Sunday the 22nd); of October
    days = [time_of(name).strftime("%m-%d %H") for name in stay]  # type: ignore[union-attr]
    assert days == ["10-31 23", "11-22 23", "11-26 23", "11-27 23", "11-28 12"]


def test_days_without_a_backup_do_not_count() -> None:
    old = names(0, 30, 60, 90)
    assert superfluous(old, Keep(3, 0, 0)) == [name_of(NOW - timedelta(days=90))]


def test_nothing_asked_is_everything_kept() -> None:
    assert superfluous(names(*range(100)), Keep(0, 0, 0)) == []


def test_other_names_are_never_superfluous() -> None:
    assert superfluous(["holiday pictures", "2026-13-45T000000Z", *names(0)], Keep(1, 0, 0)) == []


@given(
    ages=st.lists(st.integers(0, 400 * 24), max_size=60, unique=True),
    keep=st.builds(Keep, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)
def test_the_newest_stays_and_doing_it_twice_changes_nothing(ages: list[int], keep: Keep) -> None:
    all_names = names(*[age / 24 for age in ages])
    stay = kept(all_names, keep)
    assert not all_names or max(all_names) in stay
    assert superfluous(stay, keep) == []
    if keep != Keep(0, 0, 0):
        assert len(stay) <= max(1, keep.daily + keep.weekly + keep.monthly)


def test_a_manifest_comes_back() -> None:
    manifest = Manifest(name_of(NOW), "1.0", "0005", (Entry("data/store/x", 3, "0" * 64),), ("pack 3 is missing",))
    assert decode(encode(manifest)) == manifest
    assert manifest.by_path()["data/store/x"].octets == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "data/../../x", "", "..", "a\\b", "data/\0"])
def test_a_manifest_never_leads_out_of_the_backup(path: str) -> None:
    with pytest.raises(BackupError):
        decode(encode(Manifest("n", "1", "1", (Entry(path, 1, "0" * 64),))))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format": 2}', b"\xff", b'{"format": 1, "name": "", "files": [1], "damages": []}']
)
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(BackupError):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_an_error(data: bytes) -> None:
    with pytest.raises(BackupError):
        decode(data)


@pytest.mark.parametrize(
    ("when", "last"),
    [
        ("2026", "2026-12-31T23:59:59.999999"),
        ("2026-02", "2026-02-28T23:59:59.999999"),
        ("2026-12", "2026-12-31T23:59:59.999999"),
        ("2026-11-28", "2026-11-28T23:59:59.999999"),
        ("2026-11-28T11:08", "2026-11-28T11:08:59.999999"),
        ("2026-11-28 1108", "2026-11-28T11:08:59.999999"),
        ("2026-11-28T110800Z", "2026-11-28T11:08:00.999999"),
    ],
)
def test_what_a_time_covers(when: str, last: str) -> None:
    assert end_of(when).replace(tzinfo=None).isoformat() == last


@pytest.mark.parametrize("when", ["yesterday", "2026-13", "2026-02-30", "2026-11-28T25:00", "", "9999-12-31", "0000"])
def test_what_is_no_time(when: str) -> None:
    with pytest.raises(BackupError):
        end_of(when)


def test_names_are_times() -> None:
    assert time_of(name_of(NOW)) == NOW
    assert name_of(NOW) == "2026-11-28T120000Z"
    for other in ("2026-11-28", "2026-11-28T120000Z ", "x", "2026-02-30T120000Z", ".incoming-2026-11-28T120000Z"):
        assert time_of(other) is None
