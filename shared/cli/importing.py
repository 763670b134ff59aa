"""`pillarbox import maildir|mbox|eml ADDRESS PATH`: mail that was elsewhere moves in, and nobody's client notices.

An import changes nothing that is here, and may be repeated at any time: the last time when the old server has stopped.
"""

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from shared.cli.account import check_address
from shared.cli.environment import python_path
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, CommandFailed, Invocation, WrongUse
from shared.cli.moving_progress import ProgressBar, time_text
from shared.cli.nouns import Verb, Word, add_noun
from shared.cli.output import print_json, print_table, printable, size_text
from shared.cli.store_access import StoreClient, ask
from shared.errors import InvalidMailboxName, LimitExceeded, OverQuota
from shared.model.namespace import is_reserved
from shared.moving import tree
from shared.moving.account import Account
from shared.moving.arrive import Arrival, Outcome, Survey, folder_sources, survey
from shared.moving.files import Collected, read_eml, read_mbox
from shared.moving.names import Layout
from shared.moving.uidl import DEFAULT_FORMAT, UidlFormat, UidlFormatError
from shared.moving.worker import Kind
from shared.moving.workers import Workers, WorkersFailed

SHOWN_PROBLEMS: Final = 20
_RESERVED: Final = "other accounts' mailboxes are there"
_ADDRESS: Final[Word] = ("address", {"metavar": "ADDRESS"})
_COMMON: Final[tuple[Word, ...]] = (
    ("--dry-run", {"action": "store_true", "help": "say what would be done, and do nothing"}),
    ("--no-quota", {"action": "store_true", "help": "do not mind the account's limits"}),
)


def _file_words(path: str) -> tuple[Word, ...]:
    mailbox: Word = ("--mailbox", {"metavar": "NAME", "required": True, "help": "where they go; made if need be"})
    return (_ADDRESS, ("path", {"metavar": path}), mailbox, *_COMMON)


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    add_noun(
        nouns,
        "import",
        "move mail in from another server's files",
        Verb(
            "maildir",
            import_maildir,
            "move a Maildir in with its UIDs, flags, dates and POP3 UIDLs (Dovecot); may be repeated",
            (
                _ADDRESS,
                ("path", {"metavar": "DIR"}),
                *_COMMON,
                ("--layout", {"choices": [str(layout) for layout in Layout], "default": str(Layout.MAILDIR), "help": "how folders lie"}),
                ("--uidl-format", {"default": DEFAULT_FORMAT, "help": "Dovecot's pop3_uidl_format (default %%08Xu%%08Xv)"}),
                ("--control", {"metavar": "DIR", "help": "where Dovecot keeps its lists, if mail_location has CONTROL="}),
                ("--new-uids", {"action": "store_true", "help": "pass over dovecot-uidlist: clients fetch everything again"}),
            ),
        ),
        Verb("mbox", import_mbox, "move the messages of an mbox in; those that are here already stay", _file_words("FILE")),
        Verb("eml", import_eml, "move messages in: one file, or all .eml files below a folder", _file_words("PATH")),
    )


@attrs.define
class Report:
    """What an import did, or would do."""

    address: str
    dry_run: bool
    outcomes: list[Outcome] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    """What was left out."""
    notes: list[str] = attrs.field(factory=list)
    subscribed: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something was left out."""
        return bool(self.problems) or any(outcome.left_out for outcome in self.outcomes)


def as_json(report: Report) -> dict[str, Any]:
    """Stable fields."""
    problems = [*report.problems, *(problem for outcome in report.outcomes for problem in outcome.problems)]
    return {
        "address": report.address,
        "dry_run": report.dry_run,
        "mailboxes": [
            {
                "name": each.name, "messages": each.messages, "filed": each.filed, "octets": each.octets, "same": each.same,
                "flags": each.flags, "deleted": each.deleted, "renewed": each.renewed, "keeps_uids": each.keeps_uids,
                "left_out": each.left_out,
            }
            for each in report.outcomes
        ],
        "subscribed": report.subscribed,
        "problems": problems,
        "notes": report.notes,
        "seconds": round(report.seconds, 3),
    }  # fmt: skip


def print_report(report: Report) -> None:
    """A table, and what was left out."""
    rows = [
        (
            each.name, each.messages, each.filed, each.same, each.flags, each.deleted, each.left_out,
            f"{each.renewed} new" if each.renewed else "kept" if each.keeps_uids else "own",
        )
        for each in report.outcomes
    ]  # fmt: skip
    print_table(("MAILBOX", "MESSAGES", "TO FILE" if report.dry_run else "FILED", "HERE", "FLAGS", "DELETED", "LEFT OUT", "UIDS"), rows)
    filed = sum(each.filed for each in report.outcomes)
    octets = sum(each.octets for each in report.outcomes)
    if report.dry_run:
        print(f"{filed} messages would be filed, about {size_text(octets)}; nothing was done")
    else:
        print(f"{filed} messages filed, {size_text(octets)}, in {time_text(report.seconds)}")
    for note in report.notes[:SHOWN_PROBLEMS]:
        print(printable(note))
    problems = as_json(report)["problems"]
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"pillarbox: {printable(problem)}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"pillarbox: and {len(problems) - SHOWN_PROBLEMS} more (--json tells all)", file=sys.stderr)


Surveyor = Callable[[Account, Report], Awaitable[list[tuple[Survey, Outcome]]]]


def run_import(invocation: Invocation, look: Surveyor, names: Sequence[str] = ()) -> int:
    """Look at everything, then file what is missing, then subscribe ``names``."""
    address = check_address(invocation.options.address)
    report = Report(address, invocation.options.dry_run)

    async def session(store: StoreClient) -> str:
        begun = time.monotonic()
        account = await Account.enter(store, address)
        surveyed = await look(account, report)
        report.outcomes = [outcome for _, outcome in surveyed]
        try:
            if report.dry_run:
                _foretell(surveyed)
            else:
                if not invocation.options.no_quota:
                    await check_room(store, address, [each for each, _ in surveyed])
                await _arrive(invocation, account, surveyed, report)
                report.subscribed = await _subscribe(account, names, report)
        except (OverQuota, _Refused) as error:
            detail = error.detail if isinstance(error, OverQuota) else str(error)
            return f"over the account's limit ({detail}): set another one (pillarbox quota set), or use --no-quota"
        except WorkersFailed as error:
            return f"{error}; import again to go on"
        finally:
            report.seconds = time.monotonic() - begun
        return ""

    failure = ask(invocation, session, f"account {address}")
    if invocation.json:
        print_json({**as_json(report), "failure": failure})
    elif report.outcomes:
        print_report(report)
    if failure:
        raise CommandFailed(failure)
    return EXIT_FAILED if report.failed else EXIT_OK


class _Refused(Exception):
    """There is no room for all of it."""


async def check_room(store: StoreClient, address: str, surveyed: Sequence[Survey]) -> None:
    """Raises _Refused before anything is filed."""
    quota = await store.admin.quota_show(address)
    messages = quota.messages + sum(len(each.plan.wanted) for each in surveyed)
    octets = quota.octets + sum(each.octets for each in surveyed)
    if quota.most_messages is not None and messages > max(quota.most_messages, quota.messages):
        raise _Refused(f"{messages} messages of {quota.most_messages}")
    if quota.most_octets is not None and octets > max(quota.most_octets, quota.octets):
        raise _Refused(f"{size_text(octets)} of {size_text(quota.most_octets)}")


def _foretell(surveyed: Sequence[tuple[Survey, Outcome]]) -> None:
    for each, outcome in surveyed:
        plan = each.plan
        outcome.filed, outcome.octets = len(plan.wanted), each.octets
        outcome.renewed, outcome.same, outcome.deleted = len(plan.renewed), plan.same, plan.deleted
        outcome.flags = sum(map(len, plan.flags.values()))


async def _arrive(
    invocation: Invocation, account: Account, surveyed: Sequence[tuple[Survey, Outcome]], report: Report
) -> None:
    wanted = sum(len(each.plan.wanted) for each, _ in surveyed)
    bar = ProgressBar(wanted, sum(each.octets for each, _ in surveyed), quiet=invocation.json)
    environment = {**invocation.environ, "PYTHONPATH": python_path(invocation.environ)}
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery, os.cpu_count() or 1, environment)
            arrival = Arrival(account, workers, bar, over_quota=invocation.options.no_quota)
            # an error is kept and raised below, so that it does not travel in exception groups
            try:
                await _arrive_each(arrival, surveyed, report)
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        bar.end()
    if failure is not None:
        raise failure


async def _arrive_each(arrival: Arrival, surveyed: Sequence[tuple[Survey, Outcome]], report: Report) -> None:
    for each, outcome in surveyed:
        try:
            await arrival.run(each, outcome)
        except (InvalidMailboxName, LimitExceeded) as error:
            report.problems.append(f"mailbox {each.name} is left out: {error.detail or error.code}")


async def _subscribe(account: Account, names: Sequence[str], report: Report) -> int:
    """Names that are not subscribed yet; how many."""
    known = set(await account.subscriptions()) if names else set()
    count = 0
    for name in names:
        if name not in known:
            try:
                await account.subscribe(name)
                count += 1
            except (InvalidMailboxName, LimitExceeded) as error:
                report.problems.append(f"{name} is not subscribed: {error.detail or error.code}")
    return count


def import_maildir(invocation: Invocation) -> int:
    """All folders of a Maildir."""
    options = invocation.options
    root, layout = Path(options.path), Layout(options.layout)
    control = None if options.control is None else Path(options.control)
    try:
        uidl_format = UidlFormat(options.uidl_format)
    except UidlFormatError as error:
        raise WrongUse(str(error)) from None
    try:
        found = tree.find_folders(root, layout)
        names = tree.read_subscriptions(control or root, layout)
    except (tree.TreeError, OSError) as error:
        raise CommandFailed(_words(error, root)) from None

    async def look(account: Account, report: Report) -> list[tuple[Survey, Outcome]]:
        report.problems += found.problems
        report.notes += found.notes
        surveyed = []
        seen: set[str] = set()
        for folder in found.folders:
            if is_reserved(folder.name):
                report.problems.append(f"mailbox {folder.name} is left out: {_RESERVED}")
                continue
            try:
                lists = b"" if control is None else tree.control_of(folder, root, control, layout)
                read = partial(tree.read_folder, folder, new_uids=options.new_uids, control=lists)
                content = await trio.to_thread.run_sync(read)
            except (tree.TreeError, OSError) as error:
                report.problems.append(f"mailbox {folder.name} is left out: {_words(error, folder.name)}")
                continue
            report.problems += content.problems
            if content.uidlist is None and content.files and not options.new_uids:
                report.notes.append(f"mailbox {folder.name} has no dovecot-uidlist: clients fetch it again")
            if folder.name.upper() in seen:
                report.notes.append(f"folder {tree.shown(folder.path)} goes into {folder.name}, too: its messages get new UIDs")
                content = attrs.evolve(content, uidlist=None)
            seen.add(folder.name.upper())
            surveyed.append(await _survey_folder(account, folder, content, uidl_format))
        return surveyed

    return run_import(invocation, look, names)


async def _survey_folder(
    account: Account, folder: tree.Folder, content: tree.FolderContent, uidl_format: UidlFormat
) -> tuple[Survey, Outcome]:
    sources, wanted = folder_sources(folder.path, content, uidl_format)
    uidlist = content.uidlist
    each = await survey(
        account,
        folder.name,
        sources,
        wanted,
        uidvalidity=uidlist.uidvalidity if uidlist is not None else 0,
        uid_next=uidlist.uid_next if uidlist is not None else 0,
    )
    return each, Outcome(folder.name, len(sources), keeps_uids=each.keeps_uids)


def import_mbox(invocation: Invocation) -> int:
    """One file into one mailbox."""
    return _import_files(invocation, read_mbox, Kind.MBOX)


def import_eml(invocation: Invocation) -> int:
    """Files into one mailbox."""
    return _import_files(invocation, read_eml, Kind.EML)


def _import_files(invocation: Invocation, read: Callable[[Path], Collected], kind: Kind) -> int:
    path, name = Path(invocation.options.path), invocation.options.mailbox
    if is_reserved(name):
        raise CommandFailed(f"mailbox {name}: {_RESERVED}")
    try:
        collected = read(path)
    except (tree.TreeError, OSError) as error:
        raise CommandFailed(_words(error, path)) from None

    async def look(account: Account, report: Report) -> list[tuple[Survey, Outcome]]:
        each = await survey(account, name, collected.sources, collected.wanted, dates=collected.dates, kind=kind)
        return [(each, Outcome(name, len(collected.sources)))]

    return run_import(invocation, look)


def _words(error: Exception, about: object) -> str:
    return f"{about}: {error.strerror}" if isinstance(error, OSError) else str(error)
