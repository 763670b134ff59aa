"""Many large messages at once: `python tests/bench/bench_many_large.py [--connections 500] [--megabytes 25] [--tls]`.

All connections send their whole content but for its end, in turns; when the last one is there, all of them end it. Printed: the
highest PSS of smtp_in on the way, the replies, how long the slowest sender waited for a write and for its reply (RFC 5321
§4.5.3.2 gives it 3 and 10 minutes). Needs twice the octets of disk: what is spooled, and what the store keeps.
"""

import argparse
import collections
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import attrs
import trio
from measure import Meter, memory_kib

from shared.testing.stack import Stack
from shared.testing.world import unverified

MB = 1_000_000
PIECE = 64 * 1024
SAMPLE_SECONDS = 0.25
BLOCK_SECONDS = 180.0
REPLY_SECONDS = 600.0
TO = "bob@example.test"
CONTEXT = unverified()
"""One for all: making it takes longer than a handshake."""


@attrs.define
class Tally:
    """What the senders saw."""

    replies: collections.Counter[str] = attrs.field(factory=collections.Counter)
    slowest_write: float = 0.0
    slowest_reply: float = 0.0
    arrived: int = 0
    """Senders whose content is out but for its end."""
    all_there: trio.Event = attrs.field(factory=trio.Event)


@attrs.define
class Watch:
    """The highest PSS of a process and its descendants."""

    pid: int
    highest_kib: int = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.highest_kib = max(self.highest_kib, memory_kib([self.pid]))
            await trio.sleep(SAMPLE_SECONDS)


async def read_reply(stream: trio.abc.Stream) -> bytes:
    """One reply, whole."""
    data = b""
    while not (data.endswith(b"\r\n") and data.splitlines()[-1][3:4] == b" "):
        piece = await stream.receive_some(4096)
        if not piece:
            raise EOFError(data)
        data += piece
    return data


async def say(stream: trio.abc.Stream, line: str) -> bytes:
    """A command and its reply."""
    await stream.send_all(line.encode() + b"\r\n")
    return await read_reply(stream)


async def secured(stream: trio.abc.Stream) -> trio.abc.Stream:
    """STARTTLS without a look at the certificate."""
    await say(stream, "STARTTLS")
    return trio.SSLStream(stream, CONTEXT, https_compatible=True)


async def send(port: int, number: int, content: bytes, tally: Tally, count: int, *, tls: bool) -> None:
    """One message by one sender; nothing that goes wrong with it stops the others."""
    try:
        reply = await deliver(port, number, content, tally, count, tls=tls)
    except (OSError, EOFError, trio.BrokenResourceError, trio.TooSlowError) as error:
        reply = type(error).__name__
        arrive(tally, count)
    tally.replies[reply] += 1


def arrive(tally: Tally, count: int) -> None:
    """One more has nothing left to send, for better or worse."""
    tally.arrived += 1
    if tally.arrived >= count:
        tally.all_there.set()


async def deliver(port: int, number: int, content: bytes, tally: Tally, count: int, *, tls: bool) -> str:
    """As `send`; the last reply's codes."""
    stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await read_reply(stream)
        await say(stream, "EHLO sender.test")
        if tls:
            stream = await secured(stream)
            await say(stream, "EHLO sender.test")
        await say(stream, f"MAIL FROM:<sender{number}@remote.test> SIZE={len(content)}")
        await say(stream, f"RCPT TO:<{TO}>")
        reply = await say(stream, "DATA")
        if not reply.startswith(b"354"):
            arrive(tally, count)
            return reply.decode().strip()
        with memoryview(content) as view:
            for start in range(0, len(view), PIECE):
                began = time.monotonic()
                with trio.fail_after(BLOCK_SECONDS):
                    await stream.send_all(view[start : start + PIECE])
                tally.slowest_write = max(tally.slowest_write, time.monotonic() - began)
        arrive(tally, count)
        await tally.all_there.wait()
        began = time.monotonic()
        with trio.fail_after(REPLY_SECONDS):
            await stream.send_all(b".\r\n")
            reply = await read_reply(stream)
        tally.slowest_reply = max(tally.slowest_reply, time.monotonic() - began)
        return reply[:9].decode()


def content_of(octets: int) -> bytes:
    """A message that does not compress to nothing, without a dot at a line's start."""
    line_octets = 78
    noise = hashlib.shake_256(b"large").hexdigest(MB // 2).encode()
    lines = b"".join(noise[at : at + line_octets - 2] + b"\r\n" for at in range(0, len(noise), line_octets - 2))
    head = b"From: a@remote.test\r\nTo: bob@example.test\r\nSubject: large\r\nMessage-ID: <large@remote.test>\r\n\r\n"
    return head + lines * -(-(octets - len(head)) // len(lines))


async def run(stack: Stack, count: int, content: bytes, *, tls: bool) -> tuple[Tally, dict[str, float], dict[str, int]]:
    """All senders; what they saw, the seconds of each half, and PSS in KiB at its points."""
    tally, watch = Tally(), Watch(stack["smtp_in"].pid)
    memory = {"at first": memory_kib([watch.pid])}
    seconds: dict[str, float] = {}
    began = time.monotonic()
    async with trio.open_nursery() as watching:
        watching.start_soon(watch.run)
        async with trio.open_nursery() as senders:
            for number in range(count):
                senders.start_soon(lambda number=number: send(stack.port("smtp"), number, content, tally, count, tls=tls))
            await tally.all_there.wait()
            seconds["sending"] = time.monotonic() - began
            memory["all in DATA"] = memory_kib([watch.pid])
            memory["highest while sending"] = watch.highest_kib
            began = time.monotonic()
        seconds["committing"] = time.monotonic() - began
        watching.cancel_scope.cancel()
    memory["highest"] = watch.highest_kib
    memory["at last"] = memory_kib([watch.pid])
    return tally, seconds, memory


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=25)
    parser.add_argument("--tls", action="store_true", help="with STARTTLS")
    options = parser.parse_args()
    count: int = options.connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, 4 * count), max(4096, 4 * count)))
    settings = {
        "PILLARBOX_LIMITS__CONNECTIONS": str(2 * count),
        "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
    }
    content = content_of(options.megabytes * MB)
    with (
        tempfile.TemporaryDirectory(prefix="pillarbox-large-") as scratch,
        Stack(Path(scratch) / "data", services=("smtp_in",), settings=settings) as stack,
    ):
        stack.add_account(TO)
        with Meter({name: service.pid for name, service in stack.services.items()}) as meter:
            tally, seconds, memory = trio.run(lambda: run(stack, count, content, tls=options.tls))
    print(f"{count} connections with {len(content) / MB:.1f} MB each, {'STARTTLS' if options.tls else 'no TLS'}")
    print("replies:", dict(tally.replies))
    print("seconds:", {name: round(value, 1) for name, value in seconds.items()})
    print(f"slowest write {tally.slowest_write:.1f} s, slowest reply {tally.slowest_reply:.1f} s")
    print("PSS of smtp_in, MB:", {name: round(kib * 1024 / MB, 1) for name, kib in memory.items()})
    print("CPU seconds:", {name: round(value, 1) for name, value in meter.cpu.items()})
    return 0 if set(tally.replies) == {"250 2.0.0"} else 1


if __name__ == "__main__":
    sys.exit(main())
