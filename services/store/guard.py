"""The guard at the store's door: every login of every service passes here, and failures of all of them count together.

``domain/judge`` has the rules. Here are the clock, the log, the metrics, the delay of answers, and what is written down: bans and the
addresses that accounts logged in from. Memory judges; the database is written behind it, by one task, and no login waits for that.

Laws:
- A client without an IP address, and one of ``bans.never_networks`` or ``limits.exempt_networks``, is neither counted nor refused.
- At most DELAYED_MAX answers are held back at a time, those beyond go out at once, so that nobody waits for attackers.
- A name is logged, a password never.
"""

import math
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import trio

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.judge import Door, Judge, Verdict
from services.store.domain.known import DAY_SECONDS
from services.store.domain.places import Net, Place, kind_of, net_text, parse_net
from services.store.writer import Command, Writer
from services.store.writes import bans as writes
from services.store.writes.bans import Notes
from shared.config.schema import Settings
from shared.contract.bans_types import PAGE_BANS, Ban
from shared.errors import BadRequest, StoreError
from shared.net.networks import NetworkSet, parse_address
from shared.observe.log import Logger
from shared.observe.metrics import Metrics

DELAYED_MAX: Final = 256
"""Answers that are held back; a connection of an edge has four times as many calls under way at the most."""
NAME_CHARACTERS: Final = 320
TIDY_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 5.0
MANUAL_SECONDS_MAX: Final = 3650 * DAY_SECONDS


def name_of(username: str) -> str:
    """A user name as names are compared, whether or not it could be an account's."""
    try:
        return normalize_address(username)
    except InvalidAddressError:
        return "".join(c if c.isprintable() else " " for c in username[:NAME_CHARACTERS])


class Guard:
    """One per store; used in the trio thread only."""

    def __init__(
        self, settings: Settings, log: Logger, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings.bans
        self._never_texts = (*settings.bans.never_networks, *settings.limits.exempt_networks)
        self._never = NetworkSet(self._never_texts)
        self._log = log
        self._clock = clock
        self._judge = Judge(settings.bans, secrets.token_bytes(32))
        self._notes = Notes()
        self._wake = trio.Event()
        self._delayed = 0
        self._banned = metrics.counter("pillarbox_store_bans_total", "bans made, by what was banned", ("kind",))
        self._refused = metrics.counter(
            "pillarbox_store_logins_refused_total", "logins refused because of a ban, by what was banned", ("kind",)
        )

    def load(self, bans: Iterable[Ban], known: Iterable[tuple[str, str, float]]) -> None:
        """What the store before this one wrote down."""
        self._judge.bans.load(bans)
        rows = ((name, parse_net(client), at) for name, client, at in known)
        self._judge.known.load((name, net, at) for name, net, at in rows if net is not None)

    # --- logins ---

    def place(self, client: str) -> Place | None:
        """Where a client is; None for one that is not judged."""
        try:
            place = Place(*parse_address(client))
        except ValueError:
            return None
        return None if client in self._never else place

    def door(self, place: Place | None, name: str) -> Door:
        """Whether a login is heard."""
        return Door.OPEN if place is None else self._judge.door(place, name, self._clock())

    def lets_in(self, door: Door, name: str) -> bool:
        """Whether a login that is right succeeds."""
        return self._judge.lets_in(door, name, self._clock())

    def refused(self, door: Door) -> None:
        """Count a login that was refused."""
        self._refused.inc(1, door.value)

    def entered(self, place: Place | None, name: str, account_id: int) -> None:
        """A login succeeded."""
        if place is None:
            return
        now, known = self._clock(), self._judge.known
        if known.is_news(name, place.address, now):
            gone = known.note(name, place.address, now)
            self._notes.note(account_id, name, net_text(place.address), now)
            if gone is not None:
                self._notes.note(account_id, name, net_text(gone), None)
            self._wake.set()

    async def failed(self, place: Place | None, name: str, client: str, password: str | None) -> None:
        """A login failed: count it, and wait as long as the answer is held back."""
        if place is None:
            return
        verdict = self._judge.failed(place, name, client, password, self._clock())
        self._announce(verdict)
        if verdict.delay_seconds and self._delayed < DELAYED_MAX:
            self._delayed += 1
            try:
                await trio.sleep(verdict.delay_seconds)
            finally:
                self._delayed -= 1

    def forget(self, name: str) -> None:
        """The password was changed or the account removed."""
        self._judge.forget(name)
        self._notes.forget(name)

    def _announce(self, verdict: Verdict) -> None:
        for ban in verdict.bans:
            self._banned.inc(1, ban.kind.value)
            self._notes.ban(ban)
            self._log.warning("banned", **_fields(ban))
        self._drop(verdict.gone)

    def _drop(self, bans: Iterable[Ban]) -> None:
        for ban in bans:
            self._notes.drop(ban)
        if self._notes:
            self._wake.set()

    # --- the administrator ---

    def page(self, after: str) -> tuple[Ban, ...]:
        """Bans that hold, at most PAGE_BANS after a key."""
        return tuple(self._judge.bans.page(after, PAGE_BANS, self._clock()))

    async def add(self, writer: Writer, op_id: bytes | None, network: str, seconds: float) -> Ban:
        """Ban an address or network; durable. Raises BadRequest."""
        net = parse_net(network)
        if net is None:
            raise BadRequest(f"{network[:80]} is not an address or network")
        if not 1 <= seconds <= MANUAL_SECONDS_MAX:
            raise BadRequest("a ban lasts a second to ten years")
        if self._is_never_banned(net):
            raise BadRequest(f"{net_text(net)} is never banned (bans.never_networks, limits.exempt_networks)")
        now = self._clock()
        ban = Ban(kind_of(net), net_text(net), now, now + seconds, 0, 0, manual=True)
        kept: Ban = await writer.submit(Command("admin.bans_add", op_id, writes.add, (ban,)))
        # a note about the same subject that waits is older than this
        self._notes.take_back(kept)
        self._drop(self._judge.bans.ban_manually(kept, now))
        self._banned.inc(1, kept.kind.value)
        self._log.warning("banned", by="administrator", **_fields(kept))
        return kept

    async def lift(self, writer: Writer, op_id: bytes | None, what: str) -> int:
        """End the bans that concern an address, a network or a user name; how many held. At once, and durable."""
        net = parse_net(what)
        return await self._lift(writer, op_id, "admin.bans_lift", self._judge.lift(name_of(what) if net is None else net))

    async def lift_all(self, writer: Writer, op_id: bytes | None) -> int:
        """End all bans; how many held."""
        return await self._lift(writer, op_id, "admin.bans_lift_all", self._judge.lift_all())

    async def _lift(self, writer: Writer, op_id: bytes | None, method: str, bans: list[Ban]) -> int:
        now = self._clock()
        for ban in bans:
            self._notes.take_back(ban)
            if ban.until > now:
                self._log.warning("ban lifted", by="administrator", **_fields(ban))
        keys = [(ban.kind.value, ban.subject) for ban in bans]
        held = sum(ban.until > now for ban in bans)
        count: int = await writer.submit(Command(method, op_id, writes.lift, (keys, held)))
        return count

    def _is_never_banned(self, net: Net) -> bool:
        version, prefix, bits = net
        for never in filter(None, map(parse_net, self._never_texts)):
            if never[0] == version and never[1] <= prefix and bits >> (prefix - never[1]) == never[2]:
                return True
        return False

    # --- what is written down ---

    async def run(self, writer: Writer) -> None:
        """Write down what is news, until cancelled."""
        tidied = -math.inf
        while True:
            if trio.current_time() >= tidied + TIDY_SECONDS:
                tidied = trio.current_time()
                now = self._clock()
                self._drop(self._judge.bans.drop_past(now))
                self._notes.forget_before = now - self._settings.known_days * DAY_SECONDS
                self._wake.set()
            with trio.move_on_after(TIDY_SECONDS):
                await self._wake.wait()
            self._wake = trio.Event()
            if not await self.flush(writer):
                self._wake.set()
                await trio.sleep(RETRY_SECONDS)

    async def flush(self, writer: Writer) -> bool:
        """Write all news down now; False when it could not be done and is kept for later."""
        notes, self._notes = self._notes, Notes()
        if not notes:
            return True
        try:
            await writer.submit(Command("", None, writes.keep, (notes,)))
        except StoreError as error:
            self._log.warning("bans not written down", error=str(error))
            notes.update(self._notes)
            self._notes = notes
            return False
        return True

    def statistics(self) -> dict[str, int]:
        """What is remembered and how many answers are held back."""
        return {
            "bans": self._judge.bans.holding(self._clock()),
            "delayed": self._delayed,
            "known_addresses": self._judge.known.statistics()["addresses"],
            **self._judge.statistics(),
        }


def _fields(ban: Ban) -> dict[str, object]:
    until = datetime.fromtimestamp(int(ban.until), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": ban.kind.value,
        "subject": ban.subject,
        "until": until,
        "failures": ban.failures,
        "times": ban.times,
        "tried": list(ban.tried),
    }
