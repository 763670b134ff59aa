"""Which events of which mailboxes a client wants to be told: the groups of NOTIFY SET, ready to be asked. Pure.

RFC 5465 §6: several groups may apply to one mailbox, then all of their events are meant. SELECTED and SELECTED-DELAYED are the only
ones that speak of events of messages in the selected mailbox (§3.1).
"""

import unicodedata
from collections.abc import Iterable

from services.imap.protocol.mailbox_names import DELIMITER, ancestors
from services.imap.protocol.notify_arguments import (
    MESSAGE_EVENTS,
    SELECTED_FILTERS,
    EventGroup,
    NotifyEvent,
    NotifyFilter,
)
from shared.model.namespace import is_reserved, shared_name, split_shared

NOTHING: frozenset[NotifyEvent] = frozenset()


class Interest:
    """No groups: NOTIFY NONE."""

    def __init__(self, groups: Iterable[EventGroup]) -> None:
        self.selected: EventGroup | None = None
        self._others: list[tuple[EventGroup, frozenset[str]]] = []
        for group in groups:
            if group.filter in SELECTED_FILTERS:
                self.selected = group
            elif group.events:
                self._others.append((group, frozenset(map(canonical_name, group.names))))

    @property
    def watches_account(self) -> bool:
        """Whether anything but the selected mailbox is of interest."""
        return bool(self._others)

    def in_selected(self, event: NotifyEvent) -> bool:
        """Whether an event in the selected mailbox is to be told."""
        return self.selected is not None and event in self.selected.events

    @property
    def expunges_at_once(self) -> bool:
        """RFC 5465 §6.1.2: SELECTED-DELAYED waits for a command that may tell of them."""
        return self.selected is not None and self.selected.filter is NotifyFilter.SELECTED

    def events_of(self, name: str, *, subscribed: bool) -> frozenset[NotifyEvent]:
        """Of a mailbox that is not selected; or, but for those of messages, of any."""
        events = NOTHING
        for group, names in self._others:
            if not group.events <= events and _applies(group.filter, names, name, subscribed=subscribed):
                events |= group.events
        return events

    @property
    def of_server(self) -> bool:
        """RFC 5465 §5.7: annotations of the server."""
        return any(NotifyEvent.SERVER_METADATA_CHANGE in group.events for group, _ in self._others)

    def message_events_of(self, name: str, *, subscribed: bool) -> frozenset[NotifyEvent]:
        return self.events_of(name, subscribed=subscribed) & MESSAGE_EVENTS


def _applies(which: NotifyFilter, names: frozenset[str], name: str, *, subscribed: bool) -> bool:
    match which:
        case NotifyFilter.PERSONAL | NotifyFilter.INBOXES:
            # RFC 5465 §6.3: mail is filed under details of addresses too (RFC 5233), so that any mailbox may be one
            return not is_reserved(name)
        case NotifyFilter.SUBSCRIBED:
            return subscribed
        case NotifyFilter.MAILBOXES:
            return name in names
        case NotifyFilter.SUBTREE:
            return name in names or any(level in names for level in ancestors(name))
    return False


def canonical_name(name: str) -> str:
    """As the store tells the name: in NFC, owners' addresses in lower case, INBOX in capitals."""
    name = unicodedata.normalize("NFC", name)
    split = split_shared(name)
    if split is None:
        return _fold_inbox(name)
    owner, inner = split
    return shared_name(owner.lower(), _fold_inbox(inner)) if inner else name.lower()


def _fold_inbox(name: str) -> str:
    """Also as the level above others."""
    head, slash, rest = name.partition(DELIMITER)
    return "INBOX" + slash + rest if head.upper() == "INBOX" else name


def parent_of(name: str) -> str:
    """The level above; empty at the top."""
    return name.rpartition(DELIMITER)[0]
