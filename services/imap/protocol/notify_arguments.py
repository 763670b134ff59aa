"""What NOTIFY asks for. RFC 5465 §3.1, §5, §6 and §8."""

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from services.imap.protocol.arguments import FetchItem, Section


class NotifyEvent(StrEnum):
    """RFC 5465 §8: events that this server tells; the value is the name on the wire. It has no annotations of messages."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


MESSAGE_EVENTS: Final = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE})
"""RFC 5465 §8: message-event."""


class NotifyFilter(StrEnum):
    """RFC 5465 §6: which mailboxes; the value is the name on the wire."""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    MAILBOXES = "MAILBOXES"


SELECTED_FILTERS: Final = frozenset({NotifyFilter.SELECTED, NotifyFilter.SELECTED_DELAYED})
NAMED_FILTERS: Final = frozenset({NotifyFilter.SUBTREE, NotifyFilter.MAILBOXES})


@attrs.frozen
class EventGroup:
    """RFC 5465 §8: event-group. No events: NONE."""

    filter: NotifyFilter
    names: tuple[str, ...] = ()
    """Of SUBTREE and MAILBOXES."""
    events: frozenset[NotifyEvent] = frozenset()
    items: "tuple[FetchItem | Section, ...]" = ()
    """What the client wants to be told of a new message in the selected mailbox."""


@attrs.frozen
class NotifyArguments:
    """NOTIFY SET, or without groups NOTIFY NONE. ``status``: all STATUS at once."""

    groups: tuple[EventGroup, ...] = ()
    status: bool = False
