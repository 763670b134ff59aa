"""What idle connections cost one imap process: `python tests/bench/bench_idle.py [--connections 1000] [--plain]`.

All connections are logged in, have their INBOX selected and IDLE. Printed: PSS of the imap process per connection in each state
(connected, logged in, idling), and its CPU at rest. PSS counts OpenSSL's memory and the interpreter's alike.
"""

import argparse
import resource
import socket
import ssl
import sys
import tempfile
import time
import zlib
from pathlib import Path

from measure import Meter, memory_kib

from shared.testing.stack import PASSWORD, Stack

REST_SECONDS = 5.0
ACCOUNTS = 20


class Connection:
    """A blocking client that keeps no more than it must."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        if context is not None:
            self.socket = context.wrap_socket(self.socket)
        self._unpacker: zlib._Decompress | None = None
        self._packer: zlib._Compress | None = None
        self.until(b"* OK")

    def compress(self) -> None:
        self.command("COMPRESS DEFLATE")
        self._packer, self._unpacker = zlib.compressobj(1, zlib.DEFLATED, -9, 1), zlib.decompressobj(-15)

    def until(self, start: bytes) -> None:
        """Read up to a line that begins so."""
        data = b""
        while True:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(data)
            data += piece if self._unpacker is None else self._unpacker.decompress(piece)
            if data.endswith(b"\r\n") and any(line.startswith(start) for line in data.split(b"\r\n")):
                return

    def command(self, text: str, start: bytes = b"a OK") -> None:
        data = f"a {text}\r\n".encode()
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)
        self.until(start)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--compress", action="store_true", help="with COMPRESS=DEFLATE")
    options = parser.parse_args()
    count: int = options.connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, 3 * count), max(4096, 3 * count)))
    settings = {
        "PILLARBOX_LIMITS__CONNECTIONS": str(2 * count),
        "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
        "PILLARBOX_IMAP__CONNECTIONS_PER_ACCOUNT": str(count),
        "PILLARBOX_IMAP__UNAUTHENTICATED_SECONDS": "600",
    }
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        tempfile.TemporaryDirectory(prefix="pillarbox-idle-") as scratch,
        Stack(Path(scratch) / "data", services=("imap",), settings=settings) as stack,
    ):
        users = [f"user{number}@example.test" for number in range(ACCOUNTS)]
        stack.add_accounts(dict.fromkeys(users, PASSWORD))
        port = stack.port("imap" if options.plain else "imaps")
        run(port, stack["imap"].pid, None if options.plain else context, users, count, compress=options.compress)
    return 0


def run(port: int, pid: int, context: ssl.SSLContext | None, users: list[str], count: int, *, compress: bool) -> None:
    """Bring all connections from one state to the next, and measure in each."""
    # what the first connections bring in once for all does not count
    warm = [Connection(port, context) for _ in users]
    for connection, user in zip(warm, users, strict=True):
        for command in (f"LOGIN {user} {PASSWORD}", "SELECT INBOX"):
            connection.command(command)
        connection.command("IDLE", b"+")
    time.sleep(1.0)
    start = memory_kib([pid])
    print(f"imap process: {start / 1024:.1f} MiB with {len(users)} connections")

    def measured(what: str) -> None:
        time.sleep(1.0)
        print(f"{what}: {(memory_kib([pid]) - start) / count:.1f} KiB each", flush=True)

    connections = [Connection(port, context) for _ in range(count)]
    measured("connected")
    for number, connection in enumerate(connections):
        connection.command(f"LOGIN {users[number % len(users)]} {PASSWORD}")
    measured("logged in")
    for connection in connections:
        if compress:
            connection.compress()
        connection.command("SELECT INBOX")
    measured("selected")
    for connection in connections:
        connection.command("IDLE", b"+")
    measured("idling")
    with Meter({"imap": pid}) as meter:
        time.sleep(REST_SECONDS)
    print(f"CPU at rest: {1e3 * meter.total / meter.wall:.2f} ms/s")
    for connection in connections:
        connection.socket.close()


if __name__ == "__main__":
    sys.exit(main())
