"""Waiting and telling at the same time: two tasks never send at once."""

import socket
from types import SimpleNamespace
from typing import Any, cast

import trio

from services.imap.client import Client
from services.imap.context import Context
from services.imap.protocol.framing import FramingLimits
from services.imap.telling import read_and_tell
from shared.net.stream import ClientStream


def test_news_wait_while_replies_are_still_being_sent() -> None:
    """The client has not yet read the reply to its last command when news come."""

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        peer = socket.create_connection(listener.getsockname())
        peer.settimeout(3)
        raw, _ = listener.accept()
        listener.close()
        client = Client(ClientStream.from_socket(raw), FramingLimits())
        changed = trio.Event()
        changed.set()

        async def write_news() -> None:
            client.write(b"* 1 EXISTS\r\n")

        teller = SimpleNamespace(write_news=write_news)
        fake = SimpleNamespace(
            client=client, changed=changed, mailbox_lost=False, teller=teller, selected=None, contexts=None, own_uids=()
        )
        replies = b"x" * 16_000_000
        client.write(replies)
        got = bytearray()

        def read_all() -> None:
            while not got.endswith(b"EXISTS\r\n"):
                got.extend(peer.recv(1 << 20))
            peer.sendall(b"a NOOP\r\n")

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    await read_and_tell(cast("Context", cast("Any", fake)), client.next_event, expunge=True)

                nursery.start_soon(wait)
                nursery.start_soon(trio.to_thread.run_sync, read_all)
        assert bytes(got) == replies + b"* 1 EXISTS\r\n"
        peer.close()
        await client._stream.aclose()

    trio.run(main)
