"""smtp_in as a real process with a real store: a server per test file, a raw client, and eyes on mailboxes and queue."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from shared.contract.queue_types import QueueItem
from shared.contract.registry import Role
from shared.contract.types import ContentRange
from shared.model.ids import EntryId, Uid
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack

ACCOUNTS = ("alice@example.test", "bob@example.test")
WAIT_SECONDS = 20.0


class Raw:
    """A client that sends exactly what it is told to."""

    def __init__(self, port: int, *, tls: bool = False, greet: bool = True, source: str = "") -> None:
        """`source`: the address to come from, any of 127.0.0.0/8."""
        self.sock = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS, (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        if tls:
            self.start_tls()
        if greet:
            assert self.reply().startswith(b"220 ")

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            received = self.sock.recv(65536)
            if not received:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def reply(self) -> bytes:
        """The last line of the next reply; b"" at the end of the connection."""
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        return line

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.reply()

    def begin(self, *recipients: bytes, sender: bytes = b"sender@elsewhere.test") -> None:
        """EHLO, MAIL, RCPT and DATA, all of which have to succeed."""
        assert self.ask(b"EHLO client.test").startswith(b"250 ")
        assert self.ask(b"MAIL FROM:<" + sender + b">").startswith(b"250 ")
        for recipient in recipients or (b"alice@example.test",):
            assert self.ask(b"RCPT TO:<" + recipient + b">").startswith(b"250 ")
        assert self.ask(b"DATA").startswith(b"354 ")

    def at_end(self) -> bool:
        """The server has closed the connection and nothing more was said."""
        return not self._buffer and self.sock.recv(1) == b""

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Eyes:
    """What the store holds."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def mailbox(self, address: str, name: str = "INBOX") -> list[bytes]:
        """The contents of a mailbox in UID order."""

        async def read(store: StoreClient) -> list[bytes]:
            login = await store.auth.login(address, PASSWORD, "127.0.0.1")
            state = await store.mailboxes.select(login.grant, name, False)
            page = await store.messages.changes(login.grant, state.mailbox_id, 0, 0, 10_000)
            contents = []
            for uid in unpack_u32(page.uids):
                content = b""
                while True:
                    wanted = (ContentRange(Uid(uid), len(content)),)
                    (piece,) = await store.messages.read(login.grant, state.mailbox_id, wanted)
                    assert piece is not None
                    content += piece
                    if len(piece) < 256 * 1024:
                        break
                contents.append(content)
            return contents

        return self.stack.administer(read, Role.IMAP)

    def with_subject(self, address: str, subject: bytes) -> list[bytes]:
        """The messages of an account's INBOX whose header has this Subject."""
        marker = b"\r\nSubject: " + subject + b"\r\n"
        return [content for content in self.mailbox(address) if marker in content]

    def queue(self) -> list[QueueItem]:
        async def read(store: StoreClient) -> list[QueueItem]:
            return list(await store.admin.queue_list(EntryId(0), 1000))

        return self.stack.administer(read)


def started(data_dir: Path, settings: dict[str, str] | None = None) -> Stack:
    """A store and smtp_in with the accounts, not yet entered as a context."""
    own = {"PILLARBOX_SERVER__HOSTNAME": "mx.example.test", "PILLARBOX_SERVER__LISTEN": "127.0.0.1"}
    return Stack(data_dir, services=("smtp_in",), settings=own | (settings or {}))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One server for a whole test file: alice, bob, aliases `team` (both, and one elsewhere) and `remote`."""
    with started(tmp_path_factory.mktemp("smtp_in") / "data") as running:
        running.add_accounts(dict.fromkeys(ACCOUNTS, PASSWORD))
        running.add_alias("team@example.test", *ACCOUNTS, "carol@elsewhere.test")
        running.add_alias("postmaster@example.test", "alice@example.test")
        yield running


@pytest.fixture
def eyes(stack: Stack) -> Eyes:
    return Eyes(stack)


@pytest.fixture(scope="session")
def watch() -> Callable[[Stack], Eyes]:
    """Eyes on a stack of the test's own."""
    return Eyes


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Stack]:
    """`with start({"PILLARBOX_...": "..."}) as stack:` for a test that needs its own settings or breaks things."""

    def make(settings: dict[str, str] | None = None) -> Stack:
        return started(tmp_path_factory.mktemp("smtp_in") / "data", settings)

    return make


@pytest.fixture(scope="session")
def dial() -> type[Raw]:
    """`dial(port)`: a raw connection."""
    return Raw
