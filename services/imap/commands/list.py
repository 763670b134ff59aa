"""LIST and LSUB, RFC 3501 §6.3.8 and §6.3.9, RFC 5258 (options), RFC 6154 (special use), RFC 5819 (STATUS)."""

import trio

from services.imap.commands.status import status_line
from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, ListArguments, ListReturn
from services.imap.protocol.mailbox_names import KnownMailbox, Row, select_list, select_lsub
from services.imap.protocol.responses import Reply, build_list_line, build_ok
from shared.contract.types import ListOnly, ListScope, MailboxState
from shared.errors import NoSuchMailbox, StoreError

STATUS_AT_ONCE = 8


async def handle_list(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, ListArguments)
    if arguments.patterns == ("",) and not arguments.extended:
        # RFC 3501 §6.3.8: an empty pattern asks for the delimiter and the root
        context.client.write(b'* LIST (\\Noselect) "/" ""\r\n')
        return build_ok("LIST completed")
    mailboxes, missing = await _mailboxes(context)
    rows = select_list(arguments, mailboxes, missing)
    states: dict[str, MailboxState] = {}
    if ListReturn.STATUS in arguments.returns:
        states = await _states(context, [row.name for row in rows if row.selectable])
    utf8 = context.utf8_names
    for row in rows:
        # RFC 5258 §3.5: CHILDINFO
        extended = (b'"CHILDINFO" ("SUBSCRIBED")',) if row.child_info else ()
        context.client.write(build_list_line(b"LIST", row.attributes, row.name, extended, utf8=utf8))
        if row.name in states:
            context.client.write(status_line(row.name, states[row.name], arguments.status_items, utf8=utf8))
        await context.client.drain()
    return build_ok("LIST completed")


async def handle_lsub(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, ListArguments)
    mailboxes, missing = await _mailboxes(context)
    subscribed = [name for name, known in mailboxes.items() if known.subscribed]
    rows: list[Row] = select_lsub(arguments, [*subscribed, *missing])
    for row in rows:
        context.client.write(build_list_line(b"LSUB", row.attributes, row.name, utf8=context.utf8_names))
        await context.client.drain()
    return build_ok("LSUB completed")


async def _mailboxes(context: Context) -> tuple[dict[str, KnownMailbox], list[str]]:
    """All mailboxes of the account (the store bounds their number), and names that are only subscribed."""
    known: dict[str, KnownMailbox] = {}
    missing: list[str] = []
    for scope in (ListScope(), ListScope(ListOnly.SUBSCRIBED)):
        after = ""
        while True:
            page = await context.store.mailboxes.list(context.grant, after, scope)
            for info in page.mailboxes:
                if info.mailbox_id:
                    known[info.name] = KnownMailbox(info.special_use, info.subscribed)
                elif info.subscribed:
                    missing.append(info.name)
            after = page.next
            if not after:
                break
    return known, missing


async def _states(context: Context, names: list[str]) -> dict[str, MailboxState]:
    """Counters of many mailboxes, a few calls at a time; a mailbox that is gone meanwhile has none (RFC 5819 §2)."""
    states: dict[str, MailboxState] = {}
    failures: list[StoreError] = []

    async def ask(name: str) -> None:
        try:
            states[name] = await context.store.mailboxes.status(context.grant, name)
        except NoSuchMailbox:
            pass
        except StoreError as error:
            failures.append(error)

    for start in range(0, len(names), STATUS_AT_ONCE):
        async with trio.open_nursery() as nursery:
            for name in names[start : start + STATUS_AT_ONCE]:
                nursery.start_soon(ask, name)
        if failures:
            raise failures[0]
    return states
