"""How long messages stay in a mailbox, and when the clock can be believed. Pure.

Which rule holds for a mailbox: an account's own rules come before those for all accounts. Within one scope the mailbox's name comes first,
then its special use, then the nearest mailbox above it that is kept for ever, then the rule for every mailbox. A rule that lets messages go
holds for its mailbox alone, never for those below: a folder that is moved into Trash brings messages that came into *it* years ago, and
they would be gone within the hour.

The clock: a machine that starts with a wrong time (a dead battery, a typing mistake) must not throw away what is not old. The time of each
look is kept. Where the next look finds more than JUMP_SECONDS gone, which is a jump or a machine that was off, nothing goes by its age for
HOLD_SECONDS: time for NTP, or for the owner, to set it right. A clock that is put back ends the wait: it was wrong, now it is not.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from services.store.domain.names import parents
from services.store.domain.pop3_view import cutoff, day_of

DAY: Final = 86_400
JUMP_SECONDS: Final = DAY
HOLD_SECONDS: Final = DAY
EVERYBODY: Final = 0
EVERY_MAILBOX: Final = ""


@attrs.frozen
class Rule:
    """Of an account (EVERYBODY) and a mailbox: name, special use, or EVERY_MAILBOX. Neither days nor messages: for ever."""

    account_id: int
    mailbox: str
    days: int | None = None
    messages: int | None = None
    downloaded_days: int | None = None
    """After a device fetched it by POP3."""

    @property
    def keeps_all(self) -> bool:
        return self.days is None and self.messages is None and self.downloaded_days is None

    def before(self, now: float) -> int:
        """What came in earlier (seconds since 1970) goes; 0: nothing goes by its age."""
        return 0 if self.days is None else max(0, int(now) - self.days * DAY)

    def downloaded_before(self, now: float) -> int:
        """What was fetched on that day (since 1970) or before goes; 0: nothing goes for that."""
        return 0 if self.downloaded_days is None else max(0, cutoff(day_of(now), self.downloaded_days))

    def surplus(self, held: int) -> int:
        """How many of so many messages are too many."""
        return 0 if self.messages is None else max(0, held - self.messages)


class Rules:
    """All rules of a store."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._of: dict[tuple[int, str], Rule] = {(rule.account_id, rule.mailbox): rule for rule in rules}

    @property
    def let_go(self) -> bool:
        """Whether any of them ever lets a message go."""
        return not all(rule.keeps_all for rule in self._of.values())

    def rule_for(self, account_id: int, name: str, uses: Mapping[str, str]) -> Rule | None:
        """The one that holds. ``uses``: the special uses of the account's mailboxes, by name."""
        for scope in (account_id, EVERYBODY):
            found = self._at(scope, name, uses) or self._kept_above(scope, name, uses)
            found = found or self._of.get((scope, EVERY_MAILBOX))
            if found is not None:
                return found
        return None

    def _at(self, scope: int, name: str, uses: Mapping[str, str]) -> Rule | None:
        found = self._of.get((scope, name))
        use = uses.get(name, "")
        return self._of.get((scope, use)) if found is None and use else found

    def _kept_above(self, scope: int, name: str, uses: Mapping[str, str]) -> Rule | None:
        for above in reversed(parents(name)):
            found = self._at(scope, above, uses)
            if found is not None and found.keeps_all:
                return found
        return None


@attrs.frozen
class Clock:
    """What was seen of the time, in seconds since 1970."""

    seen_at: int = 0
    """At the last look; 0: there was none."""
    held_since: int = 0
    """When a jump was noticed; 0: the clock is trusted."""

    def look(self, now: float) -> "Clock":
        """The clock after a look at ``now``."""
        at = int(now)
        if self.seen_at and at - self.seen_at > JUMP_SECONDS:
            return Clock(at, at)
        held = self.held_since
        if at < held or at - held >= HOLD_SECONDS:
            held = 0
        return Clock(at, held)

    @property
    def trusted(self) -> bool:
        return not self.held_since

    @property
    def held_until(self) -> int:
        return self.held_since + HOLD_SECONDS if self.held_since else 0
