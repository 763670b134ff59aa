"""What is known of all mailboxes that NOTIFY watches for an account, others' too that it may see: names, counters, how they changed. Pure.

Laws:
- One for each account and process, however many sessions watch it; fed with the pages of ``events.account_changes``.
- Every change is one entry of a bounded log. Sessions read on from where they are; whoever fell further behind than the log reaches is
  told so (RFC 5465 §5.8), for what it missed is not known any more.
- A mailbox is the same as long as its id is: under another name it was renamed.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from services.imap.protocol.mailbox_names import ancestors
from shared.contract.types import AccountChanges, MailboxCounters
from shared.model.ids import MailboxId

MAX_LOG_ENTRIES: Final = 4096


@attrs.frozen
class MailboxChange:
    """A mailbox before and after; None: there was or is none."""

    before: MailboxCounters | None
    after: MailboxCounters | None

    @property
    def mailbox_id(self) -> MailboxId:
        row = self.after or self.before
        if row is None:
            raise ValueError("neither before nor after")
        return row.mailbox_id


@attrs.frozen
class NameSubscribed:
    """A subscription to a name that is no mailbox came or went."""

    name: str
    subscribed: bool


@attrs.frozen
class Annotated:
    """Annotations of a mailbox, or of the server (no name), were set or taken away."""

    name: str
    entries: tuple[str, ...]
    subscribed: bool = False


AccountEntry = MailboxChange | NameSubscribed | Annotated


class Account:
    """The mailboxes of an account, and those that others share with it (``shared/<owner>/<name>``)."""

    def __init__(self) -> None:
        self.mailboxes: dict[MailboxId, MailboxCounters] = {}
        self.subscribed_only: frozenset[str] = frozenset()
        self.number = 0
        """Of the last commit that is in: 0 before the first."""
        self.generation = 0
        """How many changes there have been."""
        self._log: deque[AccountEntry] = deque(maxlen=MAX_LOG_ENTRIES)
        self._levels: Counter[str] = Counter()

    def has_children(self, name: str) -> bool:
        """Whether there are mailboxes below a name."""
        return name in self._levels

    def named(self, name: str) -> MailboxCounters | None:
        """The mailbox of a name: a scan."""
        return next((row for row in self.mailboxes.values() if row.name == name), None)

    def changes_since(self, generation: int) -> list[AccountEntry] | None:
        """What happened after a generation; None when the log does not reach back that far."""
        missing = self.generation - generation
        if missing > len(self._log):
            return None
        return [self._log[index] for index in range(len(self._log) - missing, len(self._log))]

    def apply(self, pages: Sequence[AccountChanges]) -> bool:
        """Take in all pages of an answer; whether anything was new. What is there at first is no news."""
        before = self.generation
        first = not self.number
        rows = [row for page in pages for row in page.mailboxes]
        if pages[0].complete:
            there = {row.mailbox_id for row in rows}
            for mailbox_id in [mailbox_id for mailbox_id in self.mailboxes if mailbox_id not in there]:
                self._record(MailboxChange(self._remove(mailbox_id), None))
        for row in rows:
            old = self.mailboxes.get(row.mailbox_id)
            if old != row:
                self._put(old, row)
                self._record(MailboxChange(old, row))
        if pages[0].complete:
            self._take_subscriptions(name for page in pages for name in page.subscribed_only)
        for change in pages[0].annotations:
            annotated = self.mailboxes.get(change.mailbox_id)
            if annotated is not None:
                self._record(Annotated(annotated.name, change.names, annotated.subscribed))
            elif not change.mailbox_id:
                self._record(Annotated("", change.names))
        self.number = pages[0].number
        if first:
            self._log.clear()
            self.generation = before
        return self.generation != before

    def _take_subscriptions(self, names: Iterable[str]) -> None:
        known = {row.name for row in self.mailboxes.values()}
        # others' mailboxes have no subscriptions of their own
        now = frozenset(names) - known
        for name in sorted(self.subscribed_only ^ now):
            # a name that has become a mailbox, or was one, is told with it
            if name not in known:
                self._record(NameSubscribed(name, name in now))
        self.subscribed_only = now

    def _record(self, entry: AccountEntry) -> None:
        self.generation += 1
        self._log.append(entry)

    def _put(self, old: MailboxCounters | None, row: MailboxCounters) -> None:
        if old is not None and old.name != row.name:
            self._forget_levels(old.name)
        if old is None or old.name != row.name:
            self._levels.update(ancestors(row.name))
        self.mailboxes[row.mailbox_id] = row

    def _remove(self, mailbox_id: MailboxId) -> MailboxCounters:
        row = self.mailboxes.pop(mailbox_id)
        self._forget_levels(row.name)
        return row

    def _forget_levels(self, name: str) -> None:
        for level in ancestors(name):
            self._levels[level] -= 1
            if not self._levels[level]:
                del self._levels[level]
