"""The packs that a copy of the database names, into a backup.

All but the newest are sealed: never written to again. Such a file is linked from the backup before (which has it already and has its
digest), else from the data directory, else copied. The newest is copied up to its committed end. A pack that is gone was compacted away
after the database was copied: the database is then copied again.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs

from services.store.backup.files import Progress, copy, digest_of, link, make_directories, same_samples
from services.store.backup.manifest import PACKS, Entry
from services.store.pace import Pace
from services.store.packs.paths import pack_path


class PackGoneError(Exception):
    """A pack is not there (any more)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@attrs.frozen
class Earlier:
    """The backup before: its folder and its files."""

    folder: Path
    files: Mapping[str, Entry]


@attrs.define
class PackTaker:
    """Packs of one backup; what it has already is kept when the database is copied again."""

    packs: Path
    """Of the data directory."""
    target: Path
    """The folder of the backup under way."""
    earlier: Earlier | None
    pace: Pace
    progress: Progress
    taken: dict[str, Entry] = attrs.field(factory=dict)
    written: set[str] = attrs.field(factory=set)
    """Paths of those that were copied, and are to be compared."""
    new_octets: int = 0

    def take_all(self, ends: Mapping[int, int], ignored: frozenset[int] = frozenset()) -> list[str]:
        """What is wrong with them. ``ignored`` are known to be missing. Raises PackGoneError, OSError."""
        damages = [f"pack {number} is missing" for number in sorted(ignored & set(ends))]
        newest = max(ends, default=0)
        wanted = set()
        for number, end in ends.items():
            path = f"{PACKS}/{pack_path(Path(), number).name}"
            if number in ignored:
                continue
            wanted.add(path)
            try:
                taken = self._newest(number, path, end) if number == newest else self._sealed(number, path)
            except FileNotFoundError:
                raise PackGoneError(number) from None
            if taken.octets < end:
                damages.append(f"pack {number} is {end - taken.octets} octets shorter than it was")
        for path in set(self.taken) - wanted:
            # named by the first copy of the database, compacted away before the second
            (self.target / path).unlink(missing_ok=True)
            del self.taken[path]
            self.written.discard(path)
        return damages

    def _sealed(self, number: int, path: str) -> Entry:
        source = pack_path(self.packs, number)
        octets = source.stat().st_size
        known = self.taken.get(path)
        if known is not None and known.octets == octets:
            return known
        target = make_directories(self.target, path)
        target.unlink(missing_ok=True)
        self.written.discard(path)
        entry = self._from_earlier(source, path, octets, target)
        if entry is None:
            self.new_octets += octets
            if link(source, target):
                entry = Entry(path, *digest_of(target, self.pace, self.progress))
            else:
                entry = self._copied(source, path, target, octets)
        self.taken[path] = entry
        return entry

    def _newest(self, number: int, path: str, end: int) -> Entry:
        source = pack_path(self.packs, number)
        known = self.taken.get(path)
        if known is not None and known.octets == end:
            return known
        target = make_directories(self.target, path)
        target.unlink(missing_ok=True)
        entry = self._from_earlier(source, path, end, target)
        if entry is None:
            entry = self._copied(source, path, target, end)
            self.new_octets += entry.octets
        self.taken[path] = entry
        return entry

    def _from_earlier(self, source: Path, path: str, octets: int, target: Path) -> Entry | None:
        """The file that the backup before has of a pack, if it is this very pack."""
        entry = None if self.earlier is None else self.earlier.files.get(path)
        if self.earlier is None or entry is None or entry.octets != octets:
            return None
        old = self.earlier.folder / path
        try:
            if old.stat().st_size != octets or not same_samples(source, old) or not link(old, target):
                return None
        except FileNotFoundError:
            return None
        self.progress(octets)
        return entry

    def _copied(self, source: Path, path: str, target: Path, octets: int) -> Entry:
        entry = Entry(path, *copy(source, target, self.pace, self.progress, octets))
        self.written.add(path)
        return entry
