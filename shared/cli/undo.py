"""`pillarbox undo ADDRESS --to WHEN`: an account, a mailbox or messages as they were at a minute.

    pillarbox undo me@example.org --to "2026-11-28 14:05" --dry-run
    pillarbox undo me@example.org --to "2026-11-28 14:05" --mailbox INBOX --message 17 18

It is done in pieces; one that was interrupted goes on when the same command is given again.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import attrs

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.output import iso_time, local_time, print_json, print_table, printable
from shared.cli.store_access import StoreClient, ask
from shared.contract.undo_types import EVERY_MAILBOX, PIECE, UndoCounts, UndoPlan, UndoStep
from shared.model.packed import pack_u32


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    summary = "bring an account back to how it was at a time"
    parser = nouns.add_parser("undo", help=summary, description=summary.capitalize() + "; mail that came later stays.")
    parser.add_argument("address", metavar="ADDRESS", help="the account")
    parser.add_argument(
        "--to", metavar="WHEN", required=True, help='"2026-11-28 14:05" (local time; with Z behind it: UTC), or 14:05 (today)'
    )
    parser.add_argument("--mailbox", metavar="NAME", default=EVERY_MAILBOX, help="only what was in this mailbox then")
    parser.add_argument(
        "--message", metavar="UID", nargs="+", type=int, default=[], help="with --mailbox: only these, by the UIDs they had then"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.set_defaults(handler=undo)


def parse_when(text: str, now: float) -> float:
    """Seconds since 1970. Raises WrongUse."""
    words = text.strip()
    if words.endswith(("Z", "z")):
        words = words[:-1] + "+00:00"
    try:
        if len(words) <= len("14:05:00"):
            words = f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d} {words}"
        when = datetime.fromisoformat(words)
        return when.astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise WrongUse(f'--to: a time like "2026-11-28 14:05", not {printable(text)[:80]}') from None


@attrs.define
class _Undone:
    """What was done until now."""

    counts: UndoCounts = attrs.field(factory=UndoCounts)
    left_out: list[str] = attrs.field(factory=list)


def undo(invocation: Invocation) -> int:
    """What was, or would be done. Exit code 1 where something could not be done. Raises WrongUse, CommandFailed."""
    options = invocation.options
    address = check_address(options.address)
    at = parse_when(options.to, time.time())
    if options.message and not options.mailbox:
        raise WrongUse("--message goes with --mailbox")
    if not all(0 < uid < 2**32 for uid in options.message):
        raise WrongUse("--message: UIDs from 1 to 4294967295")
    uids = pack_u32(options.message)

    async def plan(store: StoreClient) -> UndoPlan:
        return await store.undo.plan(address, at, options.mailbox, uids)

    async def run(store: StoreClient) -> tuple[UndoPlan, _Undone]:
        first = planned = await plan(store)
        undone = _Undone()
        while planned.steps and await _do(store, address, planned, undone):
            planned = await plan(store)
        return first, undone

    about = f"undo for {address} to {local_time(at)}"
    if options.dry_run:
        return _show(invocation, address, at, ask(invocation, plan, about), None)
    first, undone = ask(invocation, run, about)
    return _show(invocation, address, at, first, undone)


async def _do(store: StoreClient, address: str, planned: UndoPlan, undone: _Undone) -> bool:
    """Do all steps of a plan; whether anything changed."""
    changed = False
    undone.left_out.clear()
    for step in planned.steps:
        for piece in pieces(step):
            done = await store.undo.apply(address, piece)
            undone.counts += done.counts
            changed = changed or bool(done.counts.total)
            if done.left_out:
                undone.left_out.append(done.left_out)
            if sys.stderr.isatty():
                print(f"\r{undone.counts.total} of {planned.counts.total}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return changed


def pieces(step: UndoStep) -> Iterator[UndoStep]:
    """A step in parts of at most PIECE messages; one at least, for the mailbox itself."""
    bare = attrs.evolve(step, back=b"", back_flags=b"", changed=b"", changed_flags=b"", gone=b"", examples=())
    yield from (
        attrs.evolve(bare, back=uids, back_flags=flags) for uids, flags in _parts(step.back, step.back_flags)
    )
    yield from (
        attrs.evolve(bare, changed=uids, changed_flags=flags) for uids, flags in _parts(step.changed, step.changed_flags)
    )
    yield from (attrs.evolve(bare, gone=uids) for uids, _ in _parts(step.gone, b""))
    if not step.back + step.changed + step.gone:
        yield bare


def _parts(uids: bytes, flags: bytes) -> Iterator[tuple[bytes, bytes]]:
    for start in range(0, len(uids) // 4, PIECE):
        end = start + PIECE
        yield uids[4 * start : 4 * end], flags[8 * start : 8 * end]


def counts_as_json(counts: UndoCounts) -> dict[str, int]:
    """Stable fields."""
    return {
        "back": counts.back,
        "moved_back": counts.moved,
        "flags": counts.flags,
        "taken_away_again": counts.gone,
        "mailboxes_made": counts.made,
        "mailboxes_renamed": counts.renamed,
    }


def words_for(counts: UndoCounts) -> str:
    """`3 messages back, flags of 2 messages`"""
    words = [
        (counts.back, "{} message{s} back"),
        (counts.moved, "{} message{s} moved back"),
        (counts.flags, "flags of {} message{s}"),
        (counts.gone, "{} message{s} that an undo had brought back taken away again"),
        (counts.made, "{} mailbox{es} made again"),
        (counts.renamed, "{} mailbox{es} renamed back"),
    ]
    return ", ".join(
        text.format(count, s="" if count == 1 else "s", es="" if count == 1 else "es") for count, text in words if count
    )


def _show(invocation: Invocation, address: str, at: float, plan: UndoPlan, undone: _Undone | None) -> int:
    counts = plan.counts if undone is None else undone.counts
    left_out = [] if undone is None else undone.left_out
    code = EXIT_FAILED if left_out else EXIT_OK
    if invocation.json:
        print_json(
            {
                "account": address,
                "to": iso_time(at),
                "done": undone is not None,
                **counts_as_json(counts),
                "left_out": left_out,
                "mailboxes": [{"mailbox": step.name, **counts_as_json(step.counts)} for step in plan.steps],
            }
        )
        return code
    if undone is None:
        _print_plan(plan)
    if counts.total:
        print(f"{'would be undone' if undone is None else 'undone'}: {words_for(counts)}")
    else:
        print(f"nothing to undo: {address} is as it was at {local_time(at)}, but for what came later")
    for line in left_out:
        print(f"left out: {printable(line)}")
    return code


def _print_plan(plan: UndoPlan) -> None:
    rows = [
        (step.name, step.counts.back, step.counts.moved, step.counts.flags, step.counts.gone, _mailbox_words(step))
        for step in plan.steps
    ]
    print_table(("MAILBOX", "BACK", "MOVED BACK", "FLAGS", "TAKEN AWAY", ""), rows)
    messages = [message for step in plan.steps for message in step.examples]
    print_table(
        ("UID", "DATE", "FROM", "SUBJECT"),
        [(message.uid, local_time(message.date), message.sender, message.subject[:60]) for message in messages],
    )


def _mailbox_words(step: UndoStep) -> str:
    if step.make:
        return "made again"
    return f"renamed back from {step.renamed}" if step.renamed else ""
