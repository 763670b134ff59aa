"""One connection: read a frame, parse it, ask the table, run it, tell what is new, answer.

Laws:
- Whatever the client sends and whatever the store says, the answer is a tagged reply (or BYE); nothing but ConnectionLost leaves here.
- The tagged reply is the last thing of a command; updates that the table allows come right before it (RFC 3501 §5.2, §7).
- Too many BAD replies or failed logins end the connection (RFC 3501 §7.1.5 BYE), silence too (§5.4).
"""

import math
from typing import Final

import trio

from services.imap.client import Client, ClientGone, StreamBroken
from services.imap.commands.table import HANDLERS
from services.imap.context import CommandFailed, Context, Shared
from services.imap.protocol.arguments import Command
from services.imap.protocol.compression import CompressionBroken
from services.imap.protocol.framing import CommandFrame, ContinuationNeeded, FramingError, MessageLiteral
from services.imap.protocol.grammar import CommandError, parse_append_command, parse_command
from services.imap.protocol.responses import CONTINUE, Reply, build_bad, build_no, build_untagged, reply_for_error
from services.imap.protocol.state import COMMANDS, REFUSALS, State, Updates, Verdict, judge
from services.imap.telling import read_and_tell
from services.imap.updating import write_updates
from shared.errors import GrantExpired, StoreError
from shared.net.stream import ClientStream, ConnectionLost, TlsFailed

BYE_IDLE: Final = build_untagged("BYE", "Idle for too long")
BYE_DRAINING: Final = build_untagged("BYE", "The server is stopping", "UNAVAILABLE")
BYE_BAD: Final = build_untagged("BYE", "Too many wrong commands")
BYE_LOGINS: Final = build_untagged("BYE", "Too many failed logins")
BYE_BANNED: Final = build_untagged("BYE", "Too many failed logins, try again later", "UNAVAILABLE")
BYE_LOST: Final = build_untagged(
    "BYE", "The selected mailbox was deleted or is no longer shared, or the login has expired"
)
BYE_STREAM: Final = build_untagged("BYE", "What cannot be taken is too large to be skipped", "TOOBIG")
BYE_COMPRESSION: Final = build_untagged("BYE", "What came is not DEFLATE")
BYE_BUG: Final = build_untagged("BYE", "Internal error", "SERVERBUG")


class Session:
    """Runs one connection to its end."""

    def __init__(self, shared: Shared, stream: ClientStream) -> None:
        self._shared = shared
        self._client = Client(stream, shared.limits.before_login)
        self.context = Context(shared, self._client)
        self._bad = 0
        self._working = False
        self._scope = trio.CancelScope()
        self._stopping = False
        self._silent = False

    def end_if_silent(self, now: float) -> float:
        """End when the client was waited for longer than it may be silent; when to look again at the latest. Trio's time."""
        client = self._client
        if client.waiting_until <= now:
            self._silent = True
            self._scope.cancel()
            return math.inf
        return min(client.waiting_until, client.input_deadline)

    def stop(self) -> None:
        """The process drains: end as soon as no command is under way."""
        self._stopping = True
        if not self._working or self.context.idling:
            self._scope.cancel()

    async def run(self) -> None:
        """Until the client or we say goodbye. Raises ConnectionLost."""
        why = "logged out"
        try:
            with self._scope:
                await self._run()
            if self._scope.cancelled_caught:
                why, goodbye = ("silence", BYE_IDLE) if self._silent else ("draining", BYE_DRAINING)
                await self._client.say_goodbye(goodbye)
        except (ClientGone, TlsFailed):
            why = "the client closed the connection"
        except StreamBroken:
            why = "too large to skip"
            await self._client.say_goodbye(BYE_STREAM)
        except CompressionBroken as error:
            why = str(error)
            await self._client.say_goodbye(BYE_COMPRESSION)
        except StoreError as error:
            why = str(error)
            await self._client.say_goodbye(BYE_LOST if isinstance(error, GrantExpired) else BYE_BUG)
        except ConnectionLost as error:
            why = str(error)
            raise
        finally:
            self._log_end(why)
            self.context.close()

    def _log_end(self, why: str) -> None:
        if self.context.logged_in:
            client = self._client
            account = self.context.login.address
            octets = {"octets_in": client.octets_in, "octets_out": client.octets_out}
            self._shared.log.info("session ended", account=account, peer=client.peer_ip, why=why, **octets)

    async def _run(self) -> None:
        context, client = self.context, self._client
        # RFC 3501 §7.1.1: the greeting
        names = " ".join(context.capabilities())
        client.write(build_untagged("OK", "Pillarbox is ready", f"CAPABILITY {names}"))
        client.silence_seconds = self._shared.limits.idle_seconds
        while context.state is not State.LOGOUT and not self._stopping:
            if context.teller is None:
                event = await client.next_event()
            else:
                told = await read_and_tell(context, client.next_event, expunge=context.teller.expunges_at_once)
                if told is None:
                    await client.say_goodbye(BYE_LOST)
                    return
                event = told
            self._working = True
            goodbye = await self._handle(event)
            self._working = False
            if goodbye:
                await client.say_goodbye(goodbye)
                return
        await client.flush()
        if self._stopping and context.state is not State.LOGOUT:
            await client.say_goodbye(BYE_DRAINING)

    async def _handle(self, event: object) -> bytes:
        """One event of the framer; a goodbye ends the session."""
        match event:
            case CommandFrame():
                return await self._handle_frame(event)
            case ContinuationNeeded():
                self._client.write(CONTINUE)
            case MessageLiteral():
                return await self._handle_message(event)
            case FramingError():
                return self._handle_framing_error(event)
        return b""

    def _handle_framing_error(self, error: FramingError) -> bytes:
        if error.fatal:
            return BYE_STREAM
        # RFC 7888 §4: a tagged NO or BAD; RFC 9051 §7.1 knows TOOBIG
        reply = build_no(error.text.capitalize(), "TOOBIG") if error.too_big else build_bad(error.text.capitalize())
        self._client.write(reply.render(error.tag or b"*"))
        return self._count_bad()

    def _count_bad(self) -> bytes:
        self._bad += 1
        return BYE_BAD if self._bad >= self._shared.limits.bad_commands else b""

    async def _handle_frame(self, frame: CommandFrame) -> bytes:
        if frame.fragments == (b"",) and not frame.literals:
            return b""  # an empty line between commands, as some clients send it after a literal
        try:
            command = parse_command(frame, self.context.grammar)
        except CommandError as error:
            self._client.write(error.reply.render(error.tag))
            return self._count_bad() if error.reply.status == "BAD" else b""
        return await self._run_command(command)

    async def _handle_message(self, offer: MessageLiteral) -> bytes:
        """An APPEND has come to its message."""
        context = self.context
        try:
            command = parse_append_command(offer.frame, context.grammar)
        except CommandError as error:
            await self._client.skip_message(too_big=False)
            self._client.write(error.reply.render(error.tag))
            return self._count_bad() if error.reply.status == "BAD" else b""
        context.message_announced = (offer.octets, offer.synchronizing)
        return await self._run_command(command)

    async def _run_command(self, command: Command) -> bytes:
        context = self.context
        verdict = judge(command.name, context.state, read_only=_is_read_only(context), uidonly=context.uidonly)
        if verdict is not Verdict.ALLOWED:
            status, text = REFUSALS[verdict]
            reply: Reply | None = Reply(status, text)
        else:
            reply = await self._execute(command)
        if context.message_announced is not None:
            # a literal that nobody took: it and what follows it in the command must not be read as commands
            context.message_announced = None
            await self._client.skip_message(too_big=True)
        if reply is None:
            return b""
        if context.teller is not None:
            await context.teller.after_command(command, reply)
        await self._tell(command)
        self._client.write(reply.render(command.tag))
        await self._client.drain()
        self._shared.count(command.name, reply.status)
        if context.mailbox_lost or reply.code == "EXPIRED":
            return BYE_LOST
        if context.banned:
            return BYE_BANNED
        if context.failed_logins >= self._shared.limits.login_attempts:
            return BYE_LOGINS
        if reply.status == "BAD":
            return self._count_bad()
        return b""

    async def _execute(self, command: Command) -> Reply | None:
        rule = COMMANDS[command.name]
        if self.context.selected is not None:
            self.context.selected.numbers_in_use = False
        try:
            if rule.refresh and self.context.selected is not None:
                await self._refresh()
            return await HANDLERS[command.name](self.context, command)
        except CommandFailed as failed:
            return failed.reply
        except StoreError as error:
            if not error.temporary:
                return reply_for_error(error)
            self._shared.log.warning("command failed", command=command.name, error=str(error))
            return reply_for_error(error)

    async def _refresh(self) -> None:
        """News of the selected mailbox; a store that is away does not fail the command, the view catches up later."""
        try:
            await self.context.view.refresh()
        except StoreError as error:
            if not error.temporary:
                raise

    async def _tell(self, command: Command) -> None:
        rule = COMMANDS.get(command.name)
        if self.context.selected is None or rule is None or rule.updates is Updates.NONE:
            return
        # RFC 7162 §3.2.10.2: nor during a UID SEARCH that has message numbers among its keys
        by_number = command.name.startswith("UID ") and self.context.selected.numbers_in_use
        await write_updates(self.context, expunge=rule.updates is Updates.ALL and not by_number)


def _is_read_only(context: Context) -> bool:
    return context.selected is not None and context.selected.read_only
