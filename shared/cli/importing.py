"""`pillarbox import maildir|mbox|eml ADDRESS PATH`: mail that was elsewhere moves in, and nobody's client notices."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from shared.cli.import_run import Course, Report, run_import
from shared.cli.importing_imap import IMAP_WORDS, import_imap
from shared.cli.invocation import CommandFailed, Invocation, WrongUse
from shared.cli.nouns import Verb, Word, add_noun
from shared.model.namespace import is_reserved
from shared.moving import tree
from shared.moving.account import Account
from shared.moving.arrive import Outcome, Survey, folder_sources, survey
from shared.moving.files import Collected, read_eml, read_mbox
from shared.moving.names import Layout
from shared.moving.uidl import DEFAULT_FORMAT, UidlFormat, UidlFormatError
from shared.moving.worker import Kind

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
        "move mail in from another server, or from its files",
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
        Verb("imap", import_imap, "move mail in from an IMAP server that runs; may be repeated, and stopped at any time", IMAP_WORDS),
        Verb("mbox", import_mbox, "move the messages of an mbox in; those that are here already stay", _file_words("FILE")),
        Verb("eml", import_eml, "move messages in: one file, or all .eml files below a folder", _file_words("PATH")),
    )


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

    return run_import(invocation, Course(look, names=lambda: names))


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

    return run_import(invocation, Course(look))


def _words(error: Exception, about: object) -> str:
    return f"{about}: {error.strerror}" if isinstance(error, OSError) else str(error)
