"""A listener on a Unix socket, for programs of the same machine.

The socket is bound under a name of its own and renamed into place with its mode, so that nobody reaches it before and a stale file is
replaced; what is no socket is left alone. The name stays when its process ends: several processes may take the same one, and then the one
that came last has it.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from shared.net.listen import BACKLOG, Listener
from shared.rpc.address import short_socket_path


def open_local_listener(name: str, path: Path, mode: int) -> Listener:
    """Raises OSError that names the path."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    if path.exists() and not path.is_socket():
        raise OSError(errno.EEXIST, f"cannot listen on {path} ({name}): there is something else")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        fresh.unlink(missing_ok=True)
        with short_socket_path(str(fresh)) as short:
            sock.bind(short)
        fresh.chmod(mode)
        sock.listen(BACKLOG)
        fresh.replace(path)
    except OSError as error:
        sock.close()
        fresh.unlink(missing_ok=True)
        raise OSError(error.errno, f"cannot listen on {path} ({name}): {error.strerror or error}") from None
    return Listener(name, str(path), 0, implicit_tls=False, sock=sock)
