"""The edges' side of the RPC: one connection, many calls, and patience when the store is away.

Laws: a call either returns the store's one answer or raises a StoreError; while the store is away it waits (``wait_seconds``) and
then raises Unavailable; every call that writes carries an operation id, made once, so that repeating it after a lost
connection cannot do it twice; calls that do not write are simply repeated. Cancelling a call tells the store.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import outcome
import trio

from shared.contract import VERSION
from shared.contract.codec import CODECS, MethodCodec
from shared.errors import DeadlineExceeded, Forbidden, StoreError, TooLarge, Unavailable, error_from_wire
from shared.observe.log import Logger
from shared.observe.trace import TRACE
from shared.rpc import frames
from shared.rpc.frames import FrameError, FrameReader, Notification, Response
from shared.rpc.handshake import HELLO, NONCE_OCTETS, PROVE, proof, proof_is_right
from shared.rpc.outbox import Outbox

HANDSHAKE_SECONDS: Final = 10.0
FIRST_RETRY_SECONDS: Final = 0.02
LAST_RETRY_SECONDS: Final = 0.5
DEFAULT_WAIT_SECONDS: Final = 30.0
DEFAULT_CALL_SECONDS: Final = 60.0
DEADLINE_GRAIN_SECONDS: Final = 0.5

_STREAM_ERRORS: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, FrameError)


class ConnectionLost(Exception):
    """The connection ended before the answer came; inside this package only."""


class _Connection:
    """One authenticated connection and the calls that wait on it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.outbox = Outbox(stream)
        self._waiting: dict[int, tuple[trio.lowlevel.Task, float]] = {}
        self._some_wait = trio.Event()
        self._next_id = 1
        self._lost = False

    async def request(self, method: str, op_id: bytes | None, seconds: float, params: list[Any]) -> Response:
        """Raises ConnectionLost, DeadlineExceeded, FrameError (too large)."""
        await self.outbox.wait_room()
        if self._lost:
            raise ConnectionLost
        id_ = self.post(method, op_id, seconds, params)
        if not self._waiting:
            self._some_wait.set()
        self._waiting[id_] = (trio.lowlevel.current_task(), trio.current_time() + seconds)

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._waiting.pop(id_, None)
            self.outbox.put_nowait(frames.encode_notification(frames.CANCEL, [id_]))
            return trio.lowlevel.Abort.SUCCEEDED

        response: Response = await trio.lowlevel.wait_task_rescheduled(abort)
        return response

    def post(self, method: str, op_id: bytes | None, seconds: float, params: list[Any]) -> int:
        """Send a request whose answer nobody need wait for; its id."""
        id_ = self._next_id
        self._next_id += 1
        self.outbox.put_nowait(frames.encode_request(id_, method, op_id, seconds, TRACE.get(), params))
        return id_

    def answered(self, response: Response) -> None:
        waiting = self._waiting.pop(response.id, None)
        if waiting is not None:
            trio.lowlevel.reschedule(waiting[0], outcome.Value(response))

    async def watch_deadlines(self) -> None:
        """One watcher for all calls, coarse (DEADLINE_GRAIN_SECONDS): a cancel scope for each would cost more than the call."""
        while True:
            if not self._waiting:
                self._some_wait = trio.Event()
                await self._some_wait.wait()
            await trio.sleep(DEADLINE_GRAIN_SECONDS)
            now = trio.current_time()
            for id_ in [id_ for id_, (_, deadline) in self._waiting.items() if deadline < now]:
                task, _ = self._waiting.pop(id_)
                trio.lowlevel.reschedule(task, outcome.Error(DeadlineExceeded()))

    def lost(self) -> None:
        self._lost = True
        self.outbox.close()
        waiting, self._waiting = self._waiting, {}
        for task, _ in waiting.values():
            trio.lowlevel.reschedule(task, outcome.Error(ConnectionLost()))


class RpcClient:
    """Keeps one connection to the store while ``run`` runs."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[trio.abc.Stream]],
        role: str,
        read_key: Callable[[], bytes],
        worker: str,
        log: Logger,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
    ) -> None:
        self._connect = connect
        self._role = role
        self._read_key = read_key
        self._worker = worker
        self._log = log
        self._wait_seconds = wait_seconds
        self._connection: _Connection | None = None
        self._connected = trio.Event()
        self._prefix = secrets.token_bytes(8)
        self._operations = 0
        self._refused: StoreError | None = None
        self.on_notification: Callable[[Notification], None] = lambda _: None
        self.on_connected: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and again whenever the connection ends, until cancelled."""
        task_status.started()
        delay = FIRST_RETRY_SECONDS
        announced = False
        while True:
            try:
                stream = await self._connect()
            except (OSError, trio.TooSlowError) as error:
                if not announced:
                    self._log.warning("store is away", error=type(error).__name__)
                    announced = True
                await trio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
                continue
            announced = False
            lasted = await self._run_connection(stream)
            delay = FIRST_RETRY_SECONDS if lasted else min(delay * 2, LAST_RETRY_SECONDS)
            await trio.sleep(delay)

    async def _run_connection(self, stream: trio.abc.Stream) -> bool:
        """Serve one connection to its end; whether the handshake succeeded."""
        connection = _Connection(stream)
        reader = FrameReader(blobs=True)
        greeted = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.outbox.run_or_cancel, nursery.cancel_scope)
                nursery.start_soon(connection.watch_deadlines)
                try:
                    with trio.fail_after(HANDSHAKE_SECONDS):
                        await self._handshake(stream, reader, connection.outbox)
                    greeted = True
                    self._refused = None
                    self._connection = connection
                    self._connected.set()
                    self.on_connected()
                    await self._read(stream, reader, connection)
                except StoreError as error:
                    self._refused = error
                    self._log.error("the store refuses this service", error=str(error))
                except _STREAM_ERRORS as error:
                    self._log.warning("connection to the store ended", error=type(error).__name__)
                nursery.cancel_scope.cancel()
        finally:
            self._connection = None
            if self._connected.is_set():
                self._connected = trio.Event()
                self.on_lost()
            connection.lost()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
        return greeted

    async def _handshake(self, stream: trio.abc.Stream, reader: FrameReader, outbox: Outbox) -> None:
        try:
            key = self._read_key()
        except OSError as error:
            raise Unavailable(f"no service key: {type(error).__name__}") from None
        client_nonce = secrets.token_bytes(NONCE_OCTETS)
        hello = [VERSION, self._role, self._worker, client_nonce]
        outbox.put_nowait(frames.encode_request(1, HELLO, None, None, "", hello))
        match await _next_response(stream, reader):
            case Response(error=None, result=[bytes(store_nonce), bytes(store_proof)]):
                pass
            case Response(error=(code, detail)):
                raise error_from_wire(code, detail)
            case _:
                raise FrameError("no hello")
        if not proof_is_right(store_proof, key, "store", self._role, client_nonce, store_nonce):
            raise Forbidden("the store does not know this service's key")
        answer = proof(key, "edge", self._role, client_nonce, store_nonce)
        outbox.put_nowait(frames.encode_request(2, PROVE, None, None, "", [answer]))
        if (await _next_response(stream, reader)).error is not None:
            raise Forbidden("the store refused this service's key")

    async def _read(self, stream: trio.abc.Stream, reader: FrameReader, connection: _Connection) -> None:
        while True:
            for message in reader.messages():
                if isinstance(message, Response):
                    connection.answered(message)
                elif isinstance(message, Notification):
                    self.on_notification(message)
                else:
                    raise FrameError("the store sent a request")
            if reader.room and isinstance(stream, trio.SocketStream):
                octets = await stream.socket.recv_into(reader.room)
                reader.filled(octets)
                if not octets:
                    raise FrameError("closed by the store")
                continue
            data = await stream.receive_some(frames.READ_OCTETS)
            if not data:
                raise FrameError("closed by the store")
            reader.feed(bytes(data))

    async def call(self, codec: MethodCodec, values: tuple[Any, ...]) -> Any:
        """Make a call of the contract. Raises StoreError."""
        params = codec.encode_parameters(values)
        method = codec.method
        op_id = self._next_op_id() if method.write else None
        deadline = trio.current_time() + DEFAULT_CALL_SECONDS
        while True:
            connection = self._connection or await self._wait_connection()
            try:
                seconds = float(deadline - trio.current_time())
                response = await connection.request(method.wire_name, op_id, seconds, params)
            except ConnectionLost:
                continue
            except FrameError as error:
                raise TooLarge(str(error)) from None
            if response.error is not None:
                raise error_from_wire(*response.error)
            result = response.result
            if codec.blob is not None and type(result) is list and result:
                result[-1] = response.blob
            return codec.decode_result(result)

    def post(self, method: str, values: tuple[Any, ...]) -> None:
        """Send a call and forget it; nothing when the store is away."""
        connection = self._connection
        if connection is not None:
            connection.post(method, None, DEFAULT_CALL_SECONDS, CODECS[method].encode_parameters(values))

    def _next_op_id(self) -> bytes:
        self._operations += 1
        return self._prefix + self._operations.to_bytes(8, "big")

    async def _wait_connection(self) -> _Connection:
        """Raises Unavailable after ``wait_seconds``."""
        with trio.move_on_after(self._wait_seconds):
            while self._connection is None:
                await self._connected.wait()
            return self._connection
        raise self._refused or Unavailable("the store is away")


async def _next_response(stream: trio.abc.Stream, reader: FrameReader) -> Response:
    while True:
        for message in reader.messages():
            if isinstance(message, Response):
                return message
            raise FrameError("handshake expected")
        data = await stream.receive_some(4096)
        if not data:
            raise FrameError("closed by the store during the handshake")
        reader.feed(bytes(data))
