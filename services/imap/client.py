"""The client's end of a session: framed input, collected output, TLS.

One task reads and one writes at most (IDLE has one of each). Output is handed on in large pieces; a client that does not read is
dropped by the stream's send timeout, with no more than one buffer of ours waiting. Until when a client may be silent is noted here
wherever a command waits for it; the end comes from outside (``Session.end_if_silent``), so that waiting takes no timer.
"""

import math
import ssl
from collections.abc import AsyncIterator, Mapping

import trio

from services.imap.limits import OUTPUT_OCTETS, RECEIVE_OCTETS
from services.imap.protocol.compression import PIECE_OCTETS, Compression
from services.imap.protocol.framing import (
    FrameEvent,
    Framer,
    FramingError,
    FramingLimits,
    MessageData,
    MessageEnd,
    RawLine,
)
from services.imap.protocol.responses import CONTINUE
from shared.net.stream import ClientStream


class ClientGone(Exception):
    """The client closed the connection, or its stream can no longer be trusted."""


class StreamBroken(Exception):
    """What follows in the stream cannot be told from a refused command: the connection must end."""


class Client:
    """Input and output of one connection."""

    def __init__(self, stream: ClientStream, limits: FramingLimits) -> None:
        self._stream = stream
        self._framer = Framer(limits)
        self._output: list[bytes] = []
        self._output_octets = 0
        self._compression: Compression | None = None
        self.octets_in = 0
        self.octets_out = 0
        self.silence_seconds = 60.0
        """How long to wait for input."""
        self.input_deadline = math.inf
        """On trio's clock: when waiting for input ends in any case (the time to log in)."""
        self.waiting_until = math.inf
        """On trio's clock: when waiting for input has lasted too long; infinite while nobody waits."""
        self.telling = False
        """Another task writes while this one waits for input: then what it has written is its own to flush."""

    @property
    def peer_ip(self) -> str:
        return self._stream.peer_ip

    @property
    def secure(self) -> bool:
        """Whether TLS is on."""
        return self._stream.tls is not None

    @property
    def bindings(self) -> Mapping[str, bytes]:
        """Channel bindings by type; empty without TLS."""
        return self._stream.bindings

    @property
    def compressed(self) -> bool:
        """Whether the compression layer is on (RFC 4978)."""
        return self._compression is not None

    def set_limits(self, limits: FramingLimits) -> None:
        """After login, and after it was given up."""
        self._framer.set_limits(limits)

    # --- input ---

    async def _receive(self) -> None:
        """More input for the framer. Raises ClientGone, CompressionBroken."""
        if not self.telling:
            await self.flush()
        compression = self._compression
        if compression is None:
            self._framer.feed(await self._read())
            return
        # a few octets may stand for very many: whoever sends them must not keep others from their turn
        while not (piece := compression.take()):
            compression.feed(await self._read())
        self._framer.feed(piece)
        await trio.lowlevel.checkpoint()

    async def _read(self) -> bytes:
        self.waiting_until = min(trio.current_time() + self.silence_seconds, self.input_deadline)
        data = await self._stream.receive_some(RECEIVE_OCTETS)
        self.waiting_until = math.inf
        if not data:
            raise ClientGone
        self.octets_in += len(data)
        return data

    async def next_event(self) -> FrameEvent:
        """The next event of the framer; what was written is flushed before waiting. Raises ClientGone."""
        while (event := self._framer.next_event()) is None:
            await self._receive()
        return event

    async def read_line(self) -> bytes | None:
        """A line that is no command (SASL response, DONE); None when it was too long. Raises ClientGone."""
        while (event := self._framer.next_line()) is None:
            await self._receive()
        if isinstance(event, FramingError) and event.fatal:
            raise StreamBroken
        return event.line if isinstance(event, RawLine) else None

    async def read_message(self, *, synchronizing: bool) -> AsyncIterator[bytes]:
        """The octets of the message that was offered, as they come. Raises ClientGone."""
        self._framer.accept_message()
        if synchronizing:
            self.write(CONTINUE)
        while True:
            event = await self.next_event()
            if isinstance(event, MessageData):
                yield event.data
            elif isinstance(event, MessageEnd):
                return

    async def skip_message(self, *, too_big: bool) -> FramingError:
        """Refuse the message that was offered; returns when its command is out of the stream. Raises ClientGone."""
        error = self._framer.refuse_message(too_big=too_big)
        while error is None:
            event = await self.next_event()
            if isinstance(event, FramingError):
                error = event
        if error.fatal:
            raise StreamBroken
        return error

    # --- output ---

    def write(self, data: bytes) -> None:
        """Collect output. Whoever writes much calls ``drain`` now and then."""
        self._output.append(data)
        self._output_octets += len(data)

    async def drain(self) -> None:
        """Hand output on once there is a good piece of it. Raises ConnectionLost."""
        if self._output_octets >= OUTPUT_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Hand all output on. Raises ConnectionLost."""
        if self._output:
            data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
            self._output.clear()
            self._output_octets = 0
            await self._send(data)

    async def _send(self, data: bytes) -> None:
        if self._compression is None:
            self.octets_out += len(data)
            await self._stream.send_all(data)
            return
        for start in range(0, len(data), PIECE_OCTETS):
            packed = self._compression.compress(data[start : start + PIECE_OCTETS])
            self.octets_out += len(packed)
            await self._stream.send_all(packed)

    async def start_compression(self) -> None:
        """After the OK of COMPRESS. What came behind the command is taken as compressed."""
        await self.flush()
        self._compression = Compression()
        self._compression.feed(self._framer.take_buffered())

    async def end_compression(self) -> None:
        """After the OK of UNAUTHENTICATE, which is the last that goes out compressed. Nothing when compression is off."""
        compression, self._compression = self._compression, None
        if compression is None:
            return
        data = compression.finish(b"".join(self._output))
        self._output.clear()
        self._output_octets = 0
        self.octets_out += len(data)
        self._framer.feed(compression.rest())
        await self._stream.send_all(data)

    async def start_tls(self, context: ssl.SSLContext, handshake_seconds: float) -> None:
        """After the OK of STARTTLS. Raises TlsFailed."""
        await self.flush()
        discarded = self._framer.buffered_octets
        self._framer.discard_buffered()
        await self._stream.start_tls(context, handshake_seconds, discarded_octets=discarded)

    async def say_goodbye(self, text: bytes) -> None:
        """A last line, if the client still takes it within a second."""
        with trio.move_on_after(1.0):
            self.write(text)
            await self.flush()
