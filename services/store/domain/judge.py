"""Who may try to log in, what a failure costs, and whom it bans. Pure: the time comes in.

Laws:
- A client is told nothing about who exists: names are counted and banned whether or not there is such an account.
- What failures ban never shuts out a client from an account that logged in well from there lately; only an administrator's ban does.
- A banned account without any such address lets its password in, or its owner would be shut out. Until then it cannot be told from
  another: a login at a banned account, the right password included, costs, counts and is answered like a wrong one.
- A failure counts for the address, the network and, where the account is not at home, the name; each is banned on its own.
"""

from enum import Enum

import attrs

from services.store.domain.bans import Bans, BanTimes
from services.store.domain.failures import Failures
from services.store.domain.known import KnownAddresses
from services.store.domain.places import Net, Place, overlap
from services.store.domain.repeats import REPEATS_PER_FAILURE, Repeats
from shared.config.schema import BansSettings
from shared.contract.bans_types import Ban


class Door(Enum):
    """Whether a login is heard."""

    OPEN = "open"
    SHUT = "address"
    """Refused unheard: the address or its network is banned."""
    NAME_SHUT = "account"
    """The name is banned, and the client is not where its account is at home."""


@attrs.frozen
class Verdict:
    """What becomes of a failure."""

    delay_seconds: float
    """To be waited before the answer."""
    bans: tuple[Ban, ...] = ()
    """New ones."""
    gone: tuple[Ban, ...] = ()
    """Those that gave way."""


class Judge:
    """The rules over what is remembered."""

    def __init__(self, settings: BansSettings, key: bytes) -> None:
        """``key``: random, for the hashes of wrong passwords."""
        window, most = settings.window_seconds, settings.subjects
        self._settings = settings
        self._addresses: Failures[Net] = Failures(settings.failures, window, most)
        self._networks: Failures[Net] = Failures(settings.network_failures, window, most)
        self._names: Failures[str] = Failures(settings.account_failures, window, most)
        self._repeats = Repeats(key, most)
        self.known = KnownAddresses(settings.known_addresses, settings.known_days)
        self.bans = Bans(BanTimes(settings.first_seconds, settings.longest_seconds), settings.most)

    def door(self, place: Place, name: str, now: float) -> Door:
        """Whether a login from there at this name is heard. ``name`` is in the form in which names are compared."""
        if not len(self.bans):
            return Door.OPEN
        ban = self.bans.of_place(place, now)
        if ban is not None and ban.manual:
            return Door.SHUT
        at_home = self.known.knows(name, place.address, now)
        if ban is not None and not at_home:
            return Door.SHUT
        if not at_home and self.bans.of_name(name, now) is not None:
            return Door.NAME_SHUT
        return Door.OPEN

    def lets_in(self, door: Door, name: str, now: float) -> bool:
        """Whether a login that is right succeeds: at a banned account only when it is at home nowhere."""
        return door is Door.OPEN or (door is Door.NAME_SHUT and not self.known.any(name, now))

    def failed(self, place: Place, name: str, where: str, password: str | None, now: float) -> Verdict:
        """A login failed. ``where``: the client's address as text; ``password``: None where it is not known (SCRAM)."""
        at_home = self.known.knows(name, place.address, now)
        if password is not None:
            repeats = self._repeats.seen(name, place.address, password)
            if repeats and (at_home or repeats % REPEATS_PER_FAILURE):
                return Verdict(self._delay(max(2, self._addresses.count(place.address, now))))
        settings = self._settings
        of_address = self._addresses.add(place.address, name, now)
        bans: list[tuple[Ban, Ban | None]] = []
        if of_address >= settings.failures:
            bans.append(self._ban(self._addresses, place.address, of_address, now))
        of_network = self._networks.add(place.network, name, now)
        if of_network >= settings.network_failures:
            bans.append(self._ban(self._networks, place.network, of_network, now))
        if not at_home and self.bans.of_name(name, now) is None:
            of_name = self._names.add(name, where, now)
            if of_name >= settings.account_failures:
                bans.append(self._ban(self._names, name, of_name, now))
        gone = tuple(other for _, other in bans if other is not None)
        return Verdict(self._delay(of_address), tuple(ban for ban, _ in bans), gone)

    def _ban(
        self, failures: "Failures[Net] | Failures[str]", subject: Net | str, count: int, now: float
    ) -> tuple[Ban, Ban | None]:
        tried = failures.tried(subject)  # type: ignore[arg-type]  # each is asked for its own kind of subject
        failures.forget(subject)  # type: ignore[arg-type]  # the same
        return self.bans.ban(subject, count, tried, now)

    def _delay(self, failures: int) -> float:
        """None for the first failure, then twice as long for each."""
        if failures < 2:
            return 0.0
        settings = self._settings
        return min(settings.longest_delay_seconds, settings.delay_seconds * 2.0 ** min(failures - 2, 30))

    def lift(self, subject: Net | str) -> list[Ban]:
        """End the bans that concern a name or a net, and forget the failures; the bans, past ones too."""
        if isinstance(subject, str):
            self._names.forget(subject)
        else:
            net = subject
            self._addresses.forget_where(lambda other: overlap(other, net))
            self._networks.forget_where(lambda other: overlap(other, net))
        return self.bans.lift(subject)

    def lift_all(self) -> list[Ban]:
        """All bans and all failures."""
        for failures in (self._addresses, self._networks, self._names):
            failures.forget_where(lambda _: True)
        return self.bans.lift_all()

    def forget(self, name: str) -> None:
        """After the password was changed, or the account was removed: nowhere is it at home any more."""
        self.known.forget(name)
        self._repeats.forget(name)

    def statistics(self) -> dict[str, int]:
        """Subjects that are remembered."""
        return {
            "addresses": len(self._addresses),
            "networks": len(self._networks),
            "names": len(self._names),
            "pairs": len(self._repeats),
        }
