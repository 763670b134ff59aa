"""LIST and LSUB, RFC 3501 §6.3.8 and §6.3.9, RFC 5258 (options), RFC 6154 (special use).

What is told with each name, page by page: STATUS (RFC 5819), MYRIGHTS (RFC 8440), METADATA (RFC 9590). A page costs one call for its
names and one for each of these, however many mailboxes there are.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from services.imap.commands.status import status_line
from services.imap.context import Context, arguments_of
from services.imap.protocol.acl_grammar import build_my_rights
from services.imap.protocol.arguments import Command, ListArguments, ListReturn, StatusItem
from services.imap.protocol.capability import Extension
from services.imap.protocol.mailbox_names import (
    Known,
    Row,
    chosen_of,
    levels_to_tell,
    matches_any,
    may_match_below,
    patterns_of,
    row_of,
    scope_of,
    select_lsub,
    select_rows,
)
from services.imap.protocol.metadata_grammar import build_metadata
from services.imap.protocol.responses import Reply, build_list_line, build_ok
from shared.contract.mailbox_types import ListOnly, ListScope, MailboxInfo, MailboxList
from shared.contract.sharing_types import AnnotationDepth, Annotations
from shared.contract.types import MailboxState
from shared.model.namespace import OTHERS, OTHERS_PREFIX
from shared.model.rights import Rights

_AT_ONCE: Final = 400
"""Names in one call."""


async def handle_list(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, ListArguments)
    if StatusItem.HIGHESTMODSEQ in arguments.status_items:
        # RFC 7162 §3.1: an enabling command
        context.enable(Extension.CONDSTORE)
    if arguments.patterns == ("",) and not arguments.extended:
        # RFC 3501 §6.3.8: an empty pattern asks for the delimiter and the root; RFC 2342 §5: of the namespace that the reference names
        root = OTHERS_PREFIX if arguments.reference.startswith(OTHERS_PREFIX) else ""
        context.client.write(build_list_line(b"LIST", ("\\Noselect",), root))
        return build_ok("LIST completed")
    if arguments.select_subscribed or arguments.select_special_use:
        await _list_chosen(context, arguments)
    else:
        await _list_all(context, arguments)
    return build_ok("LIST completed")


async def _list_all(context: Context, arguments: ListArguments) -> None:
    """Page by page."""
    patterns = patterns_of(arguments)
    scope = scope_of(patterns)
    extended = arguments.extended or context.rev2
    grant, mailboxes = context.grant, context.store.mailboxes
    within = ListScope(prefix=scope.prefix, levels=scope.levels)
    sources = [lambda after: mailboxes.list(grant, after, within)]
    if may_match_below(patterns, OTHERS):
        sources.append(lambda after: mailboxes.list_shared(grant, after))
    for source in sources:
        async for page in _pages(source):
            await _tell(
                context,
                arguments,
                [row_of(arguments, _known(info), extended=extended) for info in page if matches_any(patterns, info.name)],
            )


async def _pages(source: Callable[[str], Awaitable[MailboxList]]) -> AsyncIterator[Sequence[MailboxInfo]]:
    after = ""
    while True:
        page = await source(after)
        yield page.mailboxes
        after = page.next
        if not after:
            return


def _known(info: MailboxInfo) -> Known:
    exists = bool(info.mailbox_id)
    return Known(
        info.name,
        exists=exists,
        special_use=info.special_use,
        subscribed=info.subscribed,
        has_children=info.has_children,
        selectable=exists and bool(info.rights & Rights.READ),
        rights=info.rights,
    )


async def _list_chosen(context: Context, arguments: ListArguments) -> None:
    """RFC 5258 §3.1: with selection options; the store bounds how many names there can be."""
    patterns = patterns_of(arguments)
    only = ListOnly.SUBSCRIBED if arguments.select_subscribed else ListOnly.SPECIAL_USE
    # what RECURSIVEMATCH tells depends on names that no pattern matches
    prefix = "" if arguments.recursive_match else scope_of(patterns).prefix
    chosen = chosen_of(arguments, map(_known, await _all_of(context, ListScope(only, prefix))))
    others: dict[str, Known] = {}
    if arguments.recursive_match:
        wanted = [level for level, hidden in levels_to_tell(patterns, chosen).items() if hidden and level not in chosen]
        for start in range(0, len(wanted), _AT_ONCE):
            infos = await context.store.mailboxes.infos(context.grant, tuple(wanted[start : start + _AT_ONCE]))
            others |= {info.name: _known(info) for info in infos}
    rows = select_rows(arguments, patterns, chosen, others)
    for start in range(0, len(rows), _AT_ONCE):
        await _tell(context, arguments, rows[start : start + _AT_ONCE])


async def _all_of(context: Context, scope: ListScope) -> list[MailboxInfo]:
    grant, mailboxes = context.grant, context.store.mailboxes
    return [info async for page in _pages(lambda after: mailboxes.list(grant, after, scope)) for info in page]


async def _tell(context: Context, arguments: ListArguments, rows: Sequence[Row]) -> None:
    """A page of responses with what was asked to be told beside them."""
    names = tuple(row.name for row in rows if row.selectable)
    states: dict[str, MailboxState] = {}
    if ListReturn.STATUS in arguments.returns and names:
        states = await _states(context, names, arguments.status_items)
    annotations: dict[str, Annotations] = {}
    if ListReturn.METADATA in arguments.returns and names:
        annotations = await _annotations(context, names, arguments)
    utf8, client = context.utf8_names, context.client
    for row in rows:
        client.write(build_list_line(b"LIST", row.attributes, row.name, _extended(row), utf8=utf8))
        if row.name in states:
            client.write(status_line(context, row.name, states[row.name], arguments.status_items))
        if row.rights is not None and ListReturn.MYRIGHTS in arguments.returns:
            # RFC 8440 §3.1
            client.write(build_my_rights(row.name, row.rights, utf8=utf8))
        if row.name in annotations:
            client.write(_metadata_line(row.name, arguments, annotations[row.name], utf8=utf8))
        await client.drain()


def _extended(row: Row) -> tuple[bytes, ...]:
    """RFC 5258 §3.5: CHILDINFO."""
    if not row.child_info:
        return ()
    return (b'"CHILDINFO" (%b)' % " ".join(f'"{word}"' for word in row.child_info).encode(),)


async def _states(
    context: Context, names: tuple[str, ...], items: Sequence[StatusItem]
) -> dict[str, MailboxState]:
    """RFC 5819 §2: of a mailbox that is gone meanwhile nothing is told."""
    with_octets = StatusItem.DELETED_STORAGE in items
    states = await context.store.mailboxes.statuses(context.grant, names, with_octets)
    return {name: state for name, state in zip(names, states, strict=True) if state is not None}


async def _annotations(
    context: Context, names: tuple[str, ...], arguments: ListArguments
) -> dict[str, Annotations]:
    """Asked again for what one reply has no room for."""
    options = arguments.metadata_options
    found: dict[str, Annotations] = {}
    while names:
        answers = await context.store.sharing.get_metadata(
            context.grant, names, arguments.metadata_entries, AnnotationDepth(options.depth), options.max_octets
        )
        found |= {name: answer for name, answer in zip(names, answers, strict=False) if answer is not None}
        names = names[len(answers) :]
    return found


def _metadata_line(name: str, arguments: ListArguments, annotations: Annotations, *, utf8: bool) -> bytes:
    """RFC 9590 §3: entries that a mailbox has not are NIL; those below one that was asked for come as they are."""
    values: dict[str, bytes | None] = {entry.name: entry.value for entry in annotations.entries}
    if arguments.metadata_options.depth == AnnotationDepth.ZERO:
        values = {entry: values.get(entry) for entry in arguments.metadata_entries} | values
    return build_metadata(name, list(values.items()), utf8=utf8) if values else b""


async def handle_lsub(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, ListArguments)
    infos = await _all_of(context, ListScope(ListOnly.SUBSCRIBED))
    for row in select_lsub(arguments, (info.name for info in infos)):
        context.client.write(build_list_line(b"LSUB", row.attributes, row.name, utf8=context.utf8_names))
        await context.client.drain()
    return build_ok("LSUB completed")
