"""What a session tells on its own after NOTIFY: which changes of the selected mailbox, and what happens in all others.

Laws:
- Other mailboxes are told of between commands only, and in IDLE: nothing comes in the middle of a command's responses (RFC 5465 §3.1).
- In the selected mailbox nothing is told that was not asked for, but for what a command of this client itself expunges.
- Whoever cannot be told any more what it missed is told that (NOTIFICATIONOVERFLOW, §5.8), and from then on nothing.
"""

from typing import Final

from services.imap.accounts import WatchedAccount
from services.imap.context import Context
from services.imap.interest import Interest, canonical_name
from services.imap.news import NOTHING_OWN, Listener, Own, render_denied, render_news, render_states
from services.imap.protocol import arguments as given
from services.imap.protocol.append_grammar import AppendArguments
from services.imap.protocol.arguments import Command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.metadata_grammar import SetMetadataArguments
from services.imap.protocol.notify_arguments import NotifyArguments, NotifyEvent
from services.imap.protocol.responses import Reply, build_untagged
from services.imap.protocol.sequence_set import InvalidSet, parse
from services.imap.search_contexts import Items
from services.imap.updates import Selected
from shared.errors import StoreError

_OVERFLOW: Final = build_untagged(
    "OK", "Too much has happened: ask again for what is of interest", "NOTIFICATIONOVERFLOW"
)
_REMOVING: Final = frozenset({"EXPUNGE", "UID EXPUNGE", "MOVE", "UID MOVE", "REPLACE", "UID REPLACE"})
_FILING: Final = frozenset({"APPEND", "COPY", "UID COPY"})


class Notifications:
    """Of one session, from one NOTIFY to the next."""

    def __init__(self, context: Context, arguments: NotifyArguments) -> None:
        self._context = context
        self._interest = Interest(arguments.groups)
        self.expunges_at_once = self._interest.expunges_at_once
        self._account: WatchedAccount | None = None
        self._generation = 0
        self._late = b""
        """News that were rendered after a command of this client, to be told when it is over."""
        self._removing = False
        self._denied: set[str] = set()

    async def start(self) -> None:
        """Begin to watch. Raises StoreError."""
        if self._interest.watches_account:
            context = self._context
            accounts = context.shared.watched
            self._account = await accounts.acquire(context.login.account, context.grant, self._wake)
            self._generation = self._account.generation

    def _wake(self) -> None:
        # of its own for each NOTIFY: the next one begins to watch before this one ends
        self._context.wake()

    def close(self) -> None:
        """Watch no more."""
        account, self._account = self._account, None
        if account is not None:
            self._context.shared.watched.release(self._context.login.account, account, self._wake)

    def _listener(self) -> Listener:
        context = self._context
        selected = context.mailbox_id if context.selected is not None else None
        return Listener(self._interest, selected, context.condstore, context.utf8_names, self._denied)

    # --- other mailboxes ---

    async def write_states(self, *, status: bool) -> None:
        """RFC 5465 §3.1: what may not be watched; with the STATUS indicator, how all others are."""
        if self._account is not None:
            listener = self._listener()
            lines = render_denied(self._account, listener)
            if status:
                lines += render_states(self._account, listener)
            for line in lines:
                self._context.client.write(line)
                await self._context.client.drain()

    async def write_news(self) -> None:
        """What happened outside of the selected mailbox."""
        data, self._late = self._late + self._render(NOTHING_OWN), b""
        if data:
            self._context.client.write(data)
            await self._context.client.drain()

    def _render(self, own: Own) -> bytes:
        account = self._account
        if account is None:
            return b""
        entries = account.changes_since(self._generation)
        self._generation = account.generation
        if entries is not None and account.lost is None:
            return render_news(account, entries, self._listener(), own)
        # RFC 5465 §5.8: as if NOTIFY NONE had come
        self.close()
        self._interest = Interest(())
        return _OVERFLOW

    async def after_command(self, command: Command, reply: Reply) -> None:
        """RFC 5465 §5: a client is not told what it did itself."""
        self._removing = command.name in _REMOVING
        if reply.status != "OK":
            return
        if command.name in _FILING:
            await self._after_filing(command, reply.code)
        elif self._account is not None:
            own = Own(frozenset(map(canonical_name, _names_of(command))), annotated=_annotated_by(command))
            if own != NOTHING_OWN:
                await self._skip(own)

    async def _after_filing(self, command: Command, code: str) -> None:
        """RFC 4315 §3: APPENDUID and COPYUID say what was filed."""
        words = code.split()
        if not words or words[0] not in ("APPENDUID", "COPYUID"):
            return
        try:
            uids = parse(words[-1].encode(), GrammarLimits().set_ranges)
        except InvalidSet:
            return
        name = canonical_name(_target_of(command))
        context = self._context
        is_selected = context.selected is not None and context.columns.uidvalidity == int(words[1])
        if not is_selected and self._account is not None and name:
            count = sum(high - low + 1 for low, high in uids.ranges)
            await self._skip(Own(filed=(name, count, uids.ranges[-1][1] + 1)))

    async def _skip(self, own: Own) -> None:
        """Take in what has happened up to now, without what was our doing."""
        if self._account is None:
            return
        try:
            await self._account.refresh()
        except StoreError:
            return  # then the client hears of its own change too
        self._late += self._render(own)
        if self._late:
            self._context.wake()

    # --- the selected mailbox ---

    @property
    def items_of_new(self) -> Items:
        """RFC 5465 §5.2: what the client wants to know of new messages."""
        group = self._interest.selected
        return () if group is None else group.items

    def render_selected(self, selected: Selected, *, expunge: bool, say_modseq: bool) -> bytes:
        """What may be told now about the selected mailbox. ``say_modseq``: see ``Selected.render``."""
        interest = self._interest
        messages = interest.in_selected(NotifyEvent.MESSAGE_NEW)
        # a command that says itself up to where everything was told has removed messages
        removing, self._removing = self._removing or not say_modseq, False
        return selected.render(
            expunge=expunge and (messages or removing),
            say_modseq=say_modseq,
            new=messages,
            flags=interest.in_selected(NotifyEvent.FLAG_CHANGE),
        )


def _names_of(command: Command) -> frozenset[str]:
    """Mailboxes that a command makes, renames, deletes, subscribes."""
    match command.arguments:
        case given.CreateArguments(mailbox=name):
            return frozenset({name})
        case given.RenameArguments(mailbox=old, new_name=new):
            return frozenset({old, new})
        case given.MailboxArguments(mailbox=name) if command.name in ("DELETE", "SUBSCRIBE", "UNSUBSCRIBE"):
            return frozenset({name})
    return frozenset()


def _annotated_by(command: Command) -> frozenset[tuple[str, ...]]:
    """See ``Own``."""
    if not isinstance(command.arguments, SetMetadataArguments):
        return frozenset()
    entries = sorted(name for name, _ in command.arguments.values)
    scopes = ([name for name in entries if name.startswith(scope)] for scope in ("/private/", "/shared/"))
    return frozenset((command.arguments.mailbox, *names) for names in scopes if names)


def _target_of(command: Command) -> str:
    match command.arguments:
        case AppendArguments(mailbox=name) | given.CopyArguments(mailbox=name):
            return name
    return ""
