"""Which policy holds for a domain now: the cache, the TXT record, the fetch over HTTPS.

Laws
- A policy that holds is used until its end; DNS, HTTPS or a broken new policy never take it away (RFC 8461 §3.3, §5.1).
- Without one, trouble means that the domain has none: mail is delivered as without MTA-STS, and the log says so.
- One fetch per domain at a time; a fetch that failed is not repeated for FAILURE_SECONDS, unless the record's id changed.
- Bounded: one fetch by octets and time, fetches at a time by MAX_FETCHES, the cache by entries, what is known of failures by MAX_FAILURES.
- Addresses in private networks are dialled for a policy no more than for mail.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from services.smtp_out.mta_sts.cache import Kept, PolicyCache
from services.smtp_out.mta_sts.policy import MAX_OCTETS, Mode, Policy, ascii_name, parse_policy, parse_record
from services.smtp_out.mta_sts.shelf import read_shelf, write_shelf
from services.smtp_out.plan import refuse_address
from services.smtp_out.tls_reports.seen import (
    Applied,
    Note,
    PolicyType,
    Seen,
    applied,
    note_nothing,
    policy_failure_by_words,
)
from shared.dns.answers import DnsFailure
from shared.dns.resolver import Resolver
from shared.http.client import Bounds, FetchFailed, fetch
from shared.observe.log import Logger

FAILURE_SECONDS = 300.0  # RFC 8461 §3.3: five minutes or longer
MAX_FAILURES = 1000
MAX_FETCHES = 100  # at a time; further ones wait
_REFRESH_RETRY_SECONDS = 4 * 3600.0  # for a policy that still holds; the log need not say it every few minutes
_PATH = "/.well-known/mta-sts.txt"
_LOOK_SECONDS = 600.0  # between two looks for policies that are to be fetched anew
_SAVE_PAUSE_SECONDS = 1.0  # between two writes of the file


@attrs.frozen
class StsOptions:
    """What the settings say of MTA-STS."""

    shelf: Path | None = None  # the cache's file; None: memory only
    port: int = 443
    seconds: float = 60.0  # for one fetch altogether; RFC 8461 §3.3 suggests a minute
    entries: int = 10_000
    allow_private: bool = False


class PolicyFinder:
    """`find` for each route; `run` beside it, for the whole life of the process. `now` is in seconds since the epoch."""

    def __init__(
        self,
        options: StsOptions,
        resolver: Resolver,
        context: ssl.SSLContext,
        log: Logger,
        now: Callable[[], float],
        note: Note = note_nothing,
    ) -> None:
        self._options = options
        self._resolver = resolver
        self._context = context
        self._log = log
        self._now = now
        self._note = note
        self._cache = PolicyCache(options.entries)
        self._failures: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._fetching = trio.CapacityLimiter(MAX_FETCHES)
        self._flights: dict[str, trio.Event] = {}
        self._changed = trio.Event()
        self.fetches = 0
        self.failures = 0

    def statistics(self) -> dict[str, int]:
        """Counters and sizes, for /metrics and tests."""
        return {
            "policies": len(self._cache),
            "fetches": self.fetches,
            "failures": self.failures,
            "failing": len(self._failures),
        }

    async def find(self, destination: str) -> Policy | None:
        """The policy that holds for a domain; None: none. Raises nothing but cancellation."""
        domain = "" if destination.startswith("[") else ascii_name(destination)
        if not domain:
            return None
        identity = await self._identity(domain)
        kept = self._cache.get(domain, self._now())
        # RFC 8461 §3.3: no record, no answer or the known id: what is kept holds
        if identity is None or (kept is not None and kept.identity == identity):
            return kept.policy if kept else None
        return await self._fetch_once(domain, identity, kept)

    async def run(self) -> None:
        """Write the file when policies change, and fetch anew what would end; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._save_for_ever)
            while True:
                await trio.sleep(_LOOK_SECONDS)
                await self.refresh()

    async def refresh(self) -> None:
        """Fetch anew what is due, one after the other. A fetch that fails leaves the policy as it is."""
        for kept in self._cache.due(self._now()):
            if kept.domain not in self._flights and not self._failed_lately(kept.domain, kept.identity):
                identity = await self._identity(kept.domain)
                await self._fetch_once(kept.domain, identity or kept.identity, kept)

    async def load(self) -> None:
        """Take what the file has, before the first `find`."""
        path = self._options.shelf
        if path is None:
            return
        try:
            kept = await trio.to_thread.run_sync(read_shelf, path)
        except OSError as error:
            self._log.warning("the file of MTA-STS policies cannot be read", reason=str(error))
        else:
            self._cache.merge(kept, self._now())

    async def _identity(self, domain: str) -> str | None:
        try:
            answer = await self._resolver.resolve(f"_mta-sts.{domain}", "TXT")
        except DnsFailure as failure:
            self._log.debug("MTA-STS record not known now", domain=domain, reason=failure.reason)
            return None
        return parse_record(answer.records)

    async def _fetch_once(self, domain: str, identity: str, kept: Kept | None) -> Policy | None:
        """The new policy, or what is kept. The others who ask for the domain meanwhile wait."""
        old = kept.policy if kept else None
        if self._failed_lately(domain, identity):
            return old
        while (flight := self._flights.get(domain)) is not None:
            await flight.wait()
            newest = self._cache.get(domain, self._now())
            if newest is not None and newest.identity == identity:
                return newest.policy
            if self._failed_lately(domain, identity):
                return old
        done = self._flights[domain] = trio.Event()
        try:
            async with self._fetching:
                policy = await self._fetch(domain)
        except FetchFailed as error:
            self._note_failure(domain, identity, str(error), kept)
            return old
        finally:
            del self._flights[domain]
            done.set()
        now = self._now()
        self._failures.pop(domain, None)
        self._cache.put(Kept(domain, identity, policy, now, now if kept is None else kept.used_at))
        self._changed.set()
        self._log.info("MTA-STS policy fetched", domain=domain, mode=policy.mode.value, max_age=policy.max_age_seconds)
        return policy

    async def _fetch(self, domain: str) -> Policy:
        """Raises FetchFailed."""
        host = f"mta-sts.{domain}"
        options = self._options
        self.fetches += 1
        try:
            found = await self._resolver.addresses(host)
        except DnsFailure as failure:
            raise FetchFailed(str(failure)) from None
        addresses = [address for address in found if refuse_address(address, options.allow_private) is None]
        answer = await fetch(host, _PATH, addresses, options.port, self._context, Bounds(MAX_OCTETS, options.seconds))
        # RFC 8461 §3.3: redirects are not followed, and whatever is not 200 is no policy
        if answer.status != 200:
            raise FetchFailed(f"{host} answered {answer.status}")
        # RFC 8461 §3.2: other types may be files of a server's users
        if answer.media_type != "text/plain":
            raise FetchFailed(f"{host} sent {answer.media_type[:50] or 'no type'} instead of text/plain")
        policy = parse_policy(answer.body)
        if policy is None:
            raise FetchFailed(f"what {host} sent is no policy")
        return policy

    def _failed_lately(self, domain: str, identity: str) -> bool:
        failed = self._failures.get(domain)
        return failed is not None and failed[0] == identity and trio.current_time() < failed[1]

    def _note_failure(self, domain: str, identity: str, reason: str, kept: Kept | None) -> None:
        self.failures += 1
        pause_seconds = FAILURE_SECONDS
        if kept is not None and kept.identity == identity:
            # it holds for a while: half of that at most, so that its end is not missed
            left_seconds = (kept.ends_at - self._now()) / 2
            pause_seconds = max(FAILURE_SECONDS, min(_REFRESH_RETRY_SECONDS, left_seconds))
        self._failures[domain] = (identity, trio.current_time() + pause_seconds)
        self._failures.move_to_end(domain)
        while len(self._failures) > MAX_FAILURES:
            self._failures.popitem(last=False)
        told = applied(kept.policy, "", None) if kept else Applied(PolicyType.STS)
        self._note(Seen(domain, told, policy_failure_by_words(reason)))
        # RFC 8461 §3.3: tell the owner, but for a policy that asks for nothing
        mode = kept.policy.mode if kept else None
        tell = self._log.debug if mode is Mode.NONE else self._log.warning
        tell("MTA-STS policy not fetched", domain=domain, reason=reason, holds=mode.value if mode else "nothing")

    async def _save_for_ever(self) -> None:
        try:
            while True:
                await self._changed.wait()
                await self._save()
                await trio.sleep(_SAVE_PAUSE_SECONDS)
        finally:
            if self._changed.is_set():
                await self._save()

    async def _save(self) -> None:
        self._changed = trio.Event()
        path = self._options.shelf
        if path is None:
            return
        try:
            # Shielded: the end of the process must not lose what has just been learnt. It takes milliseconds.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(write_shelf, path, list(self._cache), self._options.entries, self._now())
        except OSError as error:
            self._log.warning("the file of MTA-STS policies cannot be written", reason=str(error))
