"""A disk that keeps only what was flushed: the log of `disklog.c` played up to any point, and what the disk may hold after a cut there.

Laws of this disk, as POSIX has them and not kinder:
- a sync that has ended keeps all that was written to that file before it began; nothing else is sure to be kept;
- of what was not synced any part may be there: none, all, the first writes with the last one torn, or any 4 KiB pages and 512-octet
  sectors in any order; a file may have its new length and zeros where the data should be;
- a name (made, removed, renamed) is kept when its directory was synced, whatever happened to the file;
- of what a sync that failed should have kept any part is lost for good: a later one that succeeds does not bring it back. That is told to
  whoever wrote it (Linux tells every descriptor once), so it takes what came by the same descriptor.
SQLite's `-shm` is memory that processes share and not part of the state.
"""

import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

HEAD = struct.Struct("<BBHiqII")
PAGE, SECTOR = 4096, 512
Descriptor = tuple[int, int]
"""Process and number."""
Put = tuple[int, bytes | None]
"""Offset and data; data None: the file is cut to that length."""


@attrs.frozen
class Record:
    """One line of the log."""

    kind: str
    fd: Descriptor
    offset: int
    path: str
    data: bytes


def read_log(path: Path) -> list[Record]:
    """All records; a torn last one (its writer was killed) is left out."""
    data = path.read_bytes()
    records, at = [], 0
    while at + HEAD.size <= len(data):
        kind, _, path_octets, fd, offset, octets, pid = HEAD.unpack_from(data, at)
        begin = at + HEAD.size
        middle, end = begin + path_octets, begin + path_octets + octets
        if end > len(data):
            break
        records.append(Record(chr(kind), (pid, fd), offset, data[begin:middle].decode(), data[middle:end]))
        at = end
    return records


def mark_bytes(mark: Any) -> bytes:
    """A record of our own, to be appended in one write."""
    data = json.dumps(mark).encode()
    return HEAD.pack(ord("M"), 0, 0, -1, 0, len(data), 0) + data


def put(data: bytearray, op: Put) -> None:
    """What a file becomes by one write or cut."""
    offset, new = op
    if new is None:
        if offset < len(data):
            del data[offset:]
        else:
            data.extend(bytes(offset - len(data)))
        return
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(new)] = new


@attrs.define(eq=False)
class File:
    """What is sure to be there, and what came since."""

    kept: bytearray = attrs.field(factory=bytearray)
    pending: list[tuple[int, Put, Descriptor]] = attrs.field(factory=list)

    def settle(self, before: int, fd: Descriptor, lottery: random.Random | None) -> None:
        """A sync that began at `before` has ended; with `lottery` it failed."""
        done = [entry for entry in self.pending if entry[0] < before and (lottery is None or entry[2] == fd)]
        settled = {number for number, _, _ in done}
        later = [entry for entry in self.pending if entry[0] not in settled]
        if lottery is None:
            for _, op, _ in done:
                put(self.kept, op)
        else:
            self.pending = done
            self.kept = self.after_cut(lottery)
        self.pending = later

    def now(self) -> bytearray:
        """As a process sees it."""
        data = bytearray(self.kept)
        for _, op, _ in self.pending:
            put(data, op)
        return data

    def after_cut(self, rng: random.Random) -> bytearray:
        """One of the many things that may be left."""
        data = bytearray(self.kept)
        ops = [op for _, op, _ in self.pending]
        style = rng.randrange(5)
        if not ops or style == 0:
            return data
        if style == 1:
            kept = ops
        elif style == 2:
            count = rng.randrange(len(ops))
            kept = ops[:count] + list(torn(ops[count], rng, first=True))
        else:
            share = rng.choice((0.1, 0.5, 0.9))
            kept = [piece for op in ops for piece in torn(op, rng, share=share)]
        for op in kept:
            put(data, op)
        if style == 4:
            # the new length is there, the data is not
            length = max((offset + len(new) for offset, new in ops if new is not None), default=0)
            data.extend(bytes(max(0, rng.randint(0, length) - len(data))))
        return data


def torn(op: Put, rng: random.Random, *, share: float = 0.5, first: bool = False) -> Iterator[Put]:
    """Parts of one write: its first sectors, or some of its pages and, of a few pages, some sectors."""
    offset, data = op
    if data is None:
        if rng.random() < share:
            yield op
        return
    if first:
        yield offset, data[: rng.randrange(len(data) + 1) if rng.random() < 0.3 else rng.randrange(len(data) // SECTOR + 1) * SECTOR]
        return
    at = 0
    while at < len(data):
        end = min(len(data), (offset + at) // PAGE * PAGE + PAGE - offset)
        if rng.random() < 0.1:
            while at < end:
                stop = min(end, (offset + at) // SECTOR * SECTOR + SECTOR - offset)
                if rng.random() < share:
                    yield offset + at, data[at:stop]
                at = stop
        elif rng.random() < share:
            yield offset + at, data[at:end]
        at = end


Entry = File | None
"""None: a directory."""


@attrs.frozen
class NameOp:
    """Names of one directory that change together; `gone` only as a name that there is no more."""

    changes: dict[str, tuple[Entry, bool]]
    """Name -> (what it names, whether it is there)."""


@attrs.define(eq=False)
class Directory:
    kept: dict[str, Entry] = attrs.field(factory=dict)
    pending: list[tuple[int, NameOp]] = attrs.field(factory=list)

    def settle(self, before: int, _: Descriptor, lottery: random.Random | None) -> None:
        done = [op for number, op in self.pending if number < before]
        if lottery is None:
            self.pending = self.pending[len(done) :]
            for op in done:
                apply(self.kept, op)

    def now(self) -> dict[str, Entry]:
        names = dict(self.kept)
        for _, op in self.pending:
            apply(names, op)
        return names

    def after_cut(self, rng: random.Random) -> dict[str, Entry]:
        """The first changes, or any: what depends on one that is missing is missing, too."""
        names, ops = dict(self.kept), [op for _, op in self.pending]
        if rng.random() < 0.5:
            ops = ops[: rng.randint(0, len(ops))]
            share = 1.0
        else:
            share = rng.choice((0.2, 0.8))
        missing: set[str] = set()
        for op in ops:
            if missing & op.changes.keys() or rng.random() >= share:
                missing |= op.changes.keys()
            else:
                apply(names, op)
        return names


def apply(names: dict[str, Entry], op: NameOp) -> None:
    for name, (entry, there) in op.changes.items():
        if there:
            names[name] = entry
        else:
            names.pop(name, None)


class Disk:
    """Everything below one directory."""

    def __init__(self, root: str, seed: int = 0) -> None:
        self.root = root
        self._lottery = random.Random(seed)
        above = Directory()
        self._directories: dict[str, Directory] = {str(PurePosixPath(root).parent): above, root: Directory()}
        self._fds: dict[Descriptor, File | Directory] = {}
        self._begun: dict[Descriptor, int] = {}
        self._number = 0

    def play(self, record: Record) -> None:
        """Go one record on."""
        self._number += 1
        match record.kind:
            case "O":
                self._open(record)
            case "W" if record.fd in self._fds:
                self._file(record).pending.append((self._number, (record.offset, record.data), record.fd))
            case "T" if record.fd in self._fds:
                self._file(record).pending.append((self._number, (record.offset, None), record.fd))
            case "B":
                self._begun[record.fd] = self._number
            case "S" | "E" if record.fd in self._fds:
                lottery = self._lottery if record.kind == "E" else None
                self._fds[record.fd].settle(self._begun.pop(record.fd), record.fd, lottery)
            case "K":
                self._directories[record.path] = Directory()
                self._name(record.path, (None, True))
            case "U" | "D":
                self._name(record.path, (None, False))
            case "R":
                directory, name = split(record.path)
                other, new = split(record.data.decode())
                assert directory == other, "a rename across directories"
                entry = self._directories[directory].now()[name]
                assert entry is not None, "a directory was renamed"
                self._directories[directory].pending.append(
                    (self._number, NameOp({name: (None, False), new: (entry, True)}))
                )
            case "L":
                directory, name = split(record.path)
                self._name(record.data.decode(), (self._directories[directory].now()[name], True))
            case _:
                pass

    def _file(self, record: Record) -> File:
        file = self._fds[record.fd]
        assert isinstance(file, File)
        return file

    def _open(self, record: Record) -> None:
        if record.path in self._directories:
            self._fds[record.fd] = self._directories[record.path]
            return
        directory, name = split(record.path)
        file = self._directories[directory].now().get(name)
        if file is None:
            file = File()
            self._name(record.path, (file, True))
        if record.offset & os.O_TRUNC and record.offset & os.O_ACCMODE:
            file.pending.append((self._number, (0, None), record.fd))
        self._fds[record.fd] = file

    def _name(self, path: str, change: tuple[Entry, bool]) -> None:
        directory, name = split(path)
        if not name.endswith("-shm"):
            self._directories[directory].pending.append((self._number, NameOp({name: change})))
        elif change[1]:
            # whoever opens it again has the same file, and no disk has it
            self._directories[directory].kept[name] = change[0]

    def write(self, target: Path, rng: random.Random | None) -> None:
        """Make the state after a cut below `target`; without `rng` all that was written."""
        self._write(self.root, target, rng)

    def _write(self, path: str, target: Path, rng: random.Random | None) -> None:
        target.mkdir(mode=0o700, exist_ok=True)
        directory = self._directories[path]
        for name, entry in sorted((directory.now() if rng is None else directory.after_cut(rng)).items()):
            if name.endswith("-shm"):
                continue
            if entry is None:
                self._write(f"{path}/{name}", target / name, rng)
            else:
                fd = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.write(fd, entry.now() if rng is None else entry.after_cut(rng))
                os.close(fd)


def split(path: str) -> tuple[str, str]:
    directory, _, name = path.rpartition("/")
    return directory, name


def differences(disk: Disk, target: Path, real: Path) -> list[str]:
    """Files that the log and the directory do not have in common: the log missed something. Sockets are no files."""
    disk.write(target, None)
    skip: Callable[[Path], bool] = lambda path: not path.is_file() or path.name.endswith("-shm")  # noqa: E731
    found = []
    for a, b in ((target, real), (real, target)):
        for path in sorted(a.rglob("*")):
            other = b / path.relative_to(a)
            if not skip(path) and (not other.exists() or other.read_bytes() != path.read_bytes()):
                found.append(str(path.relative_to(a)))
    return sorted(set(found))
