"""When the index is built: the store's side of the indexer.

The indexer is a process of its own, so that its work takes no time from the store's threads and its memory is there only while it
works. It is started when RUN_AT contents wait, or one has waited ``store.search_wait_seconds``; it ends by itself, and with the store.
While contents come in a storm it waits for the end of it, or until STORM_TAIL of them wait: on two cores it would slow the storm down.
One that fails is started again after a pause that doubles; a content at which it died is left out from then on.
"""

import json
import shutil
from pathlib import Path
from typing import Final

import trio

from services.store.child import run_child, why
from services.store.readers import Readers, Snapshot
from services.store.search.files import Header, SearchDamageError, grams_path, last_id, list_files, partition_of
from services.store.search.grams import DOCUMENTS
from services.store.search.lookup import Searcher
from services.store.search.partition import read_header
from services.store.sql.statements import bookkeeping
from shared.contract.search_types import SearchAnswer, SearchStatus, SearchTerm
from shared.observe.log import Logger

RUN_AT: Final = 1000
"""Contents that are worth a run at once."""
SETTLE_SECONDS: Final = 0.25
"""After a commit, before the tail is counted: commits come in swarms."""
STORM_CONTENTS: Final = 50
"""That came since the tail was last counted, SETTLE_SECONDS or more ago: a storm."""
STORM_TAIL: Final = 20_000
STORM_SECONDS: Final = 1.0
"""Until it is looked whether a storm is over."""
FIRST_RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 3600.0
COMPACT_SECONDS: Final = 86400.0
FIRST_COMPACT_SECONDS: Final = 3600.0
GIVE_BACK_SECONDS: Final = 60.0
"""After the last search, until what is kept for the next one is given back."""
SKIPPED_MAX: Final = 1000
INDEXER: Final = "services.store.search.indexer"


def last_content(snapshot: Snapshot) -> int:
    """The highest content id that was given."""
    row = bookkeeping.LAST_ID.one(snapshot.cursor, "content")
    return 0 if row is None else int(row[0])


def scan(directory: Path) -> dict[int, Header]:
    """What the partitions say of themselves; one that says nothing sensible is removed, so that it is built anew."""
    found: dict[int, Header] = {}
    for partition in list_files(directory):
        try:
            found[partition] = read_header(directory, partition)
        except SearchDamageError:
            grams_path(directory, partition).unlink(missing_ok=True)
        except OSError:
            continue
    return found


def tail_of(headers: dict[int, Header], last: int) -> int:
    """Contents up to an id that were not looked at."""
    tail = 0
    for partition in range(partition_of(last) + 1):
        header = headers.get(partition)
        before = max(partition * DOCUMENTS - 1, 0)
        tail += max(0, min(last, last_id(partition)) - (before if header is None else max(header.through, before)))
    return tail


class Search:
    """The index of one store: searches, the indexer's life, and what both say of themselves."""

    def __init__(
        self,
        directory: Path,
        database: Path,
        packs: Path,
        readers: Readers,
        log: Logger,
        *,
        enabled: bool,
        wait_seconds: float,
    ) -> None:
        """``readers``: one thread, for searches alone."""
        self.readers = readers
        self._directory = directory
        self._paths = (str(database), str(packs), str(directory))
        self._log = log
        self._enabled = enabled
        self._wait_seconds = wait_seconds
        self._searcher = Searcher(directory, self._damaged_in_thread)
        self._token: trio.lowlevel.TrioToken | None = None
        self._changed = trio.Event()
        self._asked = trio.Event()
        """For a rebuild; ends the pause after a failure."""
        self._headers: dict[int, Header] = {}
        self._last = 0
        self._rebuild = False
        self._running = False
        self._done = 0
        self._at = 0
        self._skipped: list[int] = []
        self._failure = ""
        self._searched_at: float | None = None
        self._compact_at = 0.0
        self.rebuilds = 0
        self.runs = 0
        self.searches = 0

    # --- what others ask ---

    @property
    def enabled(self) -> bool:
        return self._enabled

    @property
    def indexed(self) -> int:
        return sum(header.indexed for header in self._headers.values())

    @property
    def octets(self) -> int:
        return sum(header.octets for header in self._headers.values())

    @property
    def tail(self) -> int:
        """As last counted."""
        return tail_of(self._headers, self._last)

    def changed(self) -> None:
        """Something was committed."""
        self._changed.set()

    def rebuild(self) -> None:
        """Build everything anew, soon."""
        self._rebuild = True
        self._failure = ""
        self._asked.set()
        self._changed.set()

    async def find(self, account_id: int, mailbox_id: int, term: SearchTerm, first: int, last: int) -> SearchAnswer:
        """See ``Searcher.find``."""
        self.searches += 1
        answer = await self.readers.run(self._searcher.find, account_id, mailbox_id, term, first, last)
        self._searched_at = trio.current_time()
        return answer

    async def status(self) -> SearchStatus:
        """As of now."""
        self._last = await self.readers.run(last_content)
        return SearchStatus(
            enabled=self._enabled,
            running=self._running,
            rebuilding=self._rebuild,
            indexed=self.indexed,
            tail=self.tail,
            done=self._done,
            octets=self.octets,
            rebuilds=self.rebuilds,
            failure=self._failure,
        )

    # --- its life ---

    async def run(self) -> None:
        """Keep the index up to date, until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        if not self._enabled:
            await trio.to_thread.run_sync(remove, self._directory)
            return
        self._compact_at = trio.current_time() + FIRST_COMPACT_SECONDS
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give_back)
            await self._scan()
            pause = FIRST_RETRY_SECONDS
            while True:
                await self._wait_for_work()
                if await self._run_indexer():
                    pause = FIRST_RETRY_SECONDS
                else:
                    self._asked = trio.Event()
                    with trio.move_on_after(pause):
                        await self._asked.wait()
                    pause = min(2 * pause, LAST_RETRY_SECONDS)

    async def _wait_for_work(self) -> None:
        """Return when the indexer should run."""
        waits_since: float | None = None
        while True:
            self._changed = trio.Event()
            before, self._last = self._last, await self.readers.run(last_content)
            tail, now = self.tail, trio.current_time()
            storm = self._last - before > STORM_CONTENTS and tail < STORM_TAIL
            if self._rebuild or (tail >= RUN_AT and not storm) or (self._headers and now >= self._compact_at):
                return
            until = self._compact_at
            if storm:
                until = min(until, now + STORM_SECONDS)
            elif tail:
                waits_since = now if waits_since is None else waits_since
                until = min(until, waits_since + self._wait_seconds)
                if now >= waits_since + self._wait_seconds:
                    return
            with trio.move_on_at(until):
                await self._changed.wait()
                await trio.sleep(SETTLE_SECONDS)

    async def _run_indexer(self) -> bool:
        """Run it to its end; whether it went well."""
        rebuild, compact = self._rebuild, trio.current_time() >= self._compact_at
        words = [*(["--rebuild"] if rebuild else []), *(["--compact"] if compact else [])]
        for content in self._skipped:
            words += ["--skip", str(content)]
        self._running, self._done, self._at = True, 0, 0
        self.runs += 1
        try:
            status, said = await run_child(INDEXER, [*self._paths, *words], self._heard)
        except OSError as error:
            status, said = 1, str(error)
        finally:
            self._running = False
        await self._scan()
        if status == 0:
            self._failure = ""
            if rebuild:
                self._rebuild = False
                self.rebuilds += 1
            if compact:
                self._compact_at = trio.current_time() + COMPACT_SECONDS
            return True
        self._failure = why(status, said)
        if self._at and len(self._skipped) < SKIPPED_MAX:
            self._skipped.append(self._at)
        self._log.warning("the indexer failed", reason=self._failure, content=self._at or None)
        return False

    async def _heard(self, line: bytes) -> None:
        try:
            told = json.loads(line)
            at, indexed = int(told.get("at", 0)), told.get("indexed")
        except (ValueError, AttributeError, TypeError):
            return
        self._at = at
        if indexed is not None:
            self._done = int(indexed)
            await self._scan()

    async def _scan(self) -> None:
        """Files were replaced."""
        try:
            self._headers = await trio.to_thread.run_sync(scan, self._directory)
        except OSError as error:
            self._log.warning("the search index cannot be listed", reason=str(error))
        self._searcher.generation += 1

    async def _give_back(self) -> None:
        """Idle means small: what searches keep is given back after the last of them."""
        while True:
            await trio.sleep(GIVE_BACK_SECONDS)
            if self._searched_at is not None and trio.current_time() - self._searched_at >= GIVE_BACK_SECONDS:
                self._searched_at = None
                await self.readers.run(forget, self._searcher)

    # --- damage ---

    def _damaged_in_thread(self, partition: int, missing: bool) -> None:
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._damaged, partition, missing)
            except trio.RunFinishedError:
                pass  # the process is on its way out

    def _damaged(self, partition: int, missing: bool) -> None:
        """A partition cannot be read: let it be built anew."""
        if self._headers.pop(partition, None) is not None:
            self._log.warning("a part of the search index is damaged and is built anew", partition=partition)
            if not missing:
                grams_path(self._directory, partition).unlink(missing_ok=True)
            self._changed.set()


def forget(snapshot: Snapshot, searcher: Searcher) -> None:
    """In the thread that searches."""
    searcher.forget()


def remove(directory: Path) -> None:
    """All of the index."""
    shutil.rmtree(directory, ignore_errors=True)
