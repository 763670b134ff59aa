"""What only exact timing shows, on a session over a real socket: the end of a wait never hits a commit; a late start while draining."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any, cast

import trio
from attrs import define

from services.smtp_in.deliver import Deliverer, Result
from services.smtp_in.front import Counters, Front, Timeouts
from services.smtp_in.policy.chain import Chain, Policy
from services.smtp_in.ports import Profiles
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.refusals import Refusals
from services.smtp_in.session import Session
from services.smtp_in.spool import MemoryBudget, Spool, SpoolLimits
from services.smtp_in.transaction import Transaction
from shared.net.listen import Listener
from shared.net.networks import NetworkSet
from shared.net.stream import ClientStream
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.testing.runner import trio_test

TALK = b"EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n"


class Everybody(Policy):
    """Takes every recipient."""

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        transaction.accept_remote(recipient)
        return replies.RECIPIENT_OK


@define
class Committer:
    """Stands for the deliverer: the commit takes a few turns of the loop, and says when it was cancelled."""

    before: Callable[[], None] = lambda: None
    committed: int = 0
    cancelled: int = 0

    def prepare(self, transaction: Transaction, head: bytes, header: object) -> bytes:
        return head

    async def deliver(self, transaction: Transaction, spool: Spool) -> Result:
        self.before()
        try:
            for _ in range(5):
                await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        self.committed += 1
        return Result(replies.queued("t"))


class Hooked(ClientStream):
    """A real stream; `after_receive` runs when octets have come, before the session sees them."""

    after_receive: Callable[[bytes], None] = staticmethod(lambda data: None)

    async def receive_some(self, max_bytes: int) -> bytes:
        data = await super().receive_some(max_bytes)
        self.after_receive(data)
        return data


def no_tls() -> ssl.SSLContext:
    raise AssertionError("nobody asked for TLS")


def front(directory: Path, committer: Committer, *, draining: bool = False) -> Front:
    return Front(
        store=cast("Any", None),
        policy=Chain((Everybody(),)),
        deliverer=cast("Deliverer", committer),
        profiles=Profiles("mx.test", NetworkSet()),
        limits=Limits(),
        spool=SpoolLimits(directory, 1 << 18, 1 << 18, MemoryBudget(1 << 30)),
        timeouts=Timeouts(300, 300, 30),
        tls=no_tls,
        is_draining=lambda: draining,
        log=Logger("test", write=lambda line: None),
        counters=Counters(Metrics()),
        refusals=Refusals(cast("Any", None), Logger("test", write=lambda line: None), 0),
    )


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Hooked, trio.SocketStream]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = await trio.open_tcp_stream("127.0.0.1", server.getsockname()[1])
        raw, _ = server.accept()
    raw.setblocking(False)
    stream = Hooked(raw, send_timeout_seconds=10)
    async with client:
        try:
            yield stream, client
        finally:
            stream.abort()


async def everything(client: trio.SocketStream) -> bytes:
    return b"".join([chunk async for chunk in client])


LISTENER = Listener("smtp", "127.0.0.1", 0, False, cast("Any", None))


async def run(session: Session, stream: Hooked) -> None:
    await session.run()
    await stream.aclose()


@trio_test
async def test_silence_that_ends_with_the_final_dot_does_not_cancel_the_commit(tmp_path: Path) -> None:
    committer = Committer()
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        session = Session(front(tmp_path, committer), stream, LISTENER)

        def too_late(data: bytes) -> None:
            if data.endswith(b"\r\n.\r\n"):
                # The watch looks in the same turn in which the octets arrive: one of both is first.
                session.end_if_silent(inf)

        stream.after_receive = too_late
        nursery.start_soon(run, session, stream)
        await client.send_all(TALK)
        await client.send_all(b"Subject: x\r\n\r\nx")
        await trio.testing.wait_all_tasks_blocked()
        await client.send_all(b"\r\n.\r\n")
        answer = await everything(client)
    assert committer.cancelled == 0
    assert committer.committed == 0
    assert answer.endswith(b"421 4.4.2 mx.test timed out waiting for you\r\n")


@trio_test
async def test_a_commit_under_way_is_no_silence(tmp_path: Path) -> None:
    committer = Committer()
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        session = Session(front(tmp_path, committer), stream, LISTENER)

        def interfere() -> None:
            session.end_if_silent(1e300)
            session.drain()

        committer.before = interfere
        nursery.start_soon(run, session, stream)
        await client.send_all(TALK + b"x\r\n.\r\n")
        answer = await everything(client)
    assert committer.committed == 1
    assert b"250 2.0.0 Ok: queued as t\r\n421 4.3.2 mx.test is shutting down" in answer


@trio_test
async def test_a_session_that_begins_while_draining(tmp_path: Path) -> None:
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        nursery.start_soon(run, Session(front(tmp_path, Committer(), draining=True), stream, LISTENER), stream)
        assert (await everything(client)).startswith(b"421 4.3.2 mx.test is shutting down")
