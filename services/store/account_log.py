"""Which mailboxes of a watched account changed since when, so that a watcher is told the difference and nobody compares all of them.

Kept in memory, for accounts that are watched now; whoever asks about a time before that is told everything. Numbers are those of the
commits (``Notifier.commits``): they begin at the clock, so that they ascend over restarts of the store too. Trio thread only.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from services.store.news import Changes

EVERYBODY: Final = 0
"""Instead of an account: whoever is watched."""
MAX_ANNOTATIONS: Final = 1_000
"""Changes of annotations that are remembered of one account; the oldest are forgotten."""
MAX_MAILBOXES: Final = 2_000
"""Of one account; when more have changed since the log began, everything is told anew."""


class AccountLog:
    """Of one account. ``begun``: changes after this commit are in it."""

    def __init__(self, begun: int) -> None:
        self._begun = begun
        self._names = begun
        self._mailboxes: dict[int, int] = {}
        self._annotations: deque[tuple[int, int, tuple[str, ...]]] = deque(maxlen=MAX_ANNOTATIONS)

    def annotated(self, mailbox_id: int, names: tuple[str, ...], commit: int) -> None:
        """Annotations of a mailbox (0: of the server) were set or taken away."""
        self._annotations.append((commit, mailbox_id, names))

    def annotations_since(self, commit: int) -> list[tuple[int, tuple[str, ...]]]:
        """Mailboxes and names of entries."""
        return [(mailbox_id, names) for when, mailbox_id, names in self._annotations if when > commit]

    def names_changed(self, commit: int) -> None:
        """A mailbox was made, renamed or deleted, or a name subscribed."""
        self._names = commit

    def mailbox_changed(self, mailbox_id: int, commit: int) -> None:
        """What is in a mailbox changed."""
        if len(self._mailboxes) >= MAX_MAILBOXES and mailbox_id not in self._mailboxes:
            self._mailboxes.clear()
            self._begun = self._names = commit  # whoever is not at this commit looks at everything
            return
        # in the order of the commits: the newest last
        self._mailboxes.pop(mailbox_id, None)
        self._mailboxes[mailbox_id] = commit

    def changed_since(self, commit: int) -> list[int] | None:
        """Mailboxes; None: everything must be looked at."""
        if commit < self._begun or commit < self._names:
            return None
        changed = []
        for mailbox_id, when in reversed(self._mailboxes.items()):
            if when <= commit:
                break
            changed.append(mailbox_id)
        return changed


class AccountLogs:
    """Of all accounts that are watched."""

    def __init__(self) -> None:
        self._logs: dict[int, AccountLog] = {}

    def begin(self, account_id: int, commit: int) -> None:
        """Somebody watches an account; harmless when it is watched already."""
        if account_id not in self._logs:
            self._logs[account_id] = AccountLog(commit)

    def end(self, account_id: int) -> None:
        """Nobody watches it any more."""
        self._logs.pop(account_id, None)

    def record(self, changes: Changes, commit: int) -> None:
        """What a commit changed for those who watch."""
        if not self._logs:
            return
        for whose, mailbox_id, entries in changes.annotations:
            for log in self._of({whose}):
                log.annotated(mailbox_id, entries, commit)
        for log in self._of(changes.names):
            log.names_changed(commit)
        for mailbox_id, owner in changes.owners.items():
            for log in self._of({owner, *changes.guests.get(mailbox_id, ())}):
                log.mailbox_changed(mailbox_id, commit)

    def _of(self, accounts: set[int]) -> Iterable[AccountLog]:
        """Of those accounts that are watched."""
        if EVERYBODY in accounts:
            return tuple(self._logs.values())
        return [self._logs[account_id] for account_id in accounts if account_id in self._logs]

    @property
    def watched(self) -> Iterable[int]:
        """Accounts."""
        return self._logs

    def annotations_since(self, account_id: int, commit: int) -> list[tuple[int, tuple[str, ...]]]:
        """Mailboxes and names of entries."""
        log = self._logs.get(account_id)
        return [] if log is None else log.annotations_since(commit)

    def changed_since(self, account_id: int, commit: int) -> list[int] | None:
        """Mailboxes; None: everything must be looked at."""
        log = self._logs.get(account_id)
        return None if log is None else log.changed_since(commit)
