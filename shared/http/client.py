"""A small HTTPS client on trio and h11: one GET or POST, one answer, then the connection is closed.

Laws
- Bounded everywhere: the body (`body_octets`), all that is received (head, chunk marks and 1xx answers included), the time
  for everything together (`seconds`), the addresses that are tried (`MAX_ADDRESSES`).
- The certificate must verify for `host` by the caller's context; nothing is sent before it did.
- Redirects are not followed, nothing is cached, no cookie is kept, content is asked for without compression.
- An answer whose length is not told (no Content-Length, no chunks) is refused: cut short it would look whole
  (RFC 9112 §6.3, §8). Of the answer to a POST only the status counts; its body is not read.

h11 does the syntax (RFC 9112); addresses come from the caller, who knows which may be dialled.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import attrs
import h11
import trio

from shared.net.dial import connect
from shared.net.stream import ClientStream, ConnectionLost
from shared.version import VERSION

MAX_ADDRESSES = 4
_HEADER_OCTETS = 16 * 1024
_READ_OCTETS = 16 * 1024
_OVERHEAD_OCTETS = 64 * 1024  # beyond the body: head, chunk marks, 1xx answers


class FetchFailed(Exception):
    """No answer; the text is fit for a log."""


@attrs.frozen
class Bounds:
    """What one fetch may take."""

    body_octets: int
    seconds: float  # altogether
    connect_seconds: float = 10.0  # to one address


@attrs.frozen
class Answer:
    """Any answer, of any status. `media_type` is lower case, without its parameters."""

    status: int
    media_type: str
    body: bytes


@attrs.frozen
class Upload:
    """What a POST carries."""

    media_type: str
    body: bytes


async def fetch(
    host: str,
    path: str,
    addresses: Sequence[str],
    port: int,
    context: ssl.SSLContext,
    bounds: Bounds,
    upload: Upload | None = None,
) -> Answer:
    """GET https://host/path from the first address that answers, or POST an upload there. Raises FetchFailed."""
    reason = f"{host} has no address"
    with trio.move_on_after(bounds.seconds):
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await _fetch_from(address, host, path, port, context, bounds, upload)
            except ConnectionLost as error:
                reason = str(error)
            except h11.ProtocolError as error:
                reason = f"{host} does not speak HTTP: {error}"
        raise FetchFailed(reason)
    raise FetchFailed(f"{host} gave no whole answer within {bounds.seconds:g} s")


async def _fetch_from(
    address: str, host: str, path: str, port: int, context: ssl.SSLContext, bounds: Bounds, upload: Upload | None
) -> Answer:
    try:
        stream = await connect(address, port, bounds.connect_seconds, send_timeout_seconds=bounds.seconds)
    except OSError as error:  # no such address family on this machine
        raise ConnectionLost(f"cannot connect to {address}: {error.strerror}") from None
    try:
        await stream.start_tls(context, bounds.seconds, server_hostname=host)
        return await _Exchange(stream, host, bounds).run(path, upload)
    finally:
        # everything that counts has arrived: no need to wait for the other side's good-bye
        stream.abort()


class _Exchange:
    """One request and its answer on an open connection."""

    def __init__(self, stream: ClientStream, host: str, bounds: Bounds) -> None:
        self._stream = stream
        self._host = host
        self._bounds = bounds
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_OCTETS)
        self._received = 0

    async def run(self, path: str, upload: Upload | None) -> Answer:
        """Raises ConnectionLost, FetchFailed, h11.ProtocolError."""
        headers = [
            ("Host", self._host),
            ("User-Agent", f"Pillarbox/{VERSION}"),
            ("Accept", "text/plain"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        events: list[h11.Event] = [h11.Request(method="GET", target=path, headers=headers), h11.EndOfMessage()]
        if upload is not None:
            headers += [("Content-Type", upload.media_type), ("Content-Length", str(len(upload.body)))]
            events = [h11.Request(method="POST", target=path, headers=headers), h11.Data(upload.body), h11.EndOfMessage()]
        await self._stream.send_all(b"".join(self._connection.send(event) or b"" for event in events))
        response = await self._next()
        while isinstance(response, h11.InformationalResponse):
            response = await self._next()
        if not isinstance(response, h11.Response):
            raise FetchFailed(f"{self._host} closed the connection without an answer")
        named = dict(response.headers)
        media_type = named.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
        if upload is not None:
            return Answer(response.status_code, media_type, b"")
        # RFC 9112 §6.3
        if b"content-length" not in named and b"transfer-encoding" not in named:
            raise FetchFailed(f"{self._host} does not tell the length of its answer")
        return Answer(response.status_code, media_type, await self._body())

    async def _body(self) -> bytes:
        body = bytearray()
        while True:
            event = await self._next()
            if isinstance(event, h11.EndOfMessage):
                return bytes(body)
            if not isinstance(event, h11.Data):
                raise FetchFailed(f"{self._host} closed the connection within its answer")
            body += event.data
            if len(body) > self._bounds.body_octets:
                raise FetchFailed(f"the answer of {self._host} has more than {self._bounds.body_octets} octets")

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._connection.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11's sentinels have no narrower type
            data = await self._stream.receive_some(_READ_OCTETS)
            self._received += len(data)
            if self._received > self._bounds.body_octets + _OVERHEAD_OCTETS:
                raise FetchFailed(f"{self._host} sends more than an answer may have")
            self._connection.receive_data(data)
