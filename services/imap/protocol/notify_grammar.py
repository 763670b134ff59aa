"""The arguments of NOTIFY, RFC 5465 §3.1, §5, §6 and §8.

An event that this server does not know is refused with NO [BADEVENT] and the names of those that it knows; more groups or names than
are watched for one client with NO [NOTIFICATIONOVERFLOW].
"""

from typing import Final

from services.imap.protocol.arguments import FetchItem, Section
from services.imap.protocol.fetch_grammar import parse_attribute_list
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.notify_arguments import (
    MESSAGE_EVENTS,
    NAMED_FILTERS,
    SELECTED_FILTERS,
    EventGroup,
    NotifyArguments,
    NotifyEvent,
    NotifyFilter,
)
from services.imap.protocol.tokens import Refused, Scanner, SyntaxFault

MAX_GROUPS: Final = 100
MAX_NAMES: Final = 1000
"""Of all groups together."""
MAX_EVENTS: Final = 50
"""Of one group; there are not that many different ones."""
_EVENTS: Final = {event.value.upper(): event for event in NotifyEvent}
BAD_EVENT: Final = f"BADEVENT ({' '.join(NotifyEvent)})"
_BOTH: Final = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE})


def parse_notify(scanner: Scanner, limits: GrammarLimits) -> NotifyArguments:
    """RFC 5465 §8: notify = "NOTIFY" SP (notify-set / notify-none)"""
    scanner.space()
    word = scanner.word()
    if word == "NONE":
        scanner.end()
        return NotifyArguments()
    if word != "SET":
        raise SyntaxFault("expected SET or NONE")
    scanner.space()
    status = scanner.take(b"STATUS")
    if status:
        scanner.space()
    reader = _Reader(scanner, limits)
    groups = [reader.group()]
    while not scanner.at_end():
        scanner.space()
        if scanner.at_end():
            break
        if len(groups) >= MAX_GROUPS:
            raise Refused("too many groups of events", "NOTIFICATIONOVERFLOW")
        groups.append(reader.group())
    reader.check(groups)
    return NotifyArguments(tuple(groups), status)


class _Reader:
    """One command's groups; complaints about what is well-formed wait for its end."""

    def __init__(self, scanner: Scanner, limits: GrammarLimits) -> None:
        self._scanner = scanner
        self._limits = limits
        self._unknown = False
        self._names = 0

    def check(self, groups: list[EventGroup]) -> None:
        """RFC 5465 §5, §6.1: what the grammar does not say."""
        if self._unknown:
            raise Refused("such events are not told here", BAD_EVENT)
        if sum(group.filter in SELECTED_FILTERS for group in groups) > 1:
            raise SyntaxFault("one of SELECTED and SELECTED-DELAYED, once")
        for group in groups:
            if group.filter in SELECTED_FILTERS and group.events - MESSAGE_EVENTS:
                raise SyntaxFault("only events of messages for the selected mailbox")
            if group.events & MESSAGE_EVENTS and not group.events >= _BOTH:
                raise SyntaxFault("MessageNew and MessageExpunge go together, and FlagChange with them")

    def group(self) -> EventGroup:
        """RFC 5465 §8: event-group = "(" filter-mailboxes SP events ")" """
        scanner = self._scanner
        scanner.expect(b"(")
        try:
            which = NotifyFilter(scanner.word())
        except ValueError as error:
            raise SyntaxFault("unknown kind of mailboxes") from error
        names: tuple[str, ...] = ()
        if which in NAMED_FILTERS:
            scanner.space()
            names = self._one_or_more()
        scanner.space()
        events, items = self._events(which)
        scanner.expect(b")")
        return EventGroup(which, names, events, items)

    def _one_or_more(self) -> tuple[str, ...]:
        """RFC 5465 §8: one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" """
        scanner = self._scanner
        names: dict[str, None] = {}
        if not scanner.take(b"("):
            names[parse_mailbox(scanner, self._limits)] = None
        else:
            while True:
                names[parse_mailbox(scanner, self._limits)] = None
                if scanner.take(b")"):
                    break
                scanner.space()
        self._names += len(names)
        if self._names > MAX_NAMES:
            raise Refused("too many mailboxes", "NOTIFICATIONOVERFLOW")
        return tuple(names)

    def _events(self, which: NotifyFilter) -> tuple[frozenset[NotifyEvent], tuple[FetchItem | Section, ...]]:
        """RFC 5465 §8: events = ( "(" event *(SP event) ")" ) / "NONE" """
        scanner = self._scanner
        events: set[NotifyEvent] = set()
        items: tuple[FetchItem | Section, ...] = ()
        if not scanner.take(b"("):
            if scanner.word() != "NONE":
                raise SyntaxFault("expected a list of events or NONE")
            return frozenset(), ()
        for _ in range(MAX_EVENTS):
            event = _EVENTS.get(scanner.word())
            if event is None:
                self._unknown = True
            else:
                events.add(event)
            if scanner.take(b")"):
                return frozenset(events), items
            scanner.space()
            if event is NotifyEvent.MESSAGE_NEW and scanner.looking_at(b"("):
                if which not in SELECTED_FILTERS:
                    raise SyntaxFault("only of the selected mailbox's messages more is told")
                items = parse_attribute_list(scanner, self._limits)
                if scanner.take(b")"):
                    return frozenset(events), items
                scanner.space()
        raise SyntaxFault("too many events")
