"""The jobs that wait for one hop: accounts take turns, so that nobody waits for all of another's newsletter. No I/O.

Within an account first come, first served. An account whose turn it was goes to the end.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import attrs

from services.smtp_out.egress.ways import BY_DEFAULT, Choice
from shared.contract.types import QueueEntry
from shared.model.ids import EntryId

_CROWDED = 10  # times what one account may have waiting, for all of them together


@attrs.define(eq=False)
class Job:
    """One message's recipients at one hop."""

    key: str
    entries: tuple[QueueEntry, ...]
    choice: Choice = BY_DEFAULT
    requeued: int = 0
    account: int = attrs.field(init=False)  # who submitted it; 0: nobody here

    def __attrs_post_init__(self) -> None:
        self.account = self.first.account_id or 0  # stays when its last entry is lost

    @property
    def first(self) -> QueueEntry:
        return self.entries[0]

    @property
    def share(self) -> str:
        """What it is part of, as the queue names it (`shared.contract.queue`)."""
        return f"{self.account}@{self.first.destination}"

    @property
    def ids(self) -> tuple[EntryId, ...]:
        return tuple(entry.entry_id for entry in self.entries)


class Row:
    """Jobs by account, in the order of turns."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[int, deque[Job]] = OrderedDict()
        self._jobs = 0

    def __len__(self) -> int:
        return self._jobs

    @property
    def accounts(self) -> tuple[int, ...]:
        """Those that have something here, in the order of turns."""
        return tuple(self._accounts)

    def waiting(self, account: int) -> int:
        """How many jobs of an account wait."""
        return len(self._accounts.get(account, ()))

    def append(self, job: Job) -> None:
        """At the end of its account's."""
        self._accounts.setdefault(job.account, deque()).append(job)
        self._jobs += 1

    def put_back(self, job: Job) -> None:
        """One that was taken: it is the next of its account, and that the next."""
        self._accounts.setdefault(job.account, deque()).appendleft(job)
        self._accounts.move_to_end(job.account, last=False)
        self._jobs += 1

    def take(self, may_go: Callable[[int], bool]) -> Job | None:
        """The next job of the first account that may go; None: none may."""
        account = next(filter(may_go, self._accounts), None)
        if account is None:
            return None
        jobs = self._accounts[account]
        job = jobs.popleft()
        self._jobs -= 1
        if jobs:
            self._accounts.move_to_end(account)
        else:
            del self._accounts[account]
        return job

    def take_all(self) -> list[Job]:
        """All jobs that wait; none wait afterwards."""
        jobs = [job for each in self._accounts.values() for job in each]
        self._accounts.clear()
        self._jobs = 0
        return jobs

    def busy_names(self, most: int) -> list[str]:
        """What need not be leased now, as `QueueApi.lease` is told: accounts with `most` jobs here; all, when it is crowded."""
        crowded = self._jobs >= _CROWDED * most
        return [_busy_name(jobs[0]) for jobs in self._accounts.values() if crowded or len(jobs) >= most]


def _busy_name(job: Job) -> str:
    # a relay is the one hop of all destinations
    return job.share if job.choice.way.direct else f"{job.account}@"
