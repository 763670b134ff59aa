"""`pillarbox import imap HOST --user U --account ADDRESS`: an account of another IMAP server moves in while that runs.

Give the same command again whenever you like: what has come stays, what is new comes, and flags follow where nobody has touched them here.
"""

import getpass
import re
import sys
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from shared.cli.import_run import Course, Report, run_import
from shared.cli.invocation import CommandFailed, Invocation, WrongUse
from shared.cli.moving_progress import show_looking
from shared.cli.nouns import Word
from shared.moving.account import Account
from shared.moving.arrive import Outcome, Survey
from shared.moving.imap.choose import Choice, Chosen, Chosens, choose, own_name
from shared.moving.imap.framing import ServerViolation
from shared.moving.imap.login import Login, Server, Tls
from shared.moving.imap.pace import Pace
from shared.moving.imap.reader import ATTEMPTS, ImapReader
from shared.moving.imap.remembered import entry_name
from shared.moving.imap.session import ImapConnection, Line, Refused
from shared.moving.imap.survey import GMAIL, Looked, Surveyor, finish
from shared.moving.imap.uidls import Pop3Uidls
from shared.moving.names import FolderNameError
from shared.moving.uidl import DEFAULT_FORMAT, UidlFormat, UidlFormatError
from shared.moving.workers import SourceFailed, Workers
from shared.net.stream import ConnectionLost

MAX_JOBS: Final = 16
_IMAP_PORTS: Final = {Tls.IMPLICIT: 993, Tls.STARTTLS: 143, Tls.NONE: 143}
_POP3_PORTS: Final = {Tls.IMPLICIT: 995, Tls.STARTTLS: 110, Tls.NONE: 110}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^\s:\[\]]{1,253})(?::(\d{1,5}))?", re.ASCII)
_RATE: Final = re.compile(r"(\d{1,9})([kKmM]?)", re.ASCII)

IMAP_WORDS: Final[tuple[Word, ...]] = (
    ("host", {"metavar": "HOST[:PORT]"}),
    ("--account", {"metavar": "ADDRESS", "dest": "address", "required": True, "help": "whose mail it becomes here"}),
    ("--user", {"metavar": "USER", "required": True, "help": "whose mail it is there"}),
    ("--password-file", {"metavar": "FILE", "help": "its first line; without it the password is asked for"}),
    ("--master-user", {"metavar": "MASTER", "help": "who logs in for USER, with a password of its own (Dovecot, Cyrus)"}),
    ("--tls", {"choices": [str(tls) for tls in Tls], "default": str(Tls.IMPLICIT), "help": "none: on this machine alone"}),
    ("--ca-file", {"metavar": "FILE", "help": "whose certificates are trusted, instead of the system's authorities"}),
    ("--known-as", {"metavar": "HOST", "help": "what the old server was called in earlier imports, if it has another name now"}),
    ("--folder", {"metavar": "PATTERN", "action": "append", "default": [], "help": "only mailboxes like this: 'Projects/*'"}),
    ("--exclude", {"metavar": "PATTERN", "action": "append", "default": [], "help": "no mailboxes like this"}),
    ("--map", {"metavar": "OLD=NEW", "action": "append", "default": [], "help": "another name here"}),
    ("--keep-names", {"action": "store_true", "help": "'Sent Items' stays, and does not become our Sent"}),
    ("--pop3", {"metavar": "HOST[:PORT]", "help": "the old server's POP3, for the UIDLs of INBOX"}),
    ("--uidl-format", {"default": DEFAULT_FORMAT, "help": "Dovecot's pop3_uidl_format (default %%08Xu%%08Xv)"}),
    ("--new-uids", {"action": "store_true", "help": "do not keep UIDs: clients fetch everything again"}),
    ("--sync-deletions", {"action": "store_true", "help": "delete here what came from there and is gone there since"}),
    ("--jobs", {"metavar": "N", "type": int, "default": 3, "help": "connections side by side (default 3)"}),
    ("--rate", {"metavar": "OCTETS", "default": "0", "help": "no more than so much a second: 500k, 2M"}),
    ("--dry-run", {"action": "store_true", "help": "say what would be done, and do nothing"}),
    ("--no-quota", {"action": "store_true", "help": "do not mind the account's limits"}),
)


def parse_server(text: str, tls: Tls, ports: dict[Tls, int], ca_file: Path | None) -> Server:
    """Raises WrongUse."""
    match = _HOST.fullmatch(text)
    port = int(match[2] or ports[tls]) if match else 0
    if match is None or not 0 < port < 65536:
        raise WrongUse(f"{text}: HOST or HOST:PORT was expected")
    return Server(match[1].strip("[]"), port, tls, ca_file)


def parse_rate(text: str) -> int:
    """Octets a second. Raises WrongUse."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise WrongUse(f"--rate {text}: a number of octets was expected, or 500k, 2M")
    return int(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()]


def parse_choice(options: Any) -> Choice:
    """Raises WrongUse."""
    renamed: dict[str, str] = {}
    for text in options.map:
        old, equals, new = text.partition("=")
        if not old or not equals or not new:
            raise WrongUse(f"--map {text}: OLD=NEW was expected")
        renamed[old] = new
    return Choice(tuple(options.folder), tuple(options.exclude), renamed, options.keep_names)


def _password(options: Any) -> str:
    """Raises CommandFailed."""
    if options.password_file:
        try:
            with open(options.password_file, encoding="utf-8") as file:
                password = file.readline(2000).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"{options.password_file}: {error}") from None
    elif sys.stdin.isatty():
        password = getpass.getpass(f"Password of {options.master_user or options.user} there: ")
    else:
        password = sys.stdin.readline(2000).rstrip("\r\n")
    if not password:
        raise CommandFailed("no password was given")
    return password


def import_imap(invocation: Invocation) -> int:
    """All mailboxes of an account."""
    options = invocation.options
    tls = Tls(options.tls)
    ca_file = Path(options.ca_file) if options.ca_file else None
    server = parse_server(options.host, tls, _IMAP_PORTS, ca_file)
    pop3 = parse_server(options.pop3, tls, _POP3_PORTS, ca_file) if options.pop3 else None
    choice, rate = parse_choice(options), parse_rate(options.rate)
    if not 1 <= options.jobs <= MAX_JOBS:
        raise WrongUse(f"--jobs: from 1 to {MAX_JOBS}")
    try:
        uidl_format = UidlFormat(options.uidl_format)
    except UidlFormatError as error:
        raise WrongUse(str(error)) from None
    if uidl_format.needs_files:
        raise WrongUse("IMAP does not tell what %f and %g are: name the old server's POP3 with --pop3, or use import maildir")
    login = Login(options.user, _password(options), options.master_user or "")
    source = _Source(server, login, choice, uidl_format, options.jobs, Pace(rate), options, invocation.json)
    if pop3 is not None:
        source.pop3 = Pop3Uidls(pop3, login)
    return run_import(invocation, Course(source.look, source.reader, source.finish, lambda: source.subscribed))


@attrs.define
class _Source:
    """The old account, for one run."""

    server: Server
    login: Login
    choice: Choice
    uidl_format: UidlFormat
    jobs: int
    pace: Pace
    options: Any
    quiet: bool
    pop3: Pop3Uidls | None = None
    subscribed: list[str] = attrs.field(factory=list)
    looked: dict[int, Looked] = attrs.field(factory=dict)
    """By the identity of the outcome."""
    imap_reader: ImapReader | None = None
    report: Report | None = None

    async def look(self, account: Account, report: Report) -> list[tuple[Survey, Outcome]]:
        """Raises SourceFailed, StoreError."""
        self.report = report
        line = Line(self.server, self.login)
        try:
            try:
                chosens = await self._choose(await line.get(patient=False), account)
            except (ConnectionLost, ServerViolation, Refused) as error:
                raise SourceFailed(f"{self.server}: {error}") from None
            if not chosens.mailboxes:
                raise SourceFailed(f"{self.server}: it has no mailbox that is asked for")
            report.problems += chosens.problems
            report.notes += chosens.notes
            surveyor = Surveyor(account, self.uidl_format, self.options.new_uids, self.options.sync_deletions)
            total = len(chosens.mailboxes)
            for position, chosen in enumerate(chosens.mailboxes, 1):
                show_looking(position, total, quiet=self.quiet)
                await self._look_at(line, surveyor, chosen, report)
            show_looking(total + 1, total, quiet=self.quiet)
        finally:
            with trio.CancelScope(shield=True):
                await line.close()
        if self.pop3 is not None and self.pop3.unknown:
            report.notes.append(f"{self.pop3.unknown} messages of INBOX are not in POP3's list: clients that use POP3 fetch them")
        return [(each.survey, each.outcome) for each in self.looked.values()]

    async def _choose(self, connection: ImapConnection, account: Account) -> Chosens:
        namespaces = await connection.namespaces()
        listed = {each.wire: each for each in await connection.listed(b"*")}
        if namespaces.personal:
            # some servers list what is below a prefix only when asked for it
            listed |= {each.wire: each for each in await connection.listed(namespaces.personal + b"*")}
        ours = {info.special_use: info.name for info in await account.mailboxes() if info.special_use}
        chosens = choose(list(listed.values()), namespaces, self.choice, ours, knows_copies=GMAIL in connection.capabilities)
        names = {each.wire: each.name for each in chosens.mailboxes}
        for each in await connection.listed(b"*", b"LSUB"):
            try:
                name = names.get(each.wire) or own_name(each.wire, each.delimiter, namespaces.personal)
            except FolderNameError:
                continue
            if name in names.values():
                self.subscribed.append(name)
        return chosens

    async def _look_at(self, line: Line, surveyor: Surveyor, chosen: Chosen, report: Report) -> None:
        entry = entry_name(self.options.known_as or self.server.host, self.login.user, chosen.wire)
        words = ""
        for _ in range(ATTEMPTS):
            try:
                looked = await surveyor.look(await line.get(), chosen, entry, self.pop3)
                self.looked[id(looked.outcome)] = looked
                return
            except Refused as error:
                words = str(error)
                break
            except (ConnectionLost, ServerViolation) as error:
                line.drop()
                words = str(error)
        report.problems.append(f"mailbox {chosen.name} is left out: {words}")

    def reader(self, nursery: trio.Nursery, workers: Workers) -> ImapReader:
        """For what is missing."""
        uidvalidities = {each.chosen.wire: each.there.uidvalidity for each in self.looked.values()}
        self.imap_reader = ImapReader(
            nursery, self.server, self.login, workers, uidvalidities, jobs=self.jobs, pace=self.pace
        )
        return self.imap_reader

    async def finish(self, account: Account, _: Survey, outcome: Outcome) -> None:
        """A mailbox is through."""
        looked = self.looked[id(outcome)]
        exact = self.imap_reader is None or looked.chosen.wire not in self.imap_reader.inexact
        deleted = await finish(account, looked, exact=exact)
        if deleted and self.report is not None:
            self.report.notes.append(f"{looked.chosen.name}: {deleted} deleted here, as they are gone there")
