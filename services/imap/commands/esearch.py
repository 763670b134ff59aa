"""ESEARCH: a search in several mailboxes, RFC 7377.

One mailbox after the other: what is kept of one is given up before the next is opened, so that the memory is that of the largest.
Mailboxes that the account may not read are passed over (§2.2), as are those that vanish meanwhile. Beyond ``imap.search_mailboxes``
nothing is searched: NO [LIMIT] (§2.4).
"""

import time
from array import array
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from services.imap.commands.search import begin, make_progress, refuse_charset, search_selected
from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok
from services.imap.protocol.search_arguments import ReturnOption, SearchArguments, Source, SourceKind
from services.imap.protocol.search_responses import Correlator, Results, build_esearch
from services.imap.protocol.sequence_set import NO_MESSAGES
from services.imap.reading import Place
from services.imap.relevancy import score
from services.imap.search_columns import snapshot_of
from services.imap.search_prepare import Moment, prepare
from services.imap.searching import find
from shared.contract.mailbox_types import ListOnly, ListScope
from shared.contract.types import MailboxState
from shared.errors import NoPermission, NoSuchMailbox
from shared.model.packed import U32
from shared.model.rights import Rights

PAGE: Final = 500
"""Mailboxes whose state is asked for at once."""


async def handle_esearch(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SearchArguments)
    selected = any(source.kind is SourceKind.SELECTED for source in arguments.sources)
    if selected and context.selected is None:
        # RFC 7377 §2.2
        raise CommandFailed(build_bad("No mailbox is selected"))
    begin(context, arguments.key, uses_modseq=arguments.uses_modseq)
    refuse_charset(bad=arguments.bad_charset)
    names = await _names(context, arguments.sources)
    options = arguments.returns or frozenset()
    searched = -1
    if selected:
        searched = context.mailbox_id
        await _search_selected(context, command, arguments, options)
    async with aclosing(_states(context, names)) as states:
        async for state in states:
            if state.mailbox_id != searched:
                await _search_one(context, command, arguments, state)
    return build_ok(f"{command.name} completed")


async def _search_selected(
    context: Context, command: Command, arguments: SearchArguments, options: frozenset[ReturnOption]
) -> None:
    selected = context.mailbox
    correlator = Correlator(command.tag, True, selected.name, selected.columns.uidvalidity, utf8=context.utf8_names)
    await search_selected(context, arguments, options, correlator)


async def _names(context: Context, sources: tuple[Source, ...]) -> dict[str, None]:
    """Mailboxes to search besides the selected one, each once. Raises StoreError, CommandFailed."""
    found: dict[str, None] = {}
    limit = context.limits.search_mailboxes
    for source in sources:
        async with aclosing(_names_of(context, source)) as names:
            async for name in names:
                found[name] = None
                if len(found) > limit:
                    # RFC 7377 §2.4
                    raise CommandFailed(build_no(f"Searches up to {limit} mailboxes at once", "LIMIT"))
    return found


async def _names_of(context: Context, source: Source) -> AsyncGenerator[str, None]:
    match source.kind:
        case SourceKind.MAILBOXES:
            for name in source.names:
                yield name
        case SourceKind.PERSONAL | SourceKind.INBOXES:
            # RFC 5465 §6.3: mail may be delivered to any of them
            async for name in _listed(context, ListScope()):
                yield name
        case SourceKind.SUBSCRIBED:
            async for name in _listed(context, ListScope(ListOnly.SUBSCRIBED)):
                yield name
        case SourceKind.SUBTREE | SourceKind.SUBTREE_ONE:
            for root in source.names:
                yield root
                async for name in _listed(context, ListScope(prefix=f"{root}/")):
                    below = name.removeprefix(f"{root}/")
                    if below != name and (source.kind is SourceKind.SUBTREE or "/" not in below):
                        yield name


async def _listed(context: Context, scope: ListScope) -> AsyncGenerator[str, None]:
    """Names of mailboxes that the account may see (RFC 4314 §4: the right l)."""
    after = ""
    while True:
        page = await context.store.mailboxes.list(context.grant, after, scope)
        for info in page.mailboxes:
            if info.mailbox_id:
                yield info.name
        if not page.next:
            return
        after = page.next


async def _states(context: Context, names: dict[str, None]) -> AsyncGenerator[MailboxState, None]:
    """Of those that may be read."""
    listed = list(names)
    for start in range(0, len(listed), PAGE):
        for state in await context.store.mailboxes.statuses(context.grant, tuple(listed[start : start + PAGE]), False):
            if state is not None and state.rights & Rights.READ:
                yield state


async def _search_one(context: Context, command: Command, arguments: SearchArguments, state: MailboxState) -> None:
    if not state.messages:
        return
    try:
        async with context.shared.views.borrow(context.grant, state.mailbox_id, state.uidvalidity) as columns:
            snapshot = snapshot_of(columns)
    except (NoSuchMailbox, NoPermission):
        return
    place = Place(context.store, context.grant, state.mailbox_id, state.uidvalidity, context.shared.rendered)
    key = prepare(arguments.key, Moment(snapshot.uids, NO_MESSAGES, int(time.time())))
    try:
        found = await find(place, snapshot, key, make_progress(context, command.tag))
        options = arguments.returns or frozenset()
        scores = await score(place, snapshot, arguments.key, found) if ReturnOption.RELEVANCY in options else None
    except (NoSuchMailbox, NoPermission):
        return
    if not len(found):
        # RFC 7377 §2.1: nothing is said of a mailbox without matches
        return
    correlator = Correlator(command.tag, True, state.name, state.uidvalidity, utf8=context.utf8_names)
    modseq = max(snapshot.modseqs[index] for index in found) if arguments.uses_modseq else None
    numbers = array(U32, [snapshot.uids[index] for index in found])
    context.client.write(build_esearch(correlator, Results(numbers, options, arguments.partial, modseq, scores)))
    await context.client.drain()
