"""The outbound queue: leases, contents, results."""

from typing import Protocol

from shared.contract.dkim_types import SigningKey
from shared.contract.registry import Role, call
from shared.contract.types import Bounce, Lease, Outcome
from shared.model.ids import EntryId


class QueueApi(Protocol):
    @call(Role.SMTP_OUT, write=True)
    async def lease(self, worker: str, limit: int, lease_seconds: float, busy_destinations: tuple[str, ...]) -> Lease:
        """Take due entries for a time; fair over accounts and destinations, none of ``busy_destinations``.

        These name destinations (``example.org``), what one account has for one (``12@example.org``; 0: mail of no account), or
        all of an account (``12@``).

        All due recipients of one message and destination come together (at most 100 at once). An expired lease comes back by itself.
        """
        ...

    @call(Role.SMTP_OUT, write=True)
    async def extend(self, worker: str, entries: tuple[EntryId, ...], lease_seconds: float) -> tuple[EntryId, ...]:
        """Keep leases longer; those that this worker still holds."""
        ...

    @call(Role.SMTP_OUT)
    async def read_content(self, worker: str, entry: EntryId, offset: int, octets: int) -> bytes:
        """Bytes of a leased entry's content as it goes out, at most CHUNK_OCTETS; empty at the end. Raises NotFound."""
        ...

    @call(Role.SMTP_OUT)
    async def signing_keys(self, domain: str) -> tuple[SigningKey, ...]:
        """The DKIM keys that sign for a domain now; none for a domain that is not ours."""
        ...

    @call(Role.SMTP_OUT, write=True)
    async def report(self, worker: str, outcomes: tuple[Outcome, ...], bounces: tuple[Bounce, ...]) -> None:
        """Record results and file bounces in one transaction. Entries that are gone, or leased by another meanwhile, are passed over."""
        ...
