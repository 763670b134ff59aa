"""NOTIFY's arguments: what they mean, what is refused with which code, and parse(render(x)) == x."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol import arguments as a
from services.imap.protocol.arguments import FetchItem, Section, SectionText
from services.imap.protocol.encode import build_mailbox
from services.imap.protocol.fetch_grammar import section_label
from services.imap.protocol.framing import CommandFrame, Framer, FramingLimits
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.notify_arguments import (
    MESSAGE_EVENTS,
    NAMED_FILTERS,
    SELECTED_FILTERS,
    EventGroup,
    NotifyArguments,
    NotifyEvent,
    NotifyFilter,
)
from services.imap.protocol.notify_grammar import MAX_GROUPS, MAX_NAMES
from shared.wire import mutf7

BOTH = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE})
WIDE = FramingLimits(line_octets=1 << 20, literal_octets=1 << 20, command_octets=1 << 20, literals=1000)


def parse(text: bytes) -> a.Arguments:
    framer = Framer(WIDE)
    framer.feed(b"a " + text + b"\r\n")
    event = framer.next_event()
    while not isinstance(event, CommandFrame):
        event = framer.next_event()
    return parse_command(event, GrammarLimits()).arguments


def refused(text: bytes) -> tuple[str, str]:
    with pytest.raises(CommandError) as caught:
        parse(text)
    return caught.value.reply.status, caught.value.reply.code


def test_examples() -> None:
    header = Section(text=SectionText.HEADER_FIELDS, fields=(b"from", b"to", b"subject"), peek=True)
    assert parse(
        b"notify set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge))"
        b" (subtree Lists (MessageNew MessageExpunge))"
    ) == NotifyArguments(
        (
            EventGroup(NotifyFilter.SELECTED, events=BOTH, items=(FetchItem.UID, header)),
            EventGroup(NotifyFilter.SUBTREE, ("Lists",), BOTH),
        ),
        status=True,
    )
    assert parse(b"NOTIFY NONE") == NotifyArguments()
    assert parse(b'NOTIFY SET (MAILBOXES (inbox "a b" INBOX) NONE)') == NotifyArguments(
        (EventGroup(NotifyFilter.MAILBOXES, ("INBOX", "a b")),)
    )
    assert parse(b"NOTIFY SET (PERSONAL (mailboxname SUBSCRIPTIONCHANGE))") == NotifyArguments(
        (
            EventGroup(
                NotifyFilter.PERSONAL, events=frozenset({NotifyEvent.MAILBOX_NAME, NotifyEvent.SUBSCRIPTION_CHANGE})
            ),
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        b"NOTIFY", b"NOTIFY SET", b"NOTIFY SET ", b"NOTIFY SET STATUS", b"NOTIFY NONE x", b"NOTIFY MAYBE", b"NOTIFY SET STATUS ",
        b"NOTIFY SET ()", b"NOTIFY SET (SELECTED)", b"NOTIFY SET (SELECTED ())", b"NOTIFY SET (SELECTED MessageNew)",
        b"NOTIFY SET (SELECTED (MessageNew MessageExpunge)", b"NOTIFY SET (SUBTREE (MessageNew MessageExpunge))",
        b"NOTIFY SET (MAILBOXES () NONE)", b"NOTIFY SET (ALL NONE)", b"NOTIFY SET (SELECTED (MessageNew))",
        b"NOTIFY SET (SELECTED (MessageNew () MessageExpunge))", b"NOTIFY SET (SELECTED (MessageExpunge FlagChange))",
        b"NOTIFY SET (PERSONAL (MessageNew (UID) MessageExpunge))", b"NOTIFY SET (SELECTED (MailboxName))",
        b"NOTIFY SET (SELECTED NONE) (SELECTED-DELAYED NONE)", b"NOTIFY SET (PERSONAL NONE)(INBOXES NONE)",
        b"NOTIFY SET (SELECTED (" + b" ".join([b"MessageNew"] * 60) + b"))",
    ],
)  # fmt: skip
def test_not_in_the_grammar(text: bytes) -> None:
    assert refused(text) == ("BAD", "")


def test_events_that_are_not_known() -> None:
    names = (
        "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"
    )
    for event in (b"AnnotationChange", b"Sunrise"):
        text = b"NOTIFY SET (SELECTED (MessageNew MessageExpunge %b))" % event
        status, code = refused(text)
        assert status == "NO"
        assert code.startswith(f"BADEVENT ({names}")


def test_limits_have_their_code() -> None:
    names = [b"box%d" % number for number in range(MAX_NAMES)]
    fits = b"NOTIFY SET (MAILBOXES (" + b" ".join(names) + b") NONE)"
    assert isinstance(parse(fits), NotifyArguments)
    assert refused(fits + b" (MAILBOXES more NONE)") == ("NO", "NOTIFICATIONOVERFLOW")
    groups = b" ".join([b"(PERSONAL NONE)"] * MAX_GROUPS)
    assert isinstance(parse(b"NOTIFY SET " + groups), NotifyArguments)
    assert refused(b"NOTIFY SET " + groups + b" (PERSONAL NONE)") == ("NO", "NOTIFICATIONOVERFLOW")
    assert refused(b"NOTIFY SET (MAILBOXES %b NONE)" % (b"x" * 2000)) == ("NO", "LIMIT")


def _render_items(items: tuple[FetchItem | Section, ...]) -> bytes:
    parts = [
        item.value if isinstance(item, FetchItem) else section_label(item).replace(b"BODY[", b"BODY.PEEK[", 1)
        for item in items
    ]
    return b" (" + b" ".join(parts) + b")" if parts else b""


def render(arguments: NotifyArguments) -> bytes:
    if not arguments.groups:
        return b"NOTIFY NONE"
    text = b"NOTIFY SET" + (b" STATUS" if arguments.status else b"")
    for group in arguments.groups:
        text += b" (" + group.filter.value.encode()
        if group.names:
            text += b" (" + b" ".join(map(build_mailbox, group.names)) + b")"
        events = [
            event.value.encode() + (_render_items(group.items) if event is NotifyEvent.MESSAGE_NEW else b"")
            for event in sorted(group.events)
        ]
        text += b" (" + b" ".join(events) + b"))" if events else b" NONE)"
    return text


def _decodes(name: str) -> bool:
    return mutf7.decode(mutf7.encode(name)) == name and name.upper() != "INBOX"


names = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    _decodes
)
sections = st.builds(
    Section,
    path=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    text=st.sampled_from([SectionText.ALL, SectionText.HEADER, SectionText.TEXT]),
    peek=st.just(True),
)
items = st.lists(st.sampled_from(FetchItem) | sections, max_size=4, unique=True).map(tuple)


@st.composite
def groups(draw: st.DrawFn, which: NotifyFilter) -> EventGroup:
    if which in SELECTED_FILTERS:
        events = draw(st.sampled_from([frozenset(), BOTH, MESSAGE_EVENTS]))
        return EventGroup(which, events=events, items=draw(items) if events else ())
    others = draw(st.frozensets(st.sampled_from(sorted(set(NotifyEvent) - MESSAGE_EVENTS))))
    events = others | draw(st.sampled_from([frozenset(), BOTH, MESSAGE_EVENTS]))
    chosen = draw(st.lists(names, min_size=1, max_size=4, unique=True)) if which in NAMED_FILTERS else []
    return EventGroup(which, tuple(chosen), events)


others = st.sampled_from(sorted(set(NotifyFilter) - SELECTED_FILTERS)).flatmap(groups)


@given(
    st.sampled_from(sorted(SELECTED_FILTERS)).flatmap(groups) | st.none(), st.lists(others, max_size=5), st.booleans()
)
def test_what_is_rendered_is_parsed_again(selected: EventGroup | None, rest: list[EventGroup], status: bool) -> None:
    chosen = (*([selected] if selected else []), *rest)
    arguments = NotifyArguments(chosen, status=status and bool(chosen))
    assert parse(render(arguments)) == arguments


@given(st.binary(max_size=80), st.sampled_from([b"NOTIFY ", b"NOTIFY SET ", b"NOTIFY SET (SELECTED (MessageNew ("]))
def test_no_octets_raise_anything_else(octets: bytes, begin: bytes) -> None:
    line = (begin + octets).replace(b"\r", b"").replace(b"\n", b"").replace(b"}", b"")
    with suppress(CommandError):
        parse(line)
