"""When the store is verified, and what came of it: the store's side of the checker.

One verification at a time, asked for or every ``store.verify_days``; its result is kept in a file beside the database, so that it outlives
the process. Damage is a warning in the log: what and where, never a subject.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from services.store.child import run_child, why
from services.store.layout import write_new
from services.store.verify.findings import Findings, damage_from_json, damage_to_json
from shared.contract.verify_types import VerifyStatus
from shared.observe.log import Logger

CHECKER: Final = "services.store.verify.checker"
FIRST_SECONDS: Final = 3600.0
"""After a start, before a verification that is due: the start's own work goes first."""
AGAIN_SECONDS: Final = 6 * 3600.0
"""After one that could not be finished."""
LOGGED_MAX: Final = 20
"""Damages that get a line of their own in the log."""
DAY: Final = 86400.0


@attrs.frozen
class Result:
    """Of the last verification that was finished."""

    finished_at: float = 0.0
    records: int = 0
    messages: int = 0
    findings: Findings = attrs.field(factory=Findings)


def seconds_until_due(last_at: float, now: float, up_seconds: float, days: float) -> float:
    """How long until work is due that is done every so many days (0: never by itself, infinite)."""
    if not days:
        return float("inf")
    return max(last_at + days * DAY - now, FIRST_SECONDS - up_seconds, 0.0)


def read_result(path: Path) -> Result:
    """What the file says; nothing where there is none that makes sense."""
    try:
        kept = json.loads(path.read_bytes())
        findings = Findings(int(kept["damages"]), [damage_from_json(fields) for fields in kept["named"]])
        return Result(float(kept["finished_at"]), int(kept["records"]), int(kept["messages"]), findings)
    except (OSError, ValueError, KeyError, TypeError):
        return Result()


def write_result(path: Path, result: Result) -> None:
    """Raises OSError."""
    fields = {
        "finished_at": result.finished_at,
        "records": result.records,
        "messages": result.messages,
        "damages": result.findings.count,
        "named": [damage_to_json(damage) for damage in result.findings.named],
    }
    write_new(path, json.dumps(fields, indent=1).encode())


class Verification:
    """Of one store."""

    def __init__(
        self,
        database: Path,
        packs: Path,
        result_path: Path,
        log: Logger,
        *,
        every_days: float,
        octets_per_second: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._words = (str(database), str(packs))
        self._path = result_path
        self._log = log
        self._every_days = every_days
        self._octets_per_second = octets_per_second
        self._clock = clock
        self._asked = trio.Event()
        self._limit: int | None = None
        self._running = False
        self._stage, self._done, self._total = "", 0, 0
        self._named = Findings()
        self._failure = ""
        self.result = Result()
        self.runs = 0

    def start(self, octets_per_second: int) -> VerifyStatus:
        """Have one begin, unless one runs. ``octets_per_second`` 0: as the settings say."""
        if not self._running:
            self._limit = octets_per_second or None
            self._running, self._stage, self._done, self._total = True, "packs", 0, 0
            self._asked.set()
        return self.status()

    def status(self) -> VerifyStatus:
        """As of now."""
        result = self.result
        return VerifyStatus(
            running=self._running,
            stage=self._stage,
            done_octets=self._done,
            total_octets=self._total,
            runs=self.runs,
            finished_at=result.finished_at,
            records=result.records,
            messages=result.messages,
            damages=result.findings.count,
            named=tuple(result.findings.named),
            failure=self._failure,
        )

    async def run(self) -> None:
        """Verify when asked to or when it is due, until cancelled."""
        self.result = await trio.to_thread.run_sync(read_result, self._path)
        begun, not_before = trio.current_time(), 0.0
        while True:
            up = trio.current_time() - begun
            wait = max(seconds_until_due(self.result.finished_at, self._clock(), up, self._every_days), not_before)
            with trio.move_on_after(wait):
                await self._asked.wait()
            self._asked = trio.Event()
            not_before = 0.0 if await self._verify() else AGAIN_SECONDS

    async def _verify(self) -> bool:
        """Whether it could be finished."""
        limit, self._limit = self._limit or self._octets_per_second, None
        self._running, self._named = True, Findings()
        finished: Result | None = None

        async def heard(line: bytes) -> None:
            nonlocal finished
            finished = self._heard(line) or finished

        try:
            status, said = await run_child(CHECKER, [*self._words, "--limit", str(limit)], heard)
        except OSError as error:
            status, said = 1, str(error)
        finally:
            self._running, self._stage = False, ""
        if status == 0 and finished is not None:
            await self._finished(finished)
        else:
            self._failure = why(status, said)
            self._log.warning("the store could not be verified", reason=self._failure)
        self.runs += 1
        return not self._failure

    def _heard(self, line: bytes) -> Result | None:
        """The result, once it is told."""
        try:
            told: dict[str, Any] = json.loads(line)
            if "stage" in told:
                self._stage, self._done, self._total = str(told["stage"]), int(told["done"]), int(told["total"])
            elif "damage" in told:
                self._named.add(damage_from_json(told["damage"]))
            elif "finished" in told:
                counts = told["finished"]
                self._named.count = int(counts["damages"])
                return Result(self._clock(), int(counts["records"]), int(counts["messages"]), self._named)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._log.warning("the checker said something strange")
        return None

    async def _finished(self, result: Result) -> None:
        self.result, self._failure = result, ""
        damages = result.findings.count
        say = self._log.warning if damages else self._log.info
        say("the store was verified", damages=damages, records=result.records, messages=result.messages)
        for damage in result.findings.named[:LOGGED_MAX]:
            self._log.warning(
                "damage", kind=str(damage.kind), what=damage.what, account=damage.account or None,
                mailbox=damage.mailbox or None, uid=damage.uid or None,
            )  # fmt: skip
        try:
            await trio.to_thread.run_sync(write_result, self._path, result)
        except OSError as error:
            self._log.warning("the result of the verification cannot be kept", reason=str(error))
