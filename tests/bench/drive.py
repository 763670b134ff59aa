"""The load: our C driver (`drivers/mailload.c`), a small IMAP client for counting, and the filling of mailboxes."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from messages import message

HERE = Path(__file__).resolve().parent
PASSWORD = "pw"
FILL_CONNECTIONS = 8
MESSAGES_AT_ONCE = 40
"""In one MULTIAPPEND: the larger ones are uploads in Pillarbox, 512 of which may be under way at once."""


def build_driver(directory: Path, compiler: str) -> Path:
    """Compile mailload into `directory`."""
    program = directory / "mailload"
    source = HERE / "drivers/mailload.c"
    subprocess.run([compiler, "-O2", "-pthread", "-o", program, source], check=True)
    return program


def build_slow_disk(directory: Path, compiler: str) -> Path:
    """Compile the library that makes every flush to disk as slow as a hard disk's."""
    library = directory / "slowsync.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "drivers/slowsync.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


def load(driver: Path, mode: str, *arguments: object) -> dict[str, Any]:
    """Run the driver; its JSON answer. Failures inside are in `failed`."""
    command = [str(driver), mode, *map(str, arguments)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=900).stdout
    result: dict[str, Any] = json.loads(answer)
    return result


class Commands:
    """One IMAP connection of the driver: each command timed in C."""

    def __init__(self, driver: Path, port: int, user: str) -> None:
        command = [str(driver), "imapcmd", "-P", str(port), "-U", user]
        self._driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._driver.stdout is not None
        self._driver.stdout.readline()

    def run(self, command: str) -> dict[str, Any]:
        """{"ok", "wall", "bytes", "untagged", "literals", "driver_cpu"}"""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(command.encode() + b"\n")
        self._driver.stdin.flush()
        answer: dict[str, Any] = json.loads(self._driver.stdout.readline())
        if answer["ok"] != 1:
            raise RuntimeError(f"{command}: {answer}")
        return answer

    def close(self) -> None:
        """End the connection."""
        self._driver.communicate()


class Imap:
    """A minimal IMAP client, for counting and filling; nothing is timed with it."""

    def __init__(self, port: int, user: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")
        self._number = 0
        self._file.readline()
        self.command(f"LOGIN {user} {PASSWORD}")
        self.capabilities = b" ".join(self.command("CAPABILITY")).upper()

    def begin(self, *parts: bytes) -> None:
        """Send one command without waiting."""
        self._number += 1
        self.socket.sendall(b"t%d " % self._number + b"".join(parts) + b"\r\n")

    def finish(self, number: int | None = None) -> list[bytes]:
        """The untagged lines up to the tagged reply of the command with that number (the last one)."""
        tag = b"t%d " % (self._number if number is None else number)
        lines: list[bytes] = []
        while True:
            line = self._file.readline()
            if not line:
                raise EOFError
            if line.startswith(tag):
                if not line[len(tag) :].startswith(b"OK"):
                    raise RuntimeError(line.decode())
                return lines
            lines.append(line)

    def command(self, command: str) -> list[bytes]:
        """Send and wait."""
        self.begin(command.encode())
        return self.finish()

    def wait_for(self, word: bytes) -> None:
        """Read to the next line with a word in it."""
        while word not in (line := self._file.readline()):
            if not line:
                raise EOFError

    def count(self, mailbox: str = "INBOX") -> int:
        """Messages in a mailbox."""
        for line in self.command(f"STATUS {mailbox} (MESSAGES)"):
            if b"MESSAGES" in line:
                return int(line.rsplit(b"MESSAGES", 1)[1].strip(b" )\r\n"))
        raise RuntimeError("no STATUS reply")

    def close(self) -> None:
        """Close without ceremony."""
        self._file.close()
        self.socket.close()


def _append_share(port: int, user: str, share: Sequence[bytes], errors: list[Exception]) -> None:
    try:
        client = Imap(port, user)
        if b"MULTIAPPEND" in client.capabilities:
            for start in range(0, len(share), MESSAGES_AT_ONCE):
                batch = share[start : start + MESSAGES_AT_ONCE]
                client.begin(b"APPEND INBOX", *(b" {%d+}\r\n%s" % (len(one), one) for one in batch))
                client.finish()
        else:
            for one in share:
                client.begin(b"APPEND INBOX {%d+}\r\n" % len(one), one)
                client.finish()
        client.close()
    except Exception as error:
        error.add_note(f"port {port}, {user}")
        errors.append(error)


def fill(port: int, user: str, messages: Sequence[bytes]) -> float:
    """Append the messages to the user's INBOX over several connections, in parallel; seconds it took."""
    errors: list[Exception] = []
    # The first one alone: Dovecot 2.3.19 may panic when several connections begin the same mdbox at once.
    _append_share(port, user, messages[:1], errors)
    messages = messages[1:]
    start = time.perf_counter()
    threads = [
        threading.Thread(target=_append_share, args=(port, user, messages[number::FILL_CONNECTIONS], errors))
        for number in range(FILL_CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.perf_counter() - start


def corpus(count: int, size: int) -> list[bytes]:
    """`count` messages of about `size` octets."""
    return [message(number, size) for number in range(count)]
