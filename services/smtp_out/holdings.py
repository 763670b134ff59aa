"""What the worker holds now: leased entries by their jobs, and how many of each account. No I/O.

An account may hold as much as is still free, and no more: however many messages it has, there is room for the others' at once,
and what several such accounts hold is shared evenly (dynamic thresholds, as switches share their buffers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.smtp_out.row import Job
from shared.model.ids import EntryId


class Holdings:
    """Every entry that is leased by us and not reported yet."""

    def __init__(self) -> None:
        self._jobs: dict[EntryId, Job] = {}
        self._accounts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, entry: EntryId) -> bool:
        return entry in self._jobs

    def __iter__(self) -> Iterator[EntryId]:
        return iter(self._jobs)

    def add(self, job: Job) -> None:
        """All its entries."""
        self._jobs.update(dict.fromkeys(job.ids, job))
        self._accounts[job.account] += len(job.entries)

    def remove(self, entry: EntryId) -> None:
        """One that is done with; one that is not held is passed over."""
        job = self._jobs.pop(entry, None)
        if job is not None:
            self._accounts[job.account] -= 1
            if self._accounts[job.account] <= 0:
                del self._accounts[job.account]

    def jobs(self) -> list[Job]:
        """Each once."""
        return list({id(job): job for job in self._jobs.values()}.values())

    def hogs(self, room: int) -> list[int]:
        """Accounts that hold as much as is free."""
        return [account for account, held in self._accounts.items() if held >= room]
