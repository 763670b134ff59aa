"""Where the store listens: a Unix socket, also below a path that is longer than ``sun_path`` holds."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

SUN_PATH_OCTETS: Final = 100
"""Linux holds 108 octets with the final zero; the rest is margin."""

BUFFER_OCTETS: Final = 1024 * 1024
"""Of the kernel for what was sent and not yet read: a whole answer, where the system allows as much."""


@contextmanager
def short_socket_path(path: str) -> Iterator[str]:
    """The same socket under a name that fits ``sun_path``: through ``/proc/self/fd`` of its directory where it must be."""
    if len(os.fsencode(path)) <= SUN_PATH_OCTETS:
        yield path
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


async def connect_unix(path: str) -> trio.SocketStream:
    """Raises OSError when nobody listens there."""
    with short_socket_path(path) as short:
        stream = await trio.open_unix_socket(short)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
    return stream


async def listen_unix(path: str, mode: int, backlog: int = 64) -> trio.SocketListener:
    """Bind anew (a stale socket file is replaced; whoever calls holds the data directory's lock). Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        with short_socket_path(path) as short:
            await sock.bind(short)
        os.chmod(path, mode)
        # Linux gives it to every connection that is accepted
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)
