"""The bans that there are, and those that were, of which the next one learns how long it lasts.

Laws: each ban in a row lasts twice as long as the one before, up to ``longest_seconds``; the row ends when one has been over for as long as
that. At most ``most`` bans are kept: past ones give way first, then automatic ones that end soonest, which gain their subject
the least. An administrator's ban never gives way.
"""

from collections.abc import Iterable

import attrs

from services.store.domain.places import Net, Place, kind_of, net_text, overlap, parse_net
from shared.contract.bans_types import Ban, BanKind


@attrs.frozen
class BanTimes:
    """How long bans last, in seconds."""

    first_seconds: float
    longest_seconds: float

    def nth(self, times: int) -> float:
        """The length of the nth ban in a row."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** min(times - 1, 60))


class Bans:
    """By subject. Times are seconds since the epoch."""

    def __init__(self, times: BanTimes, most: int) -> None:
        self._times = times
        self._most = most
        self._nets: dict[Net, Ban] = {}
        self._names: dict[str, Ban] = {}
        self._prefixes: dict[int, set[int]] = {4: set(), 6: set()}
        """Prefix lengths that are in use; one may stay when its last ban has gone."""

    def __len__(self) -> int:
        return len(self._nets) + len(self._names)

    def load(self, bans: Iterable[Ban]) -> None:
        """What was written down."""
        for ban in bans:
            self._keep(ban)

    def of_place(self, place: Place, now: float) -> Ban | None:
        """A ban that holds for an address; an administrator's before others."""
        found: Ban | None = None
        for prefix in self._prefixes[place.version]:
            ban = self._nets.get(place.within(prefix))
            if ban is not None and ban.until > now:
                if ban.manual:
                    return ban
                found = ban
        return found

    def of_name(self, name: str, now: float) -> Ban | None:
        """The ban of a user name."""
        ban = self._names.get(name)
        return ban if ban is not None and ban.until > now else None

    def ban(self, subject: Net | str, failures: int, tried: tuple[str, ...], now: float) -> tuple[Ban, Ban | None]:
        """Ban for too many failures; the ban, and the one that gives way to it."""
        before = self._names.get(subject) if isinstance(subject, str) else self._nets.get(subject)
        if before is not None and before.manual and before.until > now:
            return before, None
        times = 1 if before is None or before.manual else before.times + 1
        kind, text = (BanKind.ACCOUNT, subject) if isinstance(subject, str) else (kind_of(subject), net_text(subject))
        return self._add(Ban(kind, text, now, now + self._times.nth(times), failures, times, tried), now)

    def ban_manually(self, ban: Ban, now: float) -> list[Ban]:
        """An administrator's ban; those that give way to it."""
        _, gone = self._add(ban, now)
        return [] if gone is None else [gone]

    def lift(self, subject: Net | str) -> list[Ban]:
        """End the bans of a user name, or all that lie in a net or around it; past ones are forgotten, too."""
        if isinstance(subject, str):
            gone = self._names.pop(subject, None)
            return [] if gone is None else [gone]
        return [self._nets.pop(net) for net in list(self._nets) if overlap(net, subject)]

    def lift_all(self) -> list[Ban]:
        """All of them, past ones, too."""
        gone = [*self._nets.values(), *self._names.values()]
        self._nets.clear()
        self._names.clear()
        return gone

    def drop_past(self, now: float) -> list[Ban]:
        """Forget those whose row has ended."""
        return [self._remove(ban) for ban in self._all() if ban.until <= now - self._times.longest_seconds]

    def page(self, after: str, most: int, now: float) -> list[Ban]:
        """Those that hold, in the order of their keys, after one of these."""
        holding = sorted((b for b in self._all() if b.until > now and b.key > after), key=lambda ban: ban.key)
        return holding[:most]

    def holding(self, now: float) -> int:
        """How many hold."""
        return sum(ban.until > now for ban in self._all())

    def _all(self) -> list[Ban]:
        return [*self._nets.values(), *self._names.values()]

    def _add(self, ban: Ban, now: float) -> tuple[Ban, Ban | None]:
        known = self._keep(ban)
        if known or len(self) <= self._most:
            return ban, None
        others = [other for other in self._all() if other is not ban and not other.manual]
        gone = min(others, key=lambda other: (other.until > now, other.until), default=None)
        # nothing but an administrator's: the new one is what is one too many, unless it is another of these
        if gone is None and not ban.manual:
            gone = ban
        return ban, None if gone is None else self._remove(gone)

    def _keep(self, ban: Ban) -> bool:
        """Put it in its place; whether there was one."""
        if ban.kind is BanKind.ACCOUNT:
            known = ban.subject in self._names
            self._names[ban.subject] = ban
            return known
        net = parse_net(ban.subject)
        if net is None:
            return True
        known = net in self._nets
        self._nets[net] = ban
        self._prefixes[net[0]].add(net[1])
        return known

    def _remove(self, ban: Ban) -> Ban:
        if ban.kind is BanKind.ACCOUNT:
            self._names.pop(ban.subject, None)
        elif (net := parse_net(ban.subject)) is not None:
            self._nets.pop(net, None)
        return ban
