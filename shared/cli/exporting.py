"""`pillarbox export maildir|mbox ADDRESS DIR`: an account's mail as files that other programs read.

It writes into an empty folder. The account goes on meanwhile: each mailbox is written as it was when it was looked at.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, CommandFailed, Invocation
from shared.cli.moving_progress import ProgressBar, time_text
from shared.cli.nouns import Verb, Word, add_noun
from shared.cli.output import print_json, print_table, printable, size_text
from shared.cli.store_access import StoreClient, ask
from shared.errors import NoSuchMailbox, NoSuchMessage
from shared.moving import leave
from shared.moving.account import Account
from shared.moving.leave import Leaving, MaildirWriter, MboxWriter

_WORDS: Final[tuple[Word, ...]] = (("address", {"metavar": "ADDRESS"}), ("path", {"metavar": "DIR"}))


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    add_noun(
        nouns,
        "export",
        "write an account's mail into files",
        Verb("maildir", export_maildir, "write a Maildir++ with UIDs, flags, dates and UIDLs, as Dovecot has them", _WORDS),
        Verb("mbox", export_mbox, "write an mbox for each mailbox", _WORDS),
    )


@attrs.define
class Report:
    """What was written."""

    address: str
    mailboxes: list[Leaving] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    """What was left out."""
    notes: list[str] = attrs.field(factory=list)
    """What the files could not say."""
    seconds: float = 0.0


def as_json(report: Report) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": report.address,
        "mailboxes": [
            {"name": each.state.name, "messages": len(each.messages), "octets": each.octets} for each in report.mailboxes
        ],
        "problems": report.problems,
        "notes": report.notes,
        "seconds": round(report.seconds, 3),
    }


def print_report(report: Report) -> None:
    """A table, and what was left out."""
    rows = [(each.state.name, len(each.messages), size_text(each.octets)) for each in report.mailboxes]
    print_table(("MAILBOX", "MESSAGES", "SIZE"), rows)
    messages = sum(len(each.messages) for each in report.mailboxes)
    octets = sum(each.octets for each in report.mailboxes)
    for note in report.notes:
        print(printable(note))
    print(f"{messages} messages written, {size_text(octets)}, in {time_text(report.seconds)}")
    for problem in report.problems:
        print(f"pillarbox: {printable(problem)}", file=sys.stderr)


Write = Callable[[Account, list[Leaving], Path, ProgressBar, Report], Coroutine[Any, Any, None]]


def run_export(invocation: Invocation, write: Write) -> int:
    """Look at everything, then write it, then have it on the disk."""
    address = check_address(invocation.options.address)
    root = Path(invocation.options.path)
    report = Report(address)

    async def session(store: StoreClient) -> str:
        begun = time.monotonic()
        account = await Account.enter(store, address)
        found = await leave.look(account)
        bar = ProgressBar(
            sum(len(each.messages) for each in found), sum(each.octets for each in found), quiet=invocation.json
        )
        try:
            leave.make_place(root)
            await write(account, found, root, bar, report)
        except leave.LeaveError as error:
            return str(error)
        except OSError as error:
            return f"{root}: {error.strerror}"
        finally:
            bar.end()
        await trio.to_thread.run_sync(os.sync)
        report.seconds = time.monotonic() - begun
        return ""

    failure = ask(invocation, session, f"account {address}")
    if failure:
        raise CommandFailed(failure)
    if invocation.json:
        print_json(as_json(report))
    else:
        print_report(report)
    return EXIT_FAILED if report.problems else EXIT_OK


def export_maildir(invocation: Invocation) -> int:
    """A Maildir++."""

    async def write(account: Account, found: list[Leaving], root: Path, bar: ProgressBar, report: Report) -> None:
        writer = MaildirWriter(account, root, bar)
        folders = leave.folder_names([each.state.name for each in found])
        for each in found:
            name = each.state.name
            try:
                lost = await writer.write(each, folders[name])
            except (NoSuchMailbox, NoSuchMessage):
                report.problems.append(f"mailbox {name} was changed while it was read: not all of it is there")
                continue
            report.mailboxes.append(each)
            if "." in name:
                report.notes.append(f"{name} is in {os.fsdecode(folders[name])}: a dot divides levels there")
            if lost:
                report.notes.append(f"{name}: {lost} keywords have no letter in a Maildir")
        writer.write_subscriptions(await account.subscriptions(), folders)

    return run_export(invocation, write)


def export_mbox(invocation: Invocation) -> int:
    """Files of the mailboxes' names."""

    async def write(account: Account, found: list[Leaving], root: Path, bar: ProgressBar, report: Report) -> None:
        writer = MboxWriter(account, root, bar)
        for each in found:
            try:
                await writer.write(each)
            except (NoSuchMailbox, NoSuchMessage):
                report.problems.append(f"mailbox {each.state.name} was changed while it was read: not all of it is there")
                continue
            report.mailboxes.append(each)

    return run_export(invocation, write)
