"""What a server costs: CPU and memory of its processes from /proc, and how busy the rest of the machine was.

A server is a set of named root processes; all their descendants count. Live processes are read from their CPU clocks
(nanoseconds; threads that ended are in it), children that ended from their parents' cutime and cstime (10 ms ticks).
"""

import os
import statistics
import time
from collections.abc import Iterable, Mapping
from typing import Self

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid: str) -> tuple[str, list[str]] | None:
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()


def processes(root: int) -> list[tuple[int, str, list[str]]]:
    """(pid, command, fields of stat from the state on) of a process and all its descendants."""
    children: dict[int, list[tuple[int, str, list[str]]]] = {}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = _stat(pid)
        if stat is None:
            continue
        entry = (int(pid), *stat)
        children.setdefault(int(stat[1][1]), []).append(entry)
        if int(pid) == root:
            found.append(entry)
    for entry in found:  # grows while we walk
        found.extend(children.get(entry[0], ()))
    return found


def _process_clock(pid: int) -> int:
    """The clock of a whole process's CPU time, threads that have ended included; as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def cpu(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far by "name/command"."""
    used: dict[str, float] = {}
    for name, root in roots.items():
        for pid, command, fields in processes(root):
            try:
                seconds = time.clock_gettime(_process_clock(pid))
            except OSError:
                seconds = 0.0  # ended meanwhile: its parent's reaped time has it
            used[f"{name}/{command}"] = used.get(f"{name}/{command}", 0.0) + seconds
            reaped = (int(fields[13]) + int(fields[14])) / TICK
            if reaped:
                used[f"{name}/(ended)"] = used.get(f"{name}/(ended)", 0.0) + reaped
    return used


def machine() -> tuple[float, float]:
    """(busy, stolen) CPU seconds of the whole machine so far."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4] - fields[7]) / TICK, fields[7] / TICK


def memory_kib(roots: Iterable[int]) -> int:
    """Proportional set size of the processes and their descendants."""
    total = 0
    for root in roots:
        for pid, _, _ in processes(root):
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except OSError:
                pass
    return total


class Meter:
    """`with Meter(roots) as meter:` then `.wall` seconds, `.cpu` by process, `.total` CPU seconds of the server."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self.roots = roots
        self.wall = 0.0
        self.cpu: dict[str, float] = {}
        self.other_cores = 0.0
        """Cores kept busy by others than the server; the driver's own share is the caller's to take off."""
        self.stolen_cores = 0.0

    def __enter__(self) -> Self:
        self._cpu, self._machine, self._start = cpu(self.roots), machine(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._start
        after, machine_after = cpu(self.roots), machine()
        # A process that ends takes its live time away and adds its whole life to "(ended)": only the sum of all
        # differences, the negative ones with them, is what was spent in between.
        names = after.keys() | self._cpu.keys()
        self.cpu = {name: round(after.get(name, 0.0) - self._cpu.get(name, 0.0), 6) for name in sorted(names)}
        self.other_cores = (machine_after[0] - self._machine[0] - self.total) / self.wall
        self.stolen_cores = (machine_after[1] - self._machine[1]) / self.wall

    @property
    def total(self) -> float:
        """CPU seconds of all processes together."""
        return sum(self.cpu.values())


def median(values: Iterable[float]) -> float:
    """The median; of nothing it is not a number."""
    kept = list(values)
    return statistics.median(kept) if kept else float("nan")
