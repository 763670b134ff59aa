"""Takes the messages of an APPEND or REPLACE from the client, one after the other, into one spool.

RFC 3501 §6.3.11, RFC 3502 §1 (several messages), RFC 4469 §3 (parts and URLs), RFC 6855 §4 (UTF8), RFC 7889 §4 (TOOBIG).

Laws:
- A literal is accepted only when its message may become as large as announced; what is refused is skipped by the session, which
  looks at ``context.message_announced`` after the command.
- Whatever fails raises CommandFailed or StoreError, and nothing was stored.
"""

from collections.abc import Awaitable, Callable, Sequence

import attrs

from services.imap.client import StreamBroken
from services.imap.context import CommandFailed, Context
from services.imap.protocol.append_grammar import (
    AppendArguments,
    BeginMessage,
    CopyUrl,
    EndMessage,
    Place,
    Step,
    TakeLiteral,
)
from services.imap.protocol.framing import CommandFrame, ContinuationNeeded, FramingError, MessageLiteral
from services.imap.protocol.grammar import CommandError, parse_append_piece
from services.imap.protocol.responses import CONTINUE, build_bad, build_no
from services.imap.spool import Spool
from services.imap.urls import copy_url


@attrs.frozen
class Taken:
    """A message that is complete: where it is in the spool, and what it is to be filed with."""

    start: int
    stop: int
    flags: tuple[str, ...]
    internal_date: int | None


class Intake:
    """The messages of one command."""

    def __init__(self, context: Context, spool: Spool, before_more: Callable[[], Awaitable[object]]) -> None:
        """``before_more`` is called before a second literal or URL is taken; what it raises refuses the command."""
        self._context = context
        self._spool = spool
        self._before_more = before_more
        self._message = BeginMessage()
        self._start = 0
        self._parts = 0
        self._begun = 0
        self.taken: list[Taken] = []

    async def run(self, arguments: AppendArguments) -> Sequence[Taken]:
        """Take everything. Raises CommandFailed, StoreError."""
        context = self._context
        most = 1 if arguments.replaces else context.limits.append_messages
        steps, place = arguments.steps, arguments.place
        try:
            while True:
                offered = context.message_announced is not None
                for step in steps:
                    await self._do(step, most)
                if not offered:
                    return self.taken
                steps, place = await self._next_piece(place)
        except OSError as error:
            raise CommandFailed(build_no("No room for the message here, try again later", "UNAVAILABLE")) from error

    async def _next_piece(self, place: Place) -> tuple[tuple[Step, ...], Place]:
        """The command's text behind a literal."""
        context, client = self._context, self._context.client
        while isinstance(event := await client.next_event(), ContinuationNeeded):
            client.write(CONTINUE)
        match event:
            case CommandFrame():
                frame, offered = event, False
            case MessageLiteral():
                context.message_announced = (event.octets, event.synchronizing)
                frame, offered = event.frame, True
            case FramingError():
                if event.fatal:
                    raise StreamBroken
                build = build_no if event.too_big else build_bad
                raise CommandFailed(build(event.text.capitalize(), "TOOBIG" if event.too_big else ""))
            case _:
                raise CommandFailed(build_bad("Unexpected text after the message"))
        try:
            return parse_append_piece(frame, context.grammar, place, offered=offered)
        except CommandError as error:
            raise CommandFailed(error.reply) from error

    async def _do(self, step: Step, most: int) -> None:
        if self._parts and not isinstance(step, EndMessage):
            await self._before_more()
        match step:
            case BeginMessage():
                self._begun += 1
                if self._begun > most:
                    raise CommandFailed(build_no(f"At most {most} messages in one command", "LIMIT"))
                self._message = step
                self._start = self._spool.octets
            case CopyUrl():
                self._count_part()
                await copy_url(self._context, step.url, self._spool, self._check_room)
            case TakeLiteral():
                self._count_part()
                await self._take_literal(utf8=step.utf8)
            case EndMessage():
                stop = self._spool.octets
                if stop == self._start:
                    # RFC 3502 §1: a message of no octets is an error, and a way to cancel
                    raise CommandFailed(build_no("An empty message cannot be kept", "CANNOT"))
                self.taken.append(Taken(self._start, stop, self._message.flags, self._message.internal_date))

    def _count_part(self) -> None:
        self._parts += 1
        most = 2 * self._context.limits.append_messages
        if self._parts > most:
            raise CommandFailed(build_no(f"At most {most} parts in one command", "LIMIT"))

    def _check_room(self, octets: int) -> None:
        """Whether so much more may come. Raises CommandFailed."""
        limits, spool = self._context.limits, self._spool
        if spool.octets - self._start + octets > limits.message_octets:
            # RFC 7889 §4, RFC 4469 §4.2
            raise CommandFailed(build_no("The message is too large", "TOOBIG"))
        if spool.octets + octets > max(limits.append_octets, limits.message_octets):
            raise CommandFailed(build_no("The messages are too large together", "LIMIT"))

    async def _take_literal(self, *, utf8: bool) -> None:
        context = self._context
        if context.message_announced is None:
            raise CommandFailed(build_bad("Expected the message as a literal"))
        octets, synchronizing = context.message_announced
        if utf8 and not context.utf8:
            # RFC 6855 §4: such messages come from those who have enabled it
            raise CommandFailed(build_no("ENABLE UTF8=ACCEPT first", "CANNOT"))
        self._check_room(octets)
        context.message_announced = None
        fault: OSError | None = None
        async for data in context.client.read_message(synchronizing=synchronizing):
            if fault is None:
                try:
                    await self._spool.write(data)
                except OSError as error:
                    # the rest of the literal is on its way all the same
                    fault = error
        if fault is not None:
            await self._drain()
            raise fault

    async def _drain(self) -> None:
        """Take the rest of the command out of the stream."""
        context, client = self._context, self._context.client
        while True:
            match await client.next_event():
                case ContinuationNeeded():
                    client.write(CONTINUE)
                case MessageLiteral() as offer:
                    context.message_announced = (offer.octets, offer.synchronizing)
                    return
                case FramingError(fatal=True):
                    raise StreamBroken
                case _:
                    return
