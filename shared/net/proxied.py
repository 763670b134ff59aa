"""Who is really there: the header of the PROXY protocol, read from a connection that a trusted proxy made.

The header is taken to its last octet and not one further, so that TLS can begin right behind it. What the stream then says of its
peer is what the proxy announced; where it announced nobody (a health check of its own, a client whose address it does not know),
the peer stays the proxy itself.
"""

from __future__ import annotations

import trio

from shared.net.stream import ClientStream
from shared.wire.proxy import MAX_OCTETS, HeaderReader, ProxyError


class NoHeader(Exception):
    """The connection is of no use. ``silent``: the peer went away without a word, as a mere look whether the port is open does."""

    def __init__(self, why: str, *, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


async def take_header(stream: ClientStream, timeout_seconds: float) -> bool:
    """Read the header and make its client the stream's peer; False where it announces none. Raises NoHeader."""
    reader = HeaderReader()
    try:
        with trio.fail_after(timeout_seconds):
            while not reader.done:
                if not await stream.receive_prefix(MAX_OCTETS, reader.feed):
                    raise NoHeader("closed before the header was complete", silent=len(reader) == 0)
    except trio.TooSlowError:
        raise NoHeader(f"no header within {timeout_seconds:g} s") from None
    except ProxyError as error:
        raise NoHeader(str(error)) from None
    client = reader.announced
    if client is None:
        return False
    stream.peer_ip, stream.peer_port = client.ip, client.port
    stream.local_ip, stream.local_port = client.local_ip, client.local_port
    return True
