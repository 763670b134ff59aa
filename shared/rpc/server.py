"""The store's side of the RPC: handshake, dispatch by the contract, roles, deadlines, cancellation, back-pressure.

Laws: a method outside the contract or the role does not exist for the caller (Forbidden); a handler's unforeseen exception is
logged here and travels as Internal, never further; one connection's trouble stays its own; at most MAX_CALLS calls of one
connection are under way, beyond that its stream is not read.
"""

import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import outcome
import trio

from shared.contract import VERSION
from shared.contract.areas import AREAS, METHODS
from shared.contract.codec import CODECS, MethodCodec
from shared.contract.registry import Role
from shared.errors import BadRequest, DeadlineExceeded, Forbidden, Internal, StoreError
from shared.model.blob import Blob, Buffer
from shared.observe.log import Logger
from shared.observe.trace import TRACE
from shared.rpc import frames
from shared.rpc.frames import FrameError, FrameReader, Notification, Request
from shared.rpc.handshake import HELLO, NONCE_OCTETS, PROVE, proof, proof_is_right
from shared.rpc.outbox import Outbox

MAX_CALLS: Final = 1024
HANDSHAKE_SECONDS: Final = 10.0
MAX_CALL_SECONDS: Final = 120.0
DEADLINE_GRAIN_SECONDS: Final = 0.5
IDLE_WORKERS: Final = 128
"""Kept per connection for the next calls; more of them run when needed, and end."""


class Peer:
    """One authenticated connection: who it is, and what ends with it (watches, uploads) by ``on_close``."""

    def __init__(self, number: int, role: Role, worker: str, outbox: Outbox) -> None:
        self.number = number
        self.role = role
        self.worker = worker
        self.since = time.time()
        self._outbox = outbox
        self._on_close: list[Callable[[], None]] = []

    def notify(self, method: str, params: list[Any]) -> None:
        """Push a notification; dropped when the connection has ended."""
        self._outbox.put_nowait(frames.encode_notification(method, params))

    @property
    def backlog_octets(self) -> int:
        """What waits for this peer to read it."""
        return self._outbox.octets

    def on_close(self, callback: Callable[[], None]) -> None:
        self._on_close.append(callback)

    def closed(self) -> None:
        for callback in self._on_close:
            callback()


@attrs.frozen
class Call:
    """What a handler knows of its caller, before the contract's parameters."""

    peer: Peer
    op_id: bytes | None
    """16 bytes for a call that writes, else None."""
    trace: str

    @property
    def role(self) -> Role:
        return self.peer.role


Handler = Callable[..., Awaitable[Any]]


def bind_handlers(areas: Mapping[str, object]) -> dict[str, Handler]:
    """The dispatch table. Raises TypeError where an implementation lacks a call, or has other parameters than the contract."""
    handlers: dict[str, Handler] = {}
    if set(areas) != set(AREAS):
        raise TypeError(f"areas differ from the contract: {sorted(set(areas) ^ set(AREAS))}")
    for name, method in METHODS.items():
        handler: Handler | None = getattr(areas[method.area], method.name, None)
        if handler is None:
            raise TypeError(f"no handler for {name}")
        given = list(inspect.signature(handler).parameters)
        expected = ["call", *(parameter for parameter, _ in method.parameters)]
        if given != expected:
            raise TypeError(f"{name} takes {given}, the contract says {expected}")
        handlers[name] = handler
    return handlers


class RpcServer:
    """Serves connections; ``handlers`` come from ``bind_handlers``, keys by role."""

    def __init__(self, handlers: Mapping[str, Handler], keys: Mapping[Role, bytes], log: Logger) -> None:
        self._handlers = handlers
        self._keys = keys
        self._log = log
        self._numbers = 0
        self.peers: dict[int, Peer] = {}
        self.calls = 0

    async def serve_connection(self, stream: trio.abc.Stream) -> None:
        """The whole life of one connection. Never raises but Cancelled."""
        outbox = Outbox(stream)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(outbox.run_or_cancel, nursery.cancel_scope)
                reader = FrameReader()
                peer: Peer | None = None
                try:
                    with trio.fail_after(HANDSHAKE_SECONDS):
                        peer = await self._handshake(stream, reader, outbox)
                    if peer is not None:
                        await self._serve(stream, reader, outbox, peer)
                # A group: once the connection is served, the error has passed through the nursery of its calls.
                except* (FrameError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as errors:
                    error = _first_leaf(errors)
                    # a peer that was killed or that stopped with answers unread is its own log's business, garbage is ours
                    tell = self._log.warning if isinstance(error, FrameError | trio.TooSlowError) else self._log.info
                    tell("rpc connection ended", error=str(error) or type(error).__name__)
                finally:
                    if peer is not None:
                        self.peers.pop(peer.number, None)
                        peer.closed()
                nursery.cancel_scope.cancel()
        finally:
            outbox.close()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _handshake(self, stream: trio.abc.Stream, reader: FrameReader, outbox: Outbox) -> Peer | None:
        hello = await _next_request(stream, reader)
        if hello is None:
            return None
        match hello.params:
            case [int(version), str(role_name), str(worker), bytes(client_nonce)] if hello.method == HELLO:
                pass
            case _:
                raise FrameError("no hello")
        if version != VERSION:
            outbox.put_nowait(
                frames.encode_error(hello.id, Forbidden.code, f"contract version {version}, the store speaks {VERSION}")
            )
            # the writer is another task: let the answer leave before the connection is closed
            await trio.sleep(0.05)
            return None
        role = Role(role_name) if role_name in Role.__members__.values() else None
        # an unknown role is checked against a key that nobody has, so that it fails like a wrong key
        key = self._keys.get(role) if role is not None else None
        key = key if key is not None else secrets.token_bytes(32)
        store_nonce = secrets.token_bytes(NONCE_OCTETS)
        outbox.put_nowait(
            frames.encode_result(hello.id, [store_nonce, proof(key, "store", role_name, client_nonce, store_nonce)])
        )
        prove = await _next_request(stream, reader)
        if prove is None or prove.method != PROVE or len(prove.params) != 1:
            return None
        if role is None or not proof_is_right(prove.params[0], key, "edge", role_name, client_nonce, store_nonce):
            self._log.warning("rpc handshake refused", role=role_name[:32])
            return None
        outbox.put_nowait(frames.encode_result(prove.id, True))
        self._numbers += 1
        peer = Peer(self._numbers, role, worker[:64], outbox)
        self.peers[peer.number] = peer
        return peer

    async def _serve(self, stream: trio.abc.Stream, reader: FrameReader, outbox: Outbox, peer: Peer) -> None:
        async with trio.open_nursery() as nursery:
            calls = _Calls(self, peer, outbox, nursery)
            nursery.start_soon(calls.watch_deadlines)
            while True:
                for message in reader.messages():
                    if isinstance(message, Request):
                        await calls.start(message)
                    elif isinstance(message, Notification) and message.method == frames.CANCEL and message.params:
                        calls.cancel(message.params[0])
                await outbox.wait_room()
                data = await stream.receive_some(frames.READ_OCTETS)
                if not data:
                    break
                reader.feed(bytes(data))
            nursery.cancel_scope.cancel()

    async def answer(self, request: Request, peer: Peer) -> Sequence[Buffer]:
        """Run one call; the frame to answer with, and its blob. Raises only Cancelled."""
        self.calls += 1
        TRACE.set(request.trace)
        try:
            codec = CODECS.get(request.method)
            if codec is None or peer.role not in codec.method.roles:
                raise Forbidden(f"{request.method} is not for {peer.role}")
            if codec.method.write and request.op_id is None:
                raise BadRequest(f"{request.method} needs an operation id")
            parameters = codec.decode_parameters(request.params)
            result = await self._handlers[request.method](Call(peer, request.op_id, request.trace), *parameters)
            return _encode_result(request.id, codec, result)
        except StoreError as error:
            return (frames.encode_error(request.id, error.code, error.detail),)
        except Exception as error:
            self._log.exception("call failed", error, method=request.method, role=str(peer.role))
            return (frames.encode_error(request.id, Internal.code, type(error).__name__),)


class _Calls:
    """The calls of one connection that are under way, at most MAX_CALLS, each in a worker task of its own.

    Workers are kept and used again: a new task and a cancel scope per call would cost more than the call. So a worker has
    one scope for life; when a call is cancelled or late its worker ends with it.
    """

    def __init__(self, server: RpcServer, peer: Peer, outbox: Outbox, nursery: trio.Nursery) -> None:
        self._server = server
        self._peer = peer
        self._outbox = outbox
        self._nursery = nursery
        self._idle: list[_Worker] = []
        self._running: dict[int, _Worker] = {}
        self._room = trio.Event()
        self._busy = trio.Event()

    async def start(self, request: Request) -> None:
        """Hand a request to a worker; waits while MAX_CALLS are under way."""
        while len(self._running) >= MAX_CALLS:
            self._room = trio.Event()
            await self._room.wait()
        seconds = (
            MAX_CALL_SECONDS if request.timeout_seconds is None else min(request.timeout_seconds, MAX_CALL_SECONDS)
        )
        if not self._running:
            self._busy.set()
        worker = self._idle_worker() or _Worker()
        self._running[request.id] = worker
        worker.deadline = trio.current_time() + seconds
        worker.request = request
        if worker.parked is None:
            self._nursery.start_soon(self._work, worker)
        else:
            task, worker.parked = worker.parked, None
            trio.lowlevel.reschedule(task, outcome.Value(None))

    def _idle_worker(self) -> "_Worker | None":
        """One that waits; those that were woken by the end of everything are passed over."""
        while self._idle:
            worker = self._idle.pop()
            if worker.parked is not None:
                return worker
        return None

    def cancel(self, id_: object) -> None:
        """Cancel a call that is under way; unknown ones have ended meanwhile."""
        worker = self._running.get(id_) if isinstance(id_, int) else None
        if worker is not None:
            worker.scope.cancel()

    async def watch_deadlines(self) -> None:
        """Deadlines are coarse (DEADLINE_GRAIN_SECONDS): the caller keeps its own exact one."""
        while True:
            if not self._running:
                self._busy = trio.Event()
                await self._busy.wait()
            await trio.sleep(DEADLINE_GRAIN_SECONDS)
            now = trio.current_time()
            for worker in list(self._running.values()):
                if worker.deadline < now:
                    worker.scope.cancel()

    async def _work(self, worker: "_Worker") -> None:
        with worker.scope:
            while True:
                request = worker.request
                self._outbox.put_nowait(*await self._server.answer(request, self._peer))
                self._ended(request)
                # A call may end well although it was cancelled: its worker's scope is spent all the same.
                if worker.scope.cancel_called or len(self._idle) >= IDLE_WORKERS:
                    return
                self._idle.append(worker)
                await worker.park()
        # only a cancelled scope leads here
        self._outbox.put_nowait(frames.encode_error(worker.request.id, DeadlineExceeded.code, worker.request.method))
        self._ended(worker.request)

    def _ended(self, request: Request) -> None:
        self._running.pop(request.id, None)
        self._room.set()


class _Worker:
    """A task that runs one call after the other."""

    request: Request
    deadline: float

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.parked: trio.lowlevel.Task | None = None

    async def park(self) -> None:
        """Until there is a new request."""
        self.parked = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self.parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


def _encode_result(id_: int, codec: MethodCodec, result: Any) -> Sequence[Buffer]:
    plain = result if codec.encode_result is None else codec.encode_result(result)
    if codec.blob is None:
        return (frames.encode_result(id_, plain),)
    blob: Blob = getattr(result, codec.blob)
    return (frames.encode_blob_result(id_, plain, blob.octets), *blob.pieces)


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _next_request(stream: trio.abc.Stream, reader: FrameReader) -> Request | None:
    """The next message during the handshake; None at the end of the stream. Raises FrameError for anything but a request."""
    while True:
        for message in reader.messages():
            if isinstance(message, Request):
                return message
            raise FrameError("handshake expected")
        data = await stream.receive_some(4096)
        if not data:
            return None
        reader.feed(bytes(data))
