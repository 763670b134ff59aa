"""Parses one command.

RFC 3501 §9 and the extensions named at each function. ``parse_command`` is total: it returns a Command or raises CommandError with
the answer to give; no bytes make it raise anything else.
"""

from collections.abc import Callable
from typing import Final

import attrs

from services.imap.protocol.acl_grammar import parse_acl, parse_set_acl
from services.imap.protocol.append_grammar import (
    AppendArguments,
    BeginMessage,
    Place,
    Step,
    parse_append,
    parse_append_rest,
)
from services.imap.protocol.arguments import (
    Arguments,
    AuthenticateArguments,
    Command,
    CompressArguments,
    CopyArguments,
    CreateArguments,
    EnableArguments,
    IdArguments,
    LoginArguments,
    MailboxArguments,
    NoArguments,
    RenameArguments,
    SelectArguments,
    StatusArguments,
    StoreArguments,
    StoreMode,
    UidExpungeArguments,
)
from services.imap.protocol.fetch_grammar import parse_fetch
from services.imap.protocol.flag_grammar import parse_flag, parse_flag_list, without_recent
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.list_grammar import parse_list, parse_lsub, parse_status_items
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.metadata_grammar import parse_get_metadata, parse_set_metadata
from services.imap.protocol.notify_grammar import parse_notify
from services.imap.protocol.quota_grammar import parse_get_quota, parse_set_quota
from services.imap.protocol.responses import Reply, build_bad, build_no
from services.imap.protocol.resync_grammar import parse_select_parameters
from services.imap.protocol.search_commands import (
    parse_cancel_update,
    parse_esearch,
    parse_search,
    parse_sort,
    parse_thread,
)
from services.imap.protocol.sequence_set import SAVED_RESULT, InvalidSet, SequenceSet
from services.imap.protocol.sequence_set import parse as parse_set
from services.imap.protocol.tokens import MAX_NUMBER64, Refused, Scanner, SyntaxFault


@attrs.frozen
class CommandError(Exception):
    """The command cannot be run. ``tag`` is ``*`` when it could not be read."""

    tag: bytes
    reply: Reply


Parser = Callable[[Scanner, GrammarLimits], Arguments]


def _no_arguments(scanner: Scanner, limits: GrammarLimits) -> NoArguments:
    scanner.end()
    return NoArguments()


def _id(scanner: Scanner, limits: GrammarLimits) -> IdArguments:
    """RFC 2971 §3.1: at most 30 pairs, names of 30 octets, values of 1024."""
    scanner.space()
    fields: list[tuple[bytes, bytes | None]] = []
    if not scanner.take(b"("):
        if scanner.nstring() is not None:
            raise SyntaxFault("expected a list or NIL")
        scanner.end()
        return IdArguments(())
    scanner.skip_spaces()
    while not scanner.take(b")"):
        name = scanner.string()
        scanner.space()
        value = scanner.nstring()
        if len(fields) >= 30 or len(name) > 30 or (value is not None and len(value) > 1024):
            raise SyntaxFault("ID too long")
        fields.append((name, value))
        scanner.skip_spaces()
    scanner.end()
    return IdArguments(tuple(fields))


def _enable(scanner: Scanner, limits: GrammarLimits) -> EnableArguments:
    names: list[str] = []
    while not scanner.at_end():
        scanner.space()
        if scanner.at_end():
            break
        names.append(scanner.word())
        if len(names) > limits.list_items:
            raise SyntaxFault("too many capabilities")
    if not names:
        raise SyntaxFault("missing argument")
    return EnableArguments(tuple(names))


def _authenticate(scanner: Scanner, limits: GrammarLimits) -> AuthenticateArguments:
    scanner.space()
    mechanism = scanner.word()
    initial = None
    if not scanner.at_end():
        # RFC 4959 §3: [SP initial-resp]; base64 holds "=" and "+", which astrings allow
        scanner.space()
        initial = None if scanner.at_end() else scanner.astring()
    scanner.end()
    return AuthenticateArguments(mechanism, initial)


def _compress(scanner: Scanner, limits: GrammarLimits) -> CompressArguments:
    """RFC 4978 §5: compress = "COMPRESS" SP algorithm."""
    scanner.space()
    algorithm = scanner.word()
    scanner.end()
    return CompressArguments(algorithm)


def _login(scanner: Scanner, limits: GrammarLimits) -> LoginArguments:
    scanner.space()
    username = scanner.astring()
    scanner.space()
    password = scanner.astring()
    scanner.end()
    return LoginArguments(username, password)


def _select(scanner: Scanner, limits: GrammarLimits) -> SelectArguments:
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    return SelectArguments(mailbox, *parse_select_parameters(scanner, limits))


def _mailbox(scanner: Scanner, limits: GrammarLimits) -> MailboxArguments:
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.end()
    return MailboxArguments(mailbox)


def _create(scanner: Scanner, limits: GrammarLimits) -> CreateArguments:
    scanner.space()
    name = parse_mailbox(scanner, limits)
    special_use = ""
    scanner.skip_spaces()
    # RFC 6154 §3 and §6: create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
    if scanner.take(b"("):
        scanner.expect(b"USE")
        scanner.space()
        scanner.expect(b"(")
        uses: list[str] = []
        while not scanner.take(b")"):
            uses.append(scanner.flag())
            scanner.skip_spaces()
        scanner.expect(b")")
        if len(uses) > 1:
            raise Refused("one special use for each mailbox", "USEATTR")
        special_use = uses[0] if uses else ""
    scanner.end()
    # RFC 3501 §6.3.3: a trailing separator declares levels below; the name is made without it
    stripped = name.rstrip("/")
    return CreateArguments(stripped or name, stripped != name, special_use)


def _rename(scanner: Scanner, limits: GrammarLimits) -> RenameArguments:
    scanner.space()
    old = parse_mailbox(scanner, limits)
    scanner.space()
    new = parse_mailbox(scanner, limits)
    scanner.end()
    return RenameArguments(old.rstrip("/") or old, new.rstrip("/") or new)


def _status(scanner: Scanner, limits: GrammarLimits) -> StatusArguments:
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.space()
    items = parse_status_items(scanner, limits)
    scanner.end()
    return StatusArguments(mailbox, items)


def _append(scanner: Scanner, limits: GrammarLimits) -> Arguments:
    """Without a literal there is a message only where it is made of URLs (RFC 4469 §3)."""
    return parse_append(scanner, limits, offered=False, replacing=False)


def _replace(scanner: Scanner, limits: GrammarLimits) -> Arguments:
    return _one_message(parse_append(scanner, limits, offered=False, replacing=True))


def _one_message(arguments: AppendArguments) -> AppendArguments:
    """RFC 8508 §4.7: no REPLACE of several messages."""
    if sum(isinstance(step, BeginMessage) for step in arguments.steps) > 1:
        raise SyntaxFault("one message for each REPLACE")
    return arguments


def _set(scanner: Scanner, limits: GrammarLimits) -> SequenceSet:
    scanner.space()
    if scanner.take(b"$"):
        # RFC 5182 §3: sequence-set =/ seq-last-command
        return SAVED_RESULT
    try:
        return parse_set(scanner.sequence_text(), limits.set_ranges)
    except InvalidSet as error:
        raise SyntaxFault(str(error)) from error


def _fetch(scanner: Scanner, limits: GrammarLimits) -> Arguments:
    messages = _set(scanner, limits)
    scanner.space()
    return parse_fetch(scanner, limits, messages)


def _store(scanner: Scanner, limits: GrammarLimits) -> StoreArguments:
    messages = _set(scanner, limits)
    scanner.space()
    unchanged_since: int | None = None
    # RFC 7162 §3.1.3: store-modifier =/ "UNCHANGEDSINCE" SP mod-sequence-valzer
    if scanner.take(b"("):
        if scanner.word() != "UNCHANGEDSINCE":
            raise SyntaxFault("unknown STORE modifier")
        scanner.space()
        unchanged_since = scanner.number(MAX_NUMBER64)
        scanner.expect(b")")
        scanner.space()
    mode = StoreMode.ADD if scanner.take(b"+") else StoreMode.REMOVE if scanner.take(b"-") else StoreMode.REPLACE
    name = scanner.word()
    if name not in ("FLAGS", "FLAGS.SILENT"):
        raise SyntaxFault("expected FLAGS")
    scanner.space()
    if scanner.take(b"("):
        flags = parse_flag_list(scanner, limits)
    else:
        listed = [parse_flag(scanner)]
        while not scanner.at_end():
            scanner.space()
            if not scanner.at_end():
                listed.append(parse_flag(scanner))
        flags = tuple(listed)
    scanner.end()
    return StoreArguments(messages, mode, name.endswith(".SILENT"), without_recent(flags), unchanged_since)


def _copy(scanner: Scanner, limits: GrammarLimits) -> CopyArguments:
    messages = _set(scanner, limits)
    scanner.space()
    mailbox = parse_mailbox(scanner, limits)
    scanner.end()
    return CopyArguments(messages, mailbox)


def _uid_expunge(scanner: Scanner, limits: GrammarLimits) -> UidExpungeArguments:
    messages = _set(scanner, limits)
    scanner.end()
    return UidExpungeArguments(messages)


PARSERS: Final[dict[str, Parser]] = {
    "CAPABILITY": _no_arguments,
    "NOOP": _no_arguments,
    "LOGOUT": _no_arguments,
    "ID": _id,
    "STARTTLS": _no_arguments,
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "SELECT": _select,
    "EXAMINE": _select,
    "CREATE": _create,
    "DELETE": _mailbox,
    "RENAME": _rename,
    "SUBSCRIBE": _mailbox,
    "UNSUBSCRIBE": _mailbox,
    "LIST": parse_list,
    "LSUB": parse_lsub,
    "STATUS": _status,
    "APPEND": _append,
    "NAMESPACE": _no_arguments,
    "GETACL": _mailbox,
    "SETACL": parse_set_acl,
    "DELETEACL": parse_acl,
    "LISTRIGHTS": parse_acl,
    "MYRIGHTS": _mailbox,
    "GETMETADATA": parse_get_metadata,
    "SETMETADATA": parse_set_metadata,
    "GETQUOTA": parse_get_quota,
    "GETQUOTAROOT": _mailbox,
    "SETQUOTA": parse_set_quota,
    "NOTIFY": parse_notify,
    "ENABLE": _enable,
    "IDLE": _no_arguments,
    "COMPRESS": _compress,
    "UNAUTHENTICATE": _no_arguments,
    "CHECK": _no_arguments,
    "CLOSE": _no_arguments,
    "UNSELECT": _no_arguments,
    "EXPUNGE": _no_arguments,
    "SEARCH": parse_search,
    "SORT": parse_sort,
    "THREAD": parse_thread,
    "ESEARCH": parse_esearch,
    "CANCELUPDATE": parse_cancel_update,
    "FETCH": _fetch,
    "STORE": _store,
    "COPY": _copy,
    "MOVE": _copy,
    "UID SEARCH": parse_search,
    "UID SORT": parse_sort,
    "UID THREAD": parse_thread,
    "UID ESEARCH": parse_esearch,
    "UID FETCH": _fetch,
    "UID STORE": _store,
    "UID COPY": _copy,
    "UID MOVE": _copy,
    "UID EXPUNGE": _uid_expunge,
    "REPLACE": _replace,
    "UID REPLACE": _replace,
}


def parse_name(frame: CommandFrame, *, utf8: bool = False) -> tuple[bytes, str, Scanner]:
    """Tag and name, with the scanner behind them. Raises CommandError."""
    scanner = Scanner(frame, utf8=utf8)
    tag = b"*"
    try:
        tag = scanner.tag()
        scanner.space()
        name = scanner.word()
        if name == "UID":
            scanner.space()
            name = "UID " + scanner.word()
    except SyntaxFault as error:
        raise CommandError(tag, build_bad(f"Not a command: {error}")) from error
    return tag, name, scanner


def parse_command(frame: CommandFrame, limits: GrammarLimits) -> Command:
    """Raises CommandError."""
    tag, name, scanner = parse_name(frame, utf8=limits.utf8_names)
    parser = PARSERS.get(name)
    if parser is None:
        raise CommandError(tag, build_bad("Unknown command"))
    return Command(tag, name, _guard(tag, parser, scanner, limits))


def parse_append_command(frame: CommandFrame, limits: GrammarLimits) -> Command:
    """An APPEND or REPLACE that has come to the first literal of a message. Raises CommandError."""
    tag, name, scanner = parse_name(frame, utf8=limits.utf8_names)
    replacing = name != "APPEND"

    def parser(scanner: Scanner, limits: GrammarLimits) -> Arguments:
        arguments = parse_append(scanner, limits, offered=True, replacing=replacing)
        return _one_message(arguments) if replacing else arguments

    return Command(tag, name, _guard(tag, parser, scanner, limits))


def parse_append_piece(
    frame: CommandFrame, limits: GrammarLimits, place: Place, *, offered: bool
) -> tuple[tuple[Step, ...], Place]:
    """What stands behind a literal of a message. Raises CommandError; its tag is the caller's to know."""
    try:
        return parse_append_rest(Scanner(frame, utf8=limits.utf8_names), limits, place, offered=offered)
    except SyntaxFault as error:
        raise CommandError(b"*", build_bad(str(error).capitalize())) from error
    except Refused as error:
        raise CommandError(b"*", build_no(error.text.capitalize(), error.code)) from error


def _guard(tag: bytes, parser: Parser, scanner: Scanner, limits: GrammarLimits) -> Arguments:
    try:
        return parser(scanner, limits)
    except SyntaxFault as error:
        raise CommandError(tag, build_bad(str(error).capitalize())) from error
    except Refused as error:
        raise CommandError(tag, build_no(error.text.capitalize(), error.code)) from error
