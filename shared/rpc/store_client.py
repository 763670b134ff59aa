"""What an edge holds of the store: one typed proxy per area, uploads of large contents, and watches that survive reconnects."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

import trio

from shared.contract.admin import AdminApi
from shared.contract.areas import AREAS
from shared.contract.auth import AuthApi
from shared.contract.codec import CODECS, MethodCodec
from shared.contract.content import ContentApi
from shared.contract.devices import DevicesApi
from shared.contract.directory import DirectoryApi
from shared.contract.events import CHANGED, EventsApi
from shared.contract.history import HistoryApi
from shared.contract.mailboxes import MailboxesApi
from shared.contract.messages import MessagesApi
from shared.contract.moving import MovingApi
from shared.contract.pop3 import Pop3Api
from shared.contract.queue import QueueApi
from shared.contract.relays import RelaysApi
from shared.contract.retention import RetentionApi
from shared.contract.search import SearchApi
from shared.contract.sending import SendingApi
from shared.contract.sharing import SharingApi
from shared.contract.space import SpaceApi
from shared.contract.types import CHUNK_OCTETS, MAX_INLINE_OCTETS, ContentSource
from shared.contract.undo import UndoApi
from shared.errors import NoSuchUpload, StoreError, Unavailable
from shared.model.ids import Grant, MailboxId
from shared.rpc.client import RpcClient
from shared.rpc.frames import Notification

T = TypeVar("T")
UPLOAD_TRIES: Final = 5
"""A restart of the store forgets uploads; more restarts than this during one message are an outage."""
RETRY_WATCH_SECONDS: Final = 0.5


def _proxy(area: str, client: RpcClient) -> Any:
    """An object with one coroutine function per call of the area, keyword or positional parameters as in the contract."""
    namespace: dict[str, Any] = {}
    for codec in CODECS.values():
        if codec.method.area == area:
            namespace[codec.method.name] = _method(codec)
    return type(f"{area.capitalize()}Proxy", (), {**namespace, "client": client})()


def _method(codec: MethodCodec) -> Callable[..., Awaitable[Any]]:
    names = [name for name, _ in codec.method.parameters]

    async def proxied(self: Any, *values: Any, **named: Any) -> Any:
        if named:
            values = values + tuple(named.pop(name) for name in names[len(values) :] if name in named)
            if named:
                raise TypeError(f"{codec.method.wire_name} has no parameter {sorted(named)}")
        if len(values) != len(names):
            raise TypeError(f"{codec.method.wire_name} takes {names}")
        return await self.client.call(codec, values)

    proxied.__name__ = codec.method.name
    return proxied


class Watch:
    """Wakes up when something changed; changes while nobody waits are remembered as one. Starts with one change to look at."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._event.set()
        self._error: StoreError | None = None
        self.modseq = 0

    def changed(self, modseq: int) -> None:
        self.modseq = max(self.modseq, modseq)
        self._event.set()

    def failed(self, error: StoreError) -> None:
        """The store would not watch this again after a reconnect (mailbox deleted, grant over)."""
        self._error = error
        self._event.set()

    async def wait(self) -> None:
        """Return after the next change, or at once when one has happened since the last return. Raises StoreError."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        self._event = trio.Event()


_Register = Callable[[int], Awaitable[int]]


class StoreClient:
    """``async with trio.open_nursery() as n: await n.start(store.run)``, then call ``store.messages.deliver(...)`` and the like."""

    directory: DirectoryApi
    auth: AuthApi
    content: ContentApi
    messages: MessagesApi
    mailboxes: MailboxesApi
    sharing: SharingApi
    queue: QueueApi
    history: HistoryApi
    retention: RetentionApi
    search: SearchApi
    space: SpaceApi
    events: EventsApi
    admin: AdminApi
    devices: DevicesApi
    moving: MovingApi
    sending: SendingApi
    pop3: Pop3Api
    undo: UndoApi
    relays: RelaysApi

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._client.on_notification = self._notified
        self._client.on_connected = self._came
        self._client.on_lost = self._went
        self.on_connection: Callable[[bool], None] = lambda _: None
        self._watches: dict[int, tuple[Watch, _Register]] = {}
        self._next_watch = 1
        self._nursery: trio.Nursery | None = None
        for area in AREAS:
            setattr(self, area, _proxy(area, client))

    @property
    def connected(self) -> bool:
        """Whether the store can be reached right now."""
        return self._client.connected

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connection until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await self._client.run(task_status=task_status)

    # --- contents ---

    async def put_content(self, data: bytes | memoryview, *, upload: bool = False) -> ContentSource:
        """Inline where small (unless ``upload``), else in pieces. Raises StoreError. See ``with_content`` for what may be forgotten.

        Whoever does not use the content gives it back with ``drop_content``.
        """
        if len(data) <= MAX_INLINE_OCTETS and not upload:
            return ContentSource(len(data), inline=bytes(data))
        source = ContentSource(len(data), upload=await self.content.begin_upload(len(data)))
        handle = source.upload or b""
        view = memoryview(data)
        try:
            for offset in range(0, len(data), CHUNK_OCTETS):
                await self.content.append_upload(handle, offset, bytes(view[offset : offset + CHUNK_OCTETS]))
        except BaseException:
            self.drop_content(source)
            raise
        return source

    def drop_content(self, source: ContentSource) -> None:
        """Forget a content that was put and is not going to be used; nothing when the store is away and has forgotten it anyway."""
        if source.upload is not None:
            self._client.post("content.abort_upload", (source.upload,))

    async def with_content(self, data: bytes | memoryview, use: Callable[[ContentSource], Awaitable[T]]) -> T:
        """Put the content and make the call that takes it; again from the start when the store forgot the upload meanwhile."""

        async def put_and_use() -> T:
            source = await self.put_content(data)
            try:
                return await use(source)
            except BaseException:
                self.drop_content(source)
                raise

        return await self.again_when_forgotten(put_and_use)

    async def again_when_forgotten(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Put contents and use them, again from the start when the store forgot one of them meanwhile.

        Safe: NoSuchUpload says that the call did nothing (the operation id is looked up before the upload).
        """
        for number in range(UPLOAD_TRIES):
            try:
                return await attempt()
            except NoSuchUpload:
                if number == UPLOAD_TRIES - 1:
                    break
        raise Unavailable("the store forgot the upload again and again")

    # --- watches ---

    def watch_mailbox(self, grant: Grant, mailbox_id: MailboxId) -> "_WatchContext":
        """``async with store.watch_mailbox(...) as watch: await watch.wait()``. Raises NoSuchMailbox, GrantExpired on entry."""
        return self._watch(lambda number: self.events.watch_mailbox(grant, mailbox_id, number))

    def watch_account(self, grant: Grant) -> "_WatchContext":
        return self._watch(lambda number: self.events.watch_account(grant, number))

    def watch_queue(self) -> "_WatchContext":
        return self._watch(self.events.watch_queue)

    def _watch(self, register: _Register) -> "_WatchContext":
        return _WatchContext(self, register)

    @contextmanager
    def watching(self, register: _Register) -> Iterator[tuple[int, Watch]]:
        """The bookkeeping of one watch; ``_WatchContext`` is the way in."""
        number = self._next_watch
        self._next_watch += 1
        watch = Watch()
        self._watches[number] = (watch, register)
        try:
            yield number, watch
        finally:
            del self._watches[number]
            self._client.post("events.unwatch", (number,))

    def _notified(self, notification: Notification) -> None:
        if notification.method != CHANGED:
            return
        match notification.params:
            case [int(number), int(modseq)] if number in self._watches:
                self._watches[number][0].changed(modseq)

    def _went(self) -> None:
        self.on_connection(False)

    def _came(self) -> None:
        self.on_connection(True)
        if self._nursery is not None and self._watches:
            for number in list(self._watches):
                self._nursery.start_soon(self._register_again, number)

    async def _register_again(self, number: int) -> None:
        """Until the store watches again, the watch has ended, or the store says that it never will."""
        while number in self._watches:
            watch, register = self._watches[number]
            try:
                modseq = await register(number)
            except StoreError as error:
                if not error.temporary:
                    watch.failed(error)
                    return
                await trio.sleep(RETRY_WATCH_SECONDS)
                continue
            watch.changed(modseq)
            return


class _WatchContext:
    def __init__(self, store: StoreClient, register: _Register) -> None:
        self._store = store
        self._register = register
        self._bookkeeping: Any = None

    async def __aenter__(self) -> Watch:
        self._bookkeeping = self._store.watching(self._register)
        number, watch = self._bookkeeping.__enter__()
        try:
            watch.modseq = await self._register(number)
        except BaseException:
            self._bookkeeping.__exit__(None, None, None)
            raise
        return cast("Watch", watch)

    async def __aexit__(self, *_: object) -> None:
        self._bookkeeping.__exit__(None, None, None)
