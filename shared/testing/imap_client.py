"""A bare IMAP client for tests: sends what it is told, returns every response as it came.

Unlike a real client it hides nothing: the order of untagged responses, their exact octets, what comes without being asked for.
"""

import re
import socket
import ssl
import zlib
from collections.abc import Callable, Sequence
from typing import Self

import attrs

SECONDS = 20.0
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")


class ConnectionEnded(AssertionError):
    """The server closed the connection."""


@attrs.frozen
class Answer:
    """What came for a command: untagged responses in order (literals inside), and the tagged one without its tag."""

    untagged: tuple[bytes, ...]
    tagged: bytes

    @property
    def ok(self) -> bool:
        return self.tagged.startswith(b"OK")

    def of(self, word: bytes) -> list[bytes]:
        """Untagged responses of a kind: ``EXISTS``, ``FETCH``, ``LIST`` and the like."""
        found = []
        for line in self.untagged:
            words = line.split(None, 3)
            if word in words[1:3]:
                found.append(line)
        return found

    def numbers(self) -> list[int]:
        """Of the SEARCH response."""
        for line in self.of(b"SEARCH"):
            return [int(word) for word in line.split(b"(")[0].split()[2:]]
        raise AssertionError(f"no SEARCH in {self}")


class ImapClient:
    """One connection to 127.0.0.1."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        if tls:
            self.start_tls()
        self._buffer = b""
        self._tags = 0
        self._packer: zlib._Compress | None = None
        self._unpacker: zlib._Decompress | None = None
        self.octets_received = 0
        self.greeting = self.read_response()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def start_tls(self) -> None:
        """The handshake; any certificate will do."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def compress(self) -> None:
        """COMPRESS: from here on both sides do."""
        self.ok("COMPRESS DEFLATE")
        self._packer, self._unpacker = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def send(self, data: bytes) -> None:
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._socket.sendall(data)

    def send_raw(self, data: bytes) -> None:
        """Past the compression layer."""
        self._socket.sendall(data)

    def end_compression(self) -> None:
        """What is sent from here on is not compressed; what comes is, up to the end of the server's layer."""
        self._packer = None

    def _fill(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionEnded(self._buffer.decode("latin-1"))
        self.octets_received += len(data)
        if self._unpacker is not None:
            unpacker = self._unpacker
            data = unpacker.decompress(data)
            if unpacker.eof:
                data, self._unpacker = data + unpacker.unused_data, None
        self._buffer += data

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._fill()
        line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        return line

    def read_response(self) -> bytes:
        """One response with its literals, without the last line end. Raises ConnectionEnded."""
        whole = self._line()
        while (match := _LITERAL.search(whole)) is not None:
            octets = int(match.group(1))
            while len(self._buffer) < octets:
                self._fill()
            whole += self._buffer[:octets]
            self._buffer = self._buffer[octets:]
            whole += self._line()
        return whole.removesuffix(b"\r\n")

    def at_end(self) -> bool:
        """Whether the server has closed the connection; waits for that or for more to come."""
        if self._buffer:
            return False
        try:
            self._fill()
        except (ConnectionEnded, ConnectionResetError):
            return True
        return False

    def start(self, command: bytes) -> bytes:
        """Send a command without waiting; its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.send(tag + b" " + command + b"\r\n")
        return tag

    def finish(self, tag: bytes) -> Answer:
        """Read up to the tagged response of a command."""
        untagged: list[bytes] = []
        while True:
            response = self.read_response()
            if response.startswith(tag + b" "):
                return Answer(tuple(untagged), response[len(tag) + 1 :])
            untagged.append(response)

    def command(self, command: bytes | str) -> Answer:
        """Send a command and wait for its end."""
        octets = command.encode() if isinstance(command, str) else command
        return self.finish(self.start(octets))

    def ok(self, command: bytes | str) -> Answer:
        """A command that must succeed."""
        answer = self.command(command)
        assert answer.ok, (command, answer)
        return answer

    def append(self, mailbox: bytes, message: bytes, arguments: bytes = b"") -> Answer:
        """APPEND by a non-synchronizing literal."""
        space = b" " if arguments else b""
        return self.command(b"APPEND %b %b%b{%d+}\r\n%b" % (mailbox, arguments, space, len(message), message))

    def login(self, address: str, password: str) -> Self:
        self.ok(f"LOGIN {address} {password}")
        return self

    def idle(self, hear: Callable[[list[bytes]], None] | None = None) -> bytes:
        """Begin to IDLE; its tag, for ``done``. ``hear``: is given what came before the continuation."""
        tag = self.start(b"IDLE")
        responses: list[bytes] = []
        while not (response := self.read_response()).startswith(b"+"):
            responses.append(response)
        if hear is not None:
            hear(responses)
        return tag

    def done(self, tag: bytes) -> Answer:
        """End an IDLE."""
        self.send(b"DONE\r\n")
        return self.finish(tag)


def uids_told(responses: Sequence[bytes]) -> list[int]:
    """UIDs in FETCH responses."""
    return [int(match.group(1)) for line in responses if (match := re.search(rb"\bUID (\d+)", line)) is not None]
