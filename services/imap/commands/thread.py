"""THREAD, RFC 5256 §3: what was found, as trees of replies."""

import time

import trio

from services.imap.commands.search import begin, make_progress, refuse_charset
from services.imap.context import Context, arguments_of
from services.imap.ordering import thread_found
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok
from services.imap.protocol.search_arguments import ThreadArguments
from services.imap.protocol.search_responses import build_thread
from services.imap.search_columns import take_snapshot
from services.imap.search_prepare import Moment, prepare
from services.imap.searching import find


async def handle_thread(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, ThreadArguments)
    begin(context, arguments.key, uses_modseq=arguments.uses_modseq)
    refuse_charset(bad=arguments.bad_charset)
    selected, place = context.mailbox, context.place
    snapshot = take_snapshot(selected)
    key = prepare(arguments.key, Moment(selected.told, selected.saved, int(time.time())))
    progress = make_progress(context, command.tag)
    found = await find(place, snapshot, key, progress)
    numbers = snapshot.uids if command.name == "UID THREAD" else snapshot.numbers
    roots = await thread_found(place, snapshot, arguments.algorithm, found, numbers, progress)
    context.client.write(
        await trio.to_thread.run_sync(build_thread, roots) if len(found) > 5000 else build_thread(roots)
    )
    return build_ok(f"{command.name} completed")
