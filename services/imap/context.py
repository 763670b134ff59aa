"""What a command works on: the session's state, its client, the store, and what the process shares.

Commands change ``state``, ``selected`` and the like through the methods here only.
"""

import math
import ssl
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import attrs
import trio

from services.imap.accounts import Accounts
from services.imap.client import Client
from services.imap.limits import SessionLimits
from services.imap.protocol.arguments import Arguments, Command
from services.imap.protocol.capability import IMPLIED, Extension, capabilities
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.responses import Reply, build_untagged, describe_flags
from services.imap.protocol.sequence_set import InvalidSet, SequenceSet
from services.imap.protocol.state import State
from services.imap.reading import Place
from services.imap.rendered import RenderedCache
from services.imap.search_contexts import Items, SearchContexts
from services.imap.seats import Seat
from services.imap.updates import Dialect, Selected
from services.imap.view import Columns
from services.imap.views import View, Views
from shared.model.ids import AccountId, Grant, MailboxId
from shared.model.rights import Rights
from shared.observe.log import Logger
from shared.rpc.store_client import StoreClient


class CommandFailed(Exception):
    """Ends a command with a reply; raised by whatever finds out first."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class AccountCounter:
    """Connections of each account in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[AccountId, int] = {}

    def acquire(self, account: AccountId) -> bool:
        count = self._open.get(account, 0)
        if count >= self._limit:
            return False
        self._open[account] = count + 1
        return True

    def release(self, account: AccountId) -> None:
        count = self._open[account] - 1
        if count:
            self._open[account] = count
        else:
            del self._open[account]


@attrs.frozen(eq=False)
class Shared:
    """What all sessions of the process share."""

    store: StoreClient
    views: Views
    watched: Accounts
    rendered: RenderedCache
    limits: SessionLimits
    log: Logger
    accounts: AccountCounter
    spool: Path
    """A directory for messages that are too large to be kept in memory while they come in."""
    tls: Callable[[], ssl.SSLContext] | None
    """None: this server has no certificate and offers no STARTTLS."""
    passwords_without_tls: Callable[[str], bool]
    """Whether a client address may send a password in the clear (``auth.plaintext_networks``)."""
    count: Callable[[str, str], None]
    """Counts a command by its name and the status of its reply."""
    version: str = "0"


@attrs.define(eq=False)
class Login:
    account: AccountId
    address: str
    grant: Grant


class Teller(Protocol):
    """Decides what is told unasked, after NOTIFY (RFC 5465)."""

    expunges_at_once: bool

    @property
    def items_of_new(self) -> Items: ...
    def render_selected(self, selected: Selected, *, expunge: bool, say_modseq: bool) -> bytes: ...
    async def write_news(self) -> None: ...
    async def after_command(self, command: Command, reply: Reply) -> None: ...
    def close(self) -> None: ...


class Context:
    """One session."""

    def __init__(self, shared: Shared, client: Client) -> None:
        self.shared = shared
        self.store = shared.store
        self.limits = shared.limits
        self.client = client
        self.state = State.NOT_AUTHENTICATED
        self.selected: Selected | None = None
        self.enabled: set[Extension] = set()
        """What this session has turned on, by ENABLE (RFC 5161) or by a command that does the same."""
        self.failed_logins = 0
        self.banned = False
        """A login was refused unheard: the connection ends."""
        self.message_announced: tuple[int, bool] | None = None
        """While an APPEND waits at a literal of its message that nobody has taken yet: octets, synchronizing."""
        self.idling = False
        """Inside IDLE: the session may be ended at any time."""
        self.changed = trio.Event()
        """Set when the selected mailbox has news; replaced by whoever waits for it."""
        self._plain_passwords = shared.passwords_without_tls(client.peer_ip)
        self.teller: Teller | None = None
        """After NOTIFY."""
        self.contexts: SearchContexts | None = None
        """RFC 5267 §4.3: the searches of the selected mailbox that are kept up to date."""
        self.own_uids: frozenset[int] = frozenset()
        """Messages that the command that runs has filed in the selected mailbox."""
        self._login: Login | None = None
        self._view: View | None = None
        self._seat: Seat | None = None
        self._await_login()

    # --- login ---

    @property
    def login(self) -> Login:
        if self._login is None:
            raise RuntimeError("no login in this state")
        return self._login

    @property
    def grant(self) -> Grant:
        return self.login.grant

    @property
    def logged_in(self) -> bool:
        return self._login is not None

    def _await_login(self) -> None:
        """RFC 3501 §5.4: whoever does not log in is not waited for long."""
        self.client.set_limits(self.limits.before_login)
        self.client.input_deadline = trio.current_time() + self.limits.unauthenticated_seconds

    def leave(self) -> None:
        """RFC 8437 §4.1: as a new connection, but for TLS and the count of failed logins. A test compares."""
        self._give_back()
        self.enabled = set()
        self.state = State.NOT_AUTHENTICATED
        self._await_login()

    def enter(self, login: Login) -> None:
        """The login succeeded and was counted."""
        self._login = login
        self.state = State.AUTHENTICATED
        self.client.set_limits(self.limits.after_login)
        self.client.input_deadline = math.inf

    @property
    def may_send_password(self) -> bool:
        """RFC 3501 §6.2.3: LOGINDISABLED where this is not so."""
        return self.client.secure or self._plain_passwords

    def capabilities(self) -> tuple[str, ...]:
        return capabilities(
            message_limit=self.limits.messages_per_command,
            append_limit=self.limits.message_octets,
            logged_in=self.logged_in,
            tls=self.client.secure,
            starttls=self.shared.tls is not None,
            passwords=self.may_send_password,
            binding=bool(self.client.bindings),
            compressed=self.client.compressed,
        )

    def enable(self, extension: Extension) -> bool:
        """Turn an extension on, with what it implies; whether it was off."""
        new = extension not in self.enabled
        self.enabled |= {extension, *IMPLIED.get(extension, ())}
        if self.selected is not None and new:
            self.selected.speak(self.dialect)
        return new

    @property
    def grammar(self) -> GrammarLimits:
        """How this client's commands are read."""
        if not self.enabled:
            return self.limits.grammar
        return attrs.evolve(self.limits.grammar, utf8_names=self.utf8_names, utf8_accept=self.utf8, no_recent=self.rev2)

    @property
    def dialect(self) -> Dialect:
        """How changes of a mailbox are told to this client."""
        return Dialect(
            modseq=self.condstore,
            vanished=self.qresync or self.uidonly,
            by_uid=self.uidonly,
            recent=not self.rev2,
            resyncs=self.qresync,
        )

    @property
    def condstore(self) -> bool:
        """RFC 7162 §3.1: the client has shown that it knows CONDSTORE; MODSEQ is in every FETCH from then on."""
        return Extension.CONDSTORE in self.enabled

    @property
    def rev2(self) -> bool:
        """RFC 9051 §6.3.1: the client speaks IMAP4rev2 now: no \\Recent, no RECENT, ESEARCH, mailbox names in UTF-8."""
        return Extension.IMAP4REV2 in self.enabled

    @property
    def utf8(self) -> bool:
        """RFC 6855 §3: UTF8=ACCEPT is on: message headers and quoted strings may hold UTF-8."""
        return Extension.UTF8 in self.enabled

    @property
    def utf8_names(self) -> bool:
        """Whether mailbox names are told in UTF-8 instead of modified UTF-7 (RFC 9051 §5.1, RFC 6855 §3)."""
        return self.rev2 or self.utf8

    @property
    def qresync(self) -> bool:
        """RFC 7162 §3.2.3: VANISHED instead of EXPUNGE."""
        return Extension.QRESYNC in self.enabled

    @property
    def uidonly(self) -> bool:
        """RFC 9586 §3: no message sequence number goes either way; UIDFETCH and VANISHED."""
        return Extension.UIDONLY in self.enabled

    # --- the selected mailbox ---

    @property
    def mailbox(self) -> Selected:
        """The selected mailbox; the table of commands has seen to it that there is one."""
        if self.selected is None:
            raise RuntimeError("no mailbox in this state")
        return self.selected

    @property
    def columns(self) -> Columns:
        return self.mailbox.columns

    @property
    def mailbox_id(self) -> MailboxId:
        return self.mailbox.columns.mailbox_id

    @property
    def place(self) -> Place:
        """The selected mailbox, to be searched."""
        return Place(self.store, self.grant, self.mailbox_id, self.columns.uidvalidity, self.shared.rendered)

    @property
    def view(self) -> View:
        if self._view is None:
            raise RuntimeError("no mailbox in this state")
        return self._view

    def open_mailbox(self, view: View, *, read_only: bool, first_recent_uid: int, seat: Seat | None = None) -> Selected:
        """Enter the selected state with an acquired view; ``seat``: what the session may do there, None: everything."""
        self._view = view
        self._seat = Seat(self.grant) if seat is None else seat
        view.attach(self.wake, self._seat)
        self.selected = Selected(view, read_only=read_only, first_recent_uid=first_recent_uid, dialect=self.dialect)
        self.contexts = SearchContexts(self.selected)
        self.state = State.SELECTED
        return self.selected

    def close_mailbox(self) -> None:
        """Back to the authenticated state; harmless when nothing is selected."""
        if self._view is not None:
            self._view.detach(self.wake)
            self.shared.views.release(self._view)
            self._view = None
            self._seat = None
            self.selected = None
            self.contexts = None
            self.own_uids = frozenset()
            self.state = State.AUTHENTICATED

    @property
    def mailbox_lost(self) -> bool:
        """The selected mailbox or the login is gone; the session must end."""
        return self._view is not None and (self._view.lost is not None or self.seat.lost is not None)

    @property
    def seat(self) -> Seat:
        if self._seat is None:
            raise RuntimeError("no mailbox in this state")
        return self._seat

    @property
    def rights(self) -> Rights:
        """What the session may do with the selected mailbox; after EXAMINE it still does not."""
        return self.seat.rights

    def write_flags(self) -> None:
        """FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1; RFC 4314 §5.1.1: as the rights are)."""
        self.seat.told = self.seat.rights
        self.client.write(describe_flags(self.columns.keywords, self.seat.rights, read_only=self.mailbox.read_only))

    def wake(self) -> None:
        """There may be something to tell."""
        self.changed.set()

    def resolve(self, messages: SequenceSet, *, by_uid: bool) -> list[tuple[int, int]]:
        """Positions in the session's mapping. Raises CommandFailed (BAD) for a number that is not there."""
        try:
            return self.mailbox.resolve(messages, by_uid=by_uid)
        except InvalidSet as error:
            # RFC 3501 §9: a message sequence number above the mailbox's size is a client's mistake; RFC 5530 §3 CLIENTBUG
            raise CommandFailed(Reply("BAD", str(error).capitalize(), "CLIENTBUG")) from error

    def within_limit(self, uids: "array[int]") -> "array[int]":
        """RFC 9738 §3: of too many messages those with the highest UIDs; ``say_limit`` tells the client."""
        limit = self.limits.messages_per_command
        return uids if len(uids) <= limit else uids[-limit:]

    def say_limit(self, reply: Reply, asked: "array[int]", done: "array[int]") -> Reply:
        """The reply to a command that worked on ``done`` of ``asked``: with MESSAGELIMIT and the lowest UID where those differ."""
        if len(done) == len(asked):
            return reply
        code = f"MESSAGELIMIT {self.limits.messages_per_command} {done[0]}"
        if not reply.code:
            return attrs.evolve(reply, code=code)
        # RFC 9738 §3: in an untagged NO where the reply has another code
        self.client.write(build_untagged("NO", "Only some of the messages were worked on", code))
        return reply

    def note_filed(self, uids: Sequence[int]) -> None:
        """The command that runs has filed messages in the selected mailbox: the client is not told what they are (RFC 5465 §5.2)."""
        if self.teller is not None or self.contexts:
            self.own_uids |= frozenset(uids)

    def close(self) -> None:
        """The session is over: give everything back."""
        self._give_back()
        self.state = State.LOGOUT

    def set_teller(self, teller: Teller | None) -> None:
        """From now on ``teller`` says what is told unasked."""
        if self.teller is not None:
            self.teller.close()
        self.teller = teller

    def _give_back(self) -> None:
        self.set_teller(None)
        self.close_mailbox()
        if self._login is not None:
            self.shared.accounts.release(self._login.account)
            self._login = None


_A = TypeVar("_A", bound=Arguments)


def arguments_of(command: Command, kind: type[_A]) -> _A:
    """A command's arguments as the class that its parser makes."""
    if not isinstance(command.arguments, kind):
        raise TypeError(f"{command.name} has {type(command.arguments).__name__}")
    return command.arguments
