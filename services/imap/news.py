"""What happened in an account, as the untagged responses that a client has asked for by NOTIFY. Pure.

Laws:
- Many changes of a mailbox are told as one: what it was at first and what it is now.
- LIST responses come before STATUS responses, so that a client knows a mailbox before it hears of its messages.
- What the client did itself is not told (RFC 5465 §5); what others did at the same time is.
- Of a mailbox that may be seen and not read nothing is told but that it is there, as \\NoAccess (§3.1, §5.9).

RFC 5465 §5.1 to §5.5, §5.9; LIST: RFC 5258 §6 (OLDNAME: RFC 5465 §5.4); STATUS: RFC 9051 §7.3.3.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from services.imap.account import Account, AccountEntry, Annotated, MailboxChange, NameSubscribed
from services.imap.interest import Interest, parent_of
from services.imap.protocol.arguments import StatusItem
from services.imap.protocol.encode import build_astring, build_mailbox
from services.imap.protocol.mailbox_names import ancestors
from services.imap.protocol.notify_arguments import MESSAGE_EVENTS, NotifyEvent
from services.imap.protocol.responses import build_list_line, build_status
from shared.contract.types import MailboxCounters
from shared.model.ids import MailboxId
from shared.model.namespace import is_reserved
from shared.model.rights import Rights

MAX_DENIED: Final = 1000
"""Names that a session remembers to have told as \\NoAccess."""


@attrs.frozen
class Own:
    """What the client has just done itself."""

    names: frozenset[str] = frozenset()
    """Mailboxes that it made, renamed or deleted, subscribed or unsubscribed."""
    filed: tuple[str, int, int] | None = None
    """Messages that it filed: the mailbox, how many, and the UIDNEXT that comes of it."""
    annotated: frozenset[tuple[str, ...]] = frozenset()
    """The mailbox (empty: the server) and, ascending, entries that it set or took away: private and shared ones apart."""


NOTHING_OWN = Own()


@attrs.frozen
class Listener:
    """A session, as far as it changes what is told to it."""

    interest: Interest
    selected: MailboxId | None
    condstore: bool
    """RFC 7162 §3.1: HIGHESTMODSEQ means something to it."""
    utf8: bool
    denied: set[str] = attrs.field(factory=set)
    """RFC 5465 §5.9: names that the client was told as \\NoAccess; changed here."""


def is_readable(row: MailboxCounters | None) -> bool:
    """RFC 5465 §5: whether its events may be told."""
    return row is not None and bool(row.rights & Rights.READ)


def render_news(account: Account, entries: Sequence[AccountEntry], listener: Listener, own: Own = NOTHING_OWN) -> bytes:
    """Empty where nothing of it is of interest. ``account``: after all of the entries."""
    changes = _merge(entry for entry in entries if isinstance(entry, MailboxChange))
    names = _Names(account, changes, listener, own)
    for change in changes:
        names.add(change)
    for entry in entries:
        if isinstance(entry, NameSubscribed):
            names.add_subscription(entry)
    pieces = names.render()
    for change in changes:
        if change.after is not None and is_readable(change.after) and change.after.mailbox_id != listener.selected:
            pieces.append(_status_of_change(change.before, change.after, listener, own))
    pieces.extend(_metadata(entry, listener, own) for entry in entries if isinstance(entry, Annotated))
    return b"".join(pieces)


def _metadata(entry: Annotated, listener: Listener, own: Own) -> bytes:
    """RFC 5465 §5.6, §5.7; RFC 5464 §4.4.2: names without values."""
    if entry.name:
        events = listener.interest.events_of(entry.name, subscribed=entry.subscribed)
        wanted = NotifyEvent.MAILBOX_METADATA_CHANGE in events
    else:
        wanted = listener.interest.of_server
    if not wanted or (entry.name, *sorted(entry.entries)) in own.annotated:
        return b""
    name = build_mailbox(entry.name, utf8=listener.utf8) if entry.name else b'""'
    return b"* METADATA %b %b\r\n" % (name, b" ".join(build_astring(each.encode()) for each in entry.entries))


def render_states(account: Account, listener: Listener) -> list[bytes]:
    """RFC 5465 §3.1, the STATUS indicator: how all mailboxes are of whose messages the client is told, the selected one left out."""
    lines = []
    for row in sorted(account.mailboxes.values(), key=lambda row: row.name):
        events = listener.interest.message_events_of(row.name, subscribed=row.subscribed)
        if events and is_readable(row) and row.mailbox_id != listener.selected:
            items = [StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY]
            if listener.condstore or NotifyEvent.FLAG_CHANGE in events:
                items.append(StatusItem.HIGHESTMODSEQ)
            lines.append(_status(row, items, listener))
    return lines


def render_denied(account: Account, listener: Listener) -> list[bytes]:
    """RFC 5465 §3.1: the mailboxes of interest that the client may see and not read."""
    names = _Names(account, (), listener, NOTHING_OWN)
    for row in account.mailboxes.values():
        if not is_readable(row):
            names.add_denied(row)
    return names.render()


def _merge(changes: Iterable[MailboxChange]) -> list[MailboxChange]:
    """One for each mailbox, without those that came and went."""
    merged: dict[MailboxId, MailboxChange] = {}
    for change in changes:
        earlier = merged.get(change.mailbox_id)
        merged[change.mailbox_id] = change if earlier is None else attrs.evolve(earlier, after=change.after)
        if merged[change.mailbox_id] == MailboxChange(None, None):
            del merged[change.mailbox_id]
    return list(merged.values())


# --- messages ---


def _status_of_change(before: MailboxCounters | None, after: MailboxCounters, listener: Listener, own: Own) -> bytes:
    events = listener.interest.message_events_of(after.name, subscribed=after.subscribed)
    if not events & MESSAGE_EVENTS or (before is None and after.name in own.names):
        return b""
    modseq = [StatusItem.HIGHESTMODSEQ] if listener.condstore else []
    if before is None or not is_readable(before):
        # RFC 5465 §5.1: another UIDVALIDITY under a known name must be told
        return _status(after, [StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY, *modseq], listener)
    flags = NotifyEvent.FLAG_CHANGE in events and before.highest_modseq != after.highest_modseq
    unseen = [StatusItem.UNSEEN] if flags and before.unseen != after.unseen else []
    if (before.messages, before.uid_next) != (after.messages, after.uid_next):
        if own.filed == (after.name, after.messages - before.messages, after.uid_next):
            return b""
        # RFC 5465 §5.2, §5.3
        return _status(after, [StatusItem.UIDNEXT, StatusItem.MESSAGES, *modseq, *unseen], listener)
    if flags and (modseq or unseen):
        # RFC 5465 §5.1
        return _status(after, [*modseq, StatusItem.UIDVALIDITY, *unseen], listener)
    return b""


def _status(row: MailboxCounters, items: Sequence[StatusItem], listener: Listener) -> bytes:
    values = {
        StatusItem.MESSAGES: row.messages,
        StatusItem.UIDNEXT: row.uid_next,
        StatusItem.UIDVALIDITY: row.uidvalidity,
        StatusItem.UNSEEN: row.unseen,
        StatusItem.HIGHESTMODSEQ: max(1, row.highest_modseq),
    }
    return build_status(row.name, [(item.value, values[item]) for item in items], utf8=listener.utf8)


# --- names ---


class _Names:
    """Collects the names that are to be told; each is told once, as it is now."""

    def __init__(self, account: Account, changes: Sequence[MailboxChange], listener: Listener, own: Own) -> None:
        self._account = account
        self._listener = listener
        self._own = own
        self._told: dict[str, str] = {}
        """With the old name of what was renamed, or empty."""
        self._lost: set[str] = set()
        before = [(change.before, change.after) for change in changes if change.before is not None]
        self._were_subscribed = {row.name for row, _ in before if row.subscribed}
        self._renamed = {row.name: now.name for row, now in before if now is not None and now.name != row.name}

    def add(self, change: MailboxChange) -> None:
        before, after = change.before, change.after
        self._add_access(before, after)
        if before is None or after is None:
            row = after or before
            if row is not None and row.name not in self._own.names and self._wanted(row.name, row.subscribed):
                self._told.setdefault(row.name, "")
                # RFC 5465 §5.4: the direct parent is affected, whether it exists or not
                above = parent_of(row.name)
                if above and self._wanted(above, self._is_subscribed(above)):
                    self._told.setdefault(above, "")
        elif before.name != after.name:
            wanted = self._wanted(before.name, before.subscribed) or self._wanted(after.name, after.subscribed)
            if wanted and after.name not in self._own.names and not self._follows(before.name, after.name):
                self._told[after.name] = before.name
        elif before.subscribed != after.subscribed and after.name not in self._own.names:
            self._add_if_subscription_wanted(after.name)

    def _add_access(self, before: MailboxCounters | None, after: MailboxCounters | None) -> None:
        """RFC 5465 §5.9: of a mailbox whose events were or would be told, that they end or begin."""
        if after is not None and not is_readable(after):
            if before is None or is_readable(before):
                self.add_denied(after)
        elif after is not None:
            if after.name in self._listener.denied:
                self._told.setdefault(after.name, "")
            self._listener.denied.discard(after.name)
        elif before is not None and is_reserved(before.name) and before.name not in self._own.names:
            # a guest is not told whether it was deleted or is no longer shared
            self._lost.add(before.name)
            if self._listener.interest.events_of(before.name, subscribed=before.subscribed):
                self._deny(before.name)

    def add_denied(self, row: MailboxCounters) -> None:
        """A mailbox that may be seen and not read, where any event of it is of interest."""
        if self._listener.interest.events_of(row.name, subscribed=row.subscribed):
            self._deny(row.name)

    def _deny(self, name: str) -> None:
        self._told.setdefault(name, "")
        if len(self._listener.denied) < MAX_DENIED:
            self._listener.denied.add(name)

    def add_subscription(self, entry: NameSubscribed) -> None:
        # a subscribed mailbox that went, or went under another name, leaves its subscription behind: no change of that
        left_behind = entry.subscribed and entry.name in self._were_subscribed
        if entry.name not in self._own.names and not left_behind:
            self._add_if_subscription_wanted(entry.name)

    def _add_if_subscription_wanted(self, name: str) -> None:
        # either before or after it was among the subscribed ones
        if NotifyEvent.SUBSCRIPTION_CHANGE in self._listener.interest.events_of(name, subscribed=True):
            self._told.setdefault(name, "")

    def _follows(self, old: str, new: str) -> bool:
        """RFC 5465 §5.4: mailboxes below one that was renamed are not told."""
        for level in ancestors(old):
            if level in self._renamed:
                return self._renamed[level] + old[len(level) :] == new
        return False

    def _wanted(self, name: str, subscribed: bool) -> bool:
        return NotifyEvent.MAILBOX_NAME in self._listener.interest.events_of(name, subscribed=subscribed)

    def _is_subscribed(self, name: str) -> bool:
        row = self._account.named(name)
        return row.subscribed if row is not None else name in self._account.subscribed_only

    def render(self) -> list[bytes]:
        """RFC 5465 §5.4, §5.5: all attributes as they are now."""
        if not self._told:
            return []
        rows = {row.name: row for row in self._account.mailboxes.values() if row.name in self._told}
        return [self._line(name, rows.get(name), old) for name, old in self._told.items()]

    def _line(self, name: str, row: MailboxCounters | None, old: str) -> bytes:
        account, utf8 = self._account, self._listener.utf8
        attributes = [] if row is not None else ["\\NonExistent"]
        if name in self._lost if row is None else not is_readable(row):
            attributes.append("\\NoAccess")
        attributes.append("\\HasChildren" if account.has_children(name) else "\\HasNoChildren")
        if row.subscribed if row is not None else name in account.subscribed_only:
            attributes.append("\\Subscribed")
        if row is not None and row.special_use:
            attributes.append(row.special_use)
        extended = (b'"OLDNAME" (' + build_mailbox(old, utf8=utf8) + b")",) if old else ()
        return build_list_line(b"LIST", attributes, name, extended, utf8=utf8)
