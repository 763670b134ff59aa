"""An IMAP server for tests that does what some servers do and Dovecot never does: Gmail's labels, messages that it cannot give, sizes that
are wrong, connections that end in the middle. It knows what `pillarbox import imap` asks, and nothing else.

    with OddServer({"INBOX": Folder({1: Message(b"Subject: x\\r\\n\\r\\n")})}) as server: ... server.port
"""

import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BufferedRWPair
from typing import Self

import attrs

_ATTEMPT = re.compile(rb'(\S+) (?:UID )?(\S+) ?(.*)')


@attrs.define
class Message:
    content: bytes
    flags: str = ""
    copy: int = 0
    """X-GM-MSGID."""
    size: int | None = None
    """RFC822.SIZE, where it is wrong."""
    date: str = " 2-Mar-2019 10:00:00 +0900"
    refused: bool = False
    """NO to whoever asks for its content."""
    ends: int = 0
    """How often the connection ends in the middle of its content."""


@attrs.define
class Folder:
    messages: dict[int, Message] = attrs.field(factory=dict)
    attributes: str = ""
    uidvalidity: int = 1234


class OddServer:
    """One account that anybody may enter."""

    def __init__(self, folders: Mapping[str, Folder], capabilities: str = "") -> None:
        self.folders = dict(folders)
        self.commands: list[str] = []
        """Without their tags."""
        self._capabilities = f"IMAP4rev1 {capabilities}".strip()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # wakes whoever waits for a connection
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        opened = Folder()
        with connection, connection.makefile("rwb") as stream, suppress(OSError, ValueError):
            _say(stream, "* OK odd")
            while (line := stream.readline()) and (match := _ATTEMPT.match(line.rstrip())):
                tag, word, rest = (each.decode() for each in match.groups())
                self.commands.append(f"{word} {rest}")
                if word == "EXAMINE":
                    opened = self.folders[rest.split('"')[1]]
                if word == "FETCH":
                    said = self._fetch(stream, opened, rest)
                    if said is None:
                        return
                else:
                    self._answer(stream, word, opened)
                    said = "OK done"
                _say(stream, f"{tag} {said}")

    def _answer(self, stream: "BufferedRWPair", word: str, opened: Folder) -> None:
        if word == "CAPABILITY":
            _say(stream, f"* CAPABILITY {self._capabilities}")
        elif word in {"LIST", "LSUB"}:
            for name, folder in self.folders.items():
                _say(stream, f'* {word} ({folder.attributes}) "/" "{name}"')
        elif word == "EXAMINE":
            _say(stream, f"* {len(opened.messages)} EXISTS")
            _say(stream, f"* OK [UIDVALIDITY {opened.uidvalidity}] yes")

    def _fetch(self, stream: "BufferedRWPair", opened: Folder, rest: str) -> str | None:
        """None: the connection ends."""
        wanted = _wanted(rest.split()[0])
        for number, (uid, message) in enumerate(sorted(opened.messages.items()), 1):
            if not wanted(uid):
                continue
            if "BODY" not in rest:
                size = len(message.content) if message.size is None else message.size
                copy = f" X-GM-MSGID {message.copy}" if "X-GM-MSGID" in rest else ""
                date = f'INTERNALDATE "{message.date}" RFC822.SIZE {size}'
                _say(stream, f"* {number} FETCH (UID {uid} FLAGS ({message.flags}) {date}{copy})")
                continue
            if message.refused:
                return "NO [SERVERBUG] cannot read it"
            stream.write(b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (number, uid, len(message.content)))
            if message.ends:
                message.ends -= 1
                return None
            stream.write(message.content)
            _say(stream, ")")
        return "OK done"


def _wanted(text: str) -> Callable[[int], bool]:
    ranges = [piece.partition(":") for piece in text.split(",")]
    return lambda uid: any(
        int(first) <= uid and (last == "*" or uid <= int(last or first)) for first, _, last in ranges
    )


def _say(stream: "BufferedRWPair", line: str) -> None:
    stream.write(line.encode() + b"\r\n")
    stream.flush()
