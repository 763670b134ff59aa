"""STORE, RFC 3501 §6.4.6, RFC 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED)."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import trio

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, StoreArguments, StoreMode
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import Reply, build_ok, code_modified
from services.imap.pump import run_ahead
from shared.contract.types import FlagOperation, StoreFlagsResult
from shared.model.flags import FIRST_KEYWORD_BIT, split_flag_names
from shared.model.ids import ModSeq
from shared.model.packed import U32, pack_u32, unpack_u32, unpack_u64

UIDS_AT_ONCE = 4_000
"""In one transaction of the store: some 10 ms, in which nobody else writes."""
_LINES_AT_ONCE = 1_000

_OPERATIONS = {
    StoreMode.ADD: FlagOperation.ADD,
    StoreMode.REMOVE: FlagOperation.REMOVE,
    StoreMode.REPLACE: FlagOperation.REPLACE,
}


async def handle_store(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, StoreArguments)
    by_uid = command.name.startswith("UID ")
    asked = context.mailbox.uids_of(context.resolve(arguments.messages, by_uid=by_uid))
    uids = context.within_limit(asked)
    if arguments.unchanged_since is not None:
        # RFC 7162 §3.1: an enabling command
        context.enable(Extension.CONDSTORE)
    run = _Run(context, arguments)
    steps = (uids[start : start + UIDS_AT_ONCE] for start in range(0, len(uids), UIDS_AT_ONCE))
    with context.view.own_call():
        await run_ahead((partial(run.change, step) for step in steps), run.tell, width=1)
    failed = run.failed
    if failed:
        numbers = failed if by_uid else [n for n in map(context.mailbox.number_of, failed) if n]
        reply = build_ok("Conditional STORE failed for some", code_modified(numbers))
    elif run.done < len(uids):
        reply = build_ok("Some messages were already expunged", "EXPUNGEISSUED")
    else:
        reply = build_ok(f"{command.name} completed")
    return context.say_limit(reply, asked, uids)


class _Run:
    """One STORE: the store works on the next part of the messages while the client is told of the last one."""

    def __init__(self, context: Context, arguments: StoreArguments) -> None:
        self._context = context
        self._arguments = arguments
        self._own = 0
        """Changes of the view that this command has made itself."""
        self.done = 0
        self.failed: array[int] = array(U32)

    def _generation(self) -> int:
        """Changes of the view that others have made."""
        return self._context.view.generation - self._own

    async def change(self, uids: "array[int]") -> StoreFlagsResult:
        """What the store made of some of the messages; it is in the view, too. Raises StoreError."""
        context, arguments = self._context, self._arguments
        before = _flags_of(context, uids) if arguments.silent else ()
        others = context.mailbox.pending_flags() if arguments.silent else frozenset()
        generation = self._generation()
        since = None if arguments.unchanged_since is None else ModSeq(arguments.unchanged_since)
        result = await context.store.messages.store_flags(
            context.grant, context.mailbox_id, pack_u32(uids), _OPERATIONS[arguments.mode], arguments.flags, since
        )
        if arguments.silent and self._generation() != generation:
            known = {uid: flags for uid, flags in zip(uids, before, strict=True) if uid not in others}
            _keep_quiet(context, arguments, result, known)
        earlier = context.view.generation
        changed = _apply(context, arguments, result)
        self._own += context.view.generation - earlier
        if changed:
            context.view.wake_all()
        return result

    async def tell(self, result: StoreFlagsResult) -> None:
        """To the client."""
        self.done += len(result.uids) // 4
        self.failed.extend(unpack_u32(result.failed))
        await _tell(self._context, self._arguments, result)


def _flags_of(context: Context, uids: Sequence[int]) -> Sequence[int]:
    """What the view knows of messages, -1 where it knows none."""
    view = context.view
    first = view.run_of(uids)
    if first >= 0:
        return view.flags[first : first + len(uids)]
    return [view.flags[at] if at >= 0 else -1 for at in map(view.position, uids)]


def _keep_quiet(
    context: Context, arguments: StoreArguments, result: StoreFlagsResult, before: Mapping[int, int]
) -> None:
    """The view heard of our own change before we did: what the client computes itself is no news (RFC 3501 §6.4.6 .SILENT).

    ``before``: flags that the client knows, by UID.
    """
    view, expected = context.view, _expectation(arguments, result.keywords)
    own: list[int] = []
    columns = zip(unpack_u32(result.uids), unpack_u64(result.flags), unpack_u64(result.modseqs), strict=True)
    for uid, flags, modseq in columns:
        at = view.position(uid)
        if at < 0 or uid not in before or not modseq == result.modseq == view.modseqs[at]:
            continue
        if expected(before[uid]) == flags:
            own.append(uid)
    context.mailbox.forget_pending_flags(own)


def _expectation(arguments: StoreArguments, keywords: tuple[str, ...]) -> Callable[[int], int]:
    """What the client computes from the flags that it knows."""
    bits, names = split_flag_names(arguments.flags)
    slots = {keyword.lower(): slot for slot, keyword in enumerate(keywords)}
    for name in names:
        slot = slots.get(name.lower())
        if slot is not None:
            bits |= 1 << (FIRST_KEYWORD_BIT + slot)
    if arguments.mode is StoreMode.ADD:
        return lambda old: old | bits
    if arguments.mode is StoreMode.REMOVE:
        return lambda old: old & ~bits
    return lambda old: bits


def _apply(context: Context, arguments: StoreArguments, result: StoreFlagsResult) -> bool:
    """Whether the view was changed by it."""
    changed = context.view.apply_flags(
        unpack_u32(result.uids),
        unpack_u64(result.flags),
        unpack_u64(result.modseqs),
        result.keywords,
        context.mailbox,
        _expectation(arguments, result.keywords) if arguments.silent else None,
    )
    if result.modseq:
        context.view.note_own(result.modseq)
    return changed


async def _tell(context: Context, arguments: StoreArguments, result: StoreFlagsResult) -> None:
    """RFC 3501 §6.4.6: FETCH responses, unless .SILENT; with CONDSTORE the modseqs even then (RFC 7162 §3.1.3)."""
    selected = context.mailbox
    context.client.write(selected.render_keywords())
    if arguments.silent and not context.condstore:
        return
    uids = unpack_u32(result.uids)
    if not arguments.silent:
        selected.forget_pending_flags(uids)
    for start in range(0, len(uids), _LINES_AT_ONCE):
        lines = selected.flags_lines(uids[start : start + _LINES_AT_ONCE], flags=not arguments.silent)
        context.client.write(lines)
        await context.client.drain()
        await trio.lowlevel.checkpoint()
