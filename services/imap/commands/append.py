"""APPEND, RFC 3501 §6.3.11, RFC 4315 §3 (APPENDUID).

The message streams through: a small one stays in memory, a larger one goes to a file of the spool; from there it is indexed and sent
to the store in pieces. OK is said after the store's commit, never before. A restart of the store meanwhile costs the client nothing.
"""

import mmap
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO, Final

import trio

from services.imap.client import Client
from services.imap.commands.copy import find_target
from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.protocol.arguments import AppendArguments, Command
from services.imap.protocol.framing import CommandFrame, FramingError, MessageLiteral
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok, code_append_uid
from shared.contract.types import AppendResult, ContentSource
from shared.errors import StoreError
from shared.mail.index import build_index

_INDEX_IN_THREAD_OCTETS: Final = 128 * 1024
_WRITE_OCTETS: Final = 256 * 1024


async def handle_append(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AppendArguments)
    if context.message_announced is None:
        return build_bad("Expected the message as a literal")
    octets, synchronizing = context.message_announced
    try:
        # RFC 3501 §6.3.11: TRYCREATE should be said before the client sends the message
        target = await find_target(context, arguments.mailbox)
    except (CommandFailed, StoreError):
        await context.client.skip_message(too_big=False)
        raise
    if octets > context.limits.message_octets:
        await context.client.skip_message(too_big=True)
        # RFC 7889 §4: TOOBIG
        return build_no("The message is too large", "TOOBIG")
    with closing(Spool(context.limits.spool_octets, context.shared.spool)) as spool:
        async for data in context.client.read_message(synchronizing=synchronizing):
            await spool.write(data)
        fault = await _rest_of_command(context.client)
        if fault is not None:
            return fault
        if not octets:
            return build_no("An empty message cannot be kept", "CANNOT")
        content = spool.content()
        if octets > _INDEX_IN_THREAD_OCTETS:
            index = await trio.to_thread.run_sync(build_index, content)
        else:
            index = build_index(content)

        async def append(source: ContentSource) -> AppendResult:
            return await context.store.messages.append(
                context.grant, target, arguments.flags, arguments.internal_date, source, index
            )

        result = await context.store.with_content(memoryview(content), append)
    if context.selected is not None and context.mailbox_id == target:
        await context.view.refresh()
    return build_ok("APPEND completed", code_append_uid(result.uidvalidity, result.uid))


async def _rest_of_command(client: Client) -> Reply | None:
    """After the message the command must end; what is wrong otherwise."""
    event = await client.next_event()
    match event:
        case CommandFrame(fragments=(rest,), literals=()):
            return None if not rest.strip() else build_bad("Unexpected text after the message")
        case MessageLiteral():
            await client.skip_message(too_big=False)
            return build_bad("One message for each APPEND")
        case FramingError():
            return build_bad(event.text.capitalize())
    return build_bad("Unexpected text after the message")


class Spool:
    """The octets of one message: in memory up to a bound, in an unnamed file beyond it. Close it when done."""

    def __init__(self, memory_octets: int, directory: Path) -> None:
        self._memory_octets = memory_octets
        self._directory = directory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        """Give the file back; what ``content`` returned stays readable."""
        if self._file is not None:
            self._file.close()

    async def write(self, data: bytes) -> None:
        """Add a piece."""
        self._memory += data
        if len(self._memory) > self._memory_octets or (self._file is not None and len(self._memory) > _WRITE_OCTETS):
            await trio.to_thread.run_sync(self._write_out)

    def _write_out(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - lives as long as the spool
        self._file.write(self._memory)
        self._memory.clear()

    def content(self) -> bytes | mmap.mmap:
        """All of it, for reading."""
        if self._file is None:
            return bytes(self._memory)
        self._write_out()
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
