"""POP3 with a real store and mail put straight into it, and a client that says exactly what a test wants it to say."""

import itertools
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import trio

from shared.contract.device_types import DeviceUse
from shared.contract.registry import Role
from shared.contract.types import Delivery, LocalRecipient
from shared.mail.index import build_index
from shared.model.pop3 import Dele
from shared.rpc.store_client import StoreClient
from shared.testing.stack import DOMAIN, PASSWORD, Stack

CLIENT_SECONDS = 15.0


class Wire:
    """One connection, spoken by hand; a context manager. Every wait ends after CLIENT_SECONDS."""

    def __init__(self, port: int, greeting: bool = True) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), CLIENT_SECONDS)
        self._file = self.sock.makefile("rb")
        self.greeting = self.line() if greeting else b""

    def send(self, data: bytes) -> None:
        """Sends octets as they are."""
        self.sock.sendall(data)

    def line(self) -> bytes:
        """One line without its CRLF; b"" at the end of the connection."""
        line = self._file.readline()
        assert line == b"" or line.endswith(b"\r\n")
        return line[:-2]

    def command(self, text: str) -> bytes:
        """The first line of the answer."""
        self.send(text.encode() + b"\r\n")
        return self.line()

    def body(self) -> bytes:
        """What follows "+OK" of a multi-line answer, dots taken away."""
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            assert line.endswith(b"\r\n"), "the connection ended inside an answer"
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def multi(self, text: str) -> bytes:
        """A multi-line answer that has to be positive."""
        first = self.command(text)
        assert first.startswith(b"+OK"), first
        return self.body()

    def log_in(self, address: str, password: str = PASSWORD) -> Self:
        self.send(f"USER {address}\r\nPASS {password}\r\n".encode())
        assert self.line().startswith(b"+OK")
        assert (answer := self.line()).startswith(b"+OK"), answer
        return self

    def start_tls(self) -> None:
        """The client's handshake on this connection, nothing verified."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._file.close()
        self.sock = context.wrap_socket(self.sock)
        self._file = self.sock.makefile("rb")

    def at_end(self) -> bool:
        """Waits for the end of the connection."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Closes without QUIT."""
        self._file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Pop3Stack(Stack):
    """A store and POP3, and mail put straight into the store."""

    def __init__(self, data_dir: Path, settings: dict[str, str] | None = None) -> None:
        super().__init__(data_dir, ("pop3",), settings)
        self._names = itertools.count(1)

    def account(self, *messages: bytes) -> str:
        """A new account that has these messages."""
        address = f"user{next(self._names)}@{DOMAIN}"
        self.add_account(address)
        self.deliver(address, messages)
        return address

    def device(self, address: str, name: str) -> str:
        """A new app password for POP3."""
        added = self.administer(lambda store: store.devices.add(address, name, (DeviceUse.POP3,), (), ()))
        return added.password

    def set_dele(self, address: str, dele: Dele) -> None:
        """What DELE means for an account."""
        self.administer(lambda store: store.pop3.set(address, dele, None))

    def deliver(self, address: str, messages: Sequence[bytes]) -> None:
        """Files the messages one after the other, as smtp_in does."""

        async def run(store: StoreClient) -> None:
            resolution = await store.directory.resolve(address)
            for message in messages:
                delivery = Delivery(
                    trace="test",
                    sender="",
                    local=(LocalRecipient(resolution.accounts[0], address),),
                    remote=(),
                    content=await store.put_content(message),
                    index=build_index(message),
                )
                await store.messages.deliver(delivery)

        if messages:
            self.administer(run, Role.SMTP_IN)

    def deliver_many(self, address: str, message: bytes, copies: int, at_once: int = 128) -> None:
        """Files `copies` of a message, so many side by side that they share commits."""

        async def run(store: StoreClient) -> None:
            resolution = await store.directory.resolve(address)
            local = (LocalRecipient(resolution.accounts[0], address),)
            content, index = await store.put_content(message), build_index(message)
            left = iter(range(copies))

            async def work() -> None:
                for _ in left:
                    await store.messages.deliver(
                        Delivery(trace="test", sender="", local=local, remote=(), content=content, index=index)
                    )

            async with trio.open_nursery() as nursery:
                for _ in range(at_once):
                    nursery.start_soon(work)

        self.administer(run, Role.SMTP_IN)

    def wire(self, listener: str = "pop3") -> Wire:
        """A connection that has seen the greeting."""
        return Wire(self.port(listener))

    def logged_in(self, address: str) -> Wire:
        """A connection in the TRANSACTION state."""
        return self.wire().log_in(address)

    def count(self, address: str) -> int:
        """How many messages a new session sees."""
        with self.logged_in(address) as wire:
            return int(wire.command("STAT").split()[1])
