"""One POP3 session: moves octets between the client, the protocol core and the store. Decides nothing that a core can.

Laws:
- Answers leave in the order of the commands; they are collected while the next command is already there, and sent when
  nothing more can be done without waiting (RFC 2449 §6.6).
- "+OK" to QUIT is sent only after the store has answered that the removal is durable.
- When the store is away, commands that need it are answered with [SYS/TEMP] and the session lives on. A message whose
  sending had begun cannot be taken back: the connection is broken off, never ended as if the message were whole.
- However a session ends without QUIT, nothing is removed. What was fetched is remembered all the same, in one call at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import attrs
import trio

from services.pop3.ending import Ending
from services.pop3.maildrop import INBOX, Maildrop
from services.pop3.protocol import replies
from services.pop3.protocol.connection import Policy, Pop3Connection
from services.pop3.protocol.events import Event, Goodbye, List, Login, Reply, Retrieve, Scram, StartTls, Top, Update
from services.pop3.protocol.top import TopCutter
from services.pop3.read_ahead import SMALL_OCTETS, ReadAhead
from services.pop3.shared_state import Shared, Which
from shared.contract.types import CHUNK_OCTETS, LoginResult
from shared.errors import AuthenticationFailed, Banned, GrantExpired, NoSuchMailbox, StoreError
from shared.net.stream import ClientStream, ConnectionLost
from shared.observe.trace import TRACE, new_trace
from shared.sasl.credentials import MalformedExchange
from shared.sasl.scram import BindingRefused
from shared.sasl.scram_exchange import AuthorizationRefused, ScramExchange
from shared.wire.dots import DotWriter, stuff

_READ_OCTETS: Final = 16 * 1024
_FLUSH_OCTETS: Final = 32 * 1024
"""Answers collected before they are sent. Measured with 4 KB messages: 16 KiB and 128 KiB both cost more CPU."""

_AHEAD_EVENTS: Final = 256
"""Commands taken ahead of what is answered, so that their messages are fetched together."""

_TOP_LINE_OCTETS: Final = 80
_TOP_LEAST_OCTETS: Final = 2048


@attrs.define
class _Counts:
    """For the log line at the end."""

    retrieved: int = 0
    octets: int = 0
    removed: int = 0


class Session:
    """The life of one connection."""

    def __init__(self, stream: ClientStream, shared: Shared) -> None:
        self._stream = stream
        self._shared = shared
        settings = shared.settings
        self._connection = Pop3Connection(
            Policy(
                tls_active=stream.tls is not None,
                binding=bool(stream.bindings),
                plaintext_login=stream.peer_ip in shared.plaintext_networks,
                max_errors=settings.pop3.errors,
                max_login_failures=settings.auth.attempts_per_connection,
            ),
            shared.hostname,
        )
        self._events: deque[Event] = deque()
        self._out: list[bytes] = []
        self._out_octets = 0
        self._counts = _Counts()
        self._scram: ScramExchange | None = None
        self._address = ""
        self._which: Which | None = None
        self._unsent: list[int] = []
        """Messages whose last octets are collected and not sent yet."""
        self._maildrop: Maildrop | None = None
        self._ending: Ending | None = None
        self._ahead: ReadAhead | None = None
        self._nursery: trio.Nursery | None = None
        self._reading: trio.CancelScope | None = None
        self._deadline = trio.current_time() + settings.pop3.unauthenticated_seconds
        self._draining = False
        self._over = False
        self._ended = "lost"

    async def run(self) -> None:
        """From the greeting to the end. Raises ConnectionLost when the client is gone."""
        TRACE.set(new_trace())
        try:
            with self._shared.registered(self):
                async with trio.open_nursery() as self._nursery:
                    await self._converse()
                    self._nursery.cancel_scope.cancel()
        finally:
            if self._ahead is not None:
                self._ahead.close()
            if self._ending is not None:
                await self._ending.remember()
            self._shared.release(self._which)
            self._count_verbs()
            if self._address:
                self._shared.log.info(
                    "session ended",
                    account=self._address,
                    how=self._ended,
                    retrieved=self._counts.retrieved,
                    octets=self._counts.octets,
                    removed=self._counts.removed,
                )

    def drain(self) -> None:
        """The service stops: finish what the client has asked for, then end."""
        self._draining = True
        if self._reading is not None:
            self._reading.cancel()

    # --- the loop

    async def _converse(self) -> None:
        self._say(self._connection.greeting().data)
        while not self._over:
            self._take_events()
            if self._events:
                await self._handle(self._events.popleft())
                continue
            await self._flush()
            if self._draining:
                self._ended = "drained"
                self._say(self._connection.spoken(replies.SHUTTING_DOWN))
                break
            data = await self._receive()
            if data:
                self._connection.receive_data(data)
            elif not self._draining:
                return
        await self._flush()

    def _take_events(self) -> None:
        events = self._events
        taken = False
        while len(events) < _AHEAD_EVENTS and not (events and isinstance(events[-1], List)):
            event = self._connection.next_event()
            if event is None:
                break
            events.append(event)
            taken = True
        if taken and self._maildrop is not None:
            # RFC 1939 §3: the receipt of any command resets the timer
            self._deadline = trio.current_time() + self._shared.settings.pop3.idle_seconds

    async def _receive(self) -> bytes:
        """What the client sends next; b"" when it is gone, when its time is over, or when we drain."""
        with trio.CancelScope(deadline=self._deadline) as self._reading:
            data = await self._stream.receive_some(_READ_OCTETS)
            if not data:
                self._ended = "closed by the client"
            return data
        if not self._draining:
            # RFC 1939 §3: close "without removing any messages or sending any response to the client"
            self._ended = "timed out"
        return b""

    async def _handle(self, event: Event) -> None:
        if isinstance(event, Retrieve):
            await self._retrieve(event.number)
        elif isinstance(event, (Reply, Goodbye)):
            self._say(self._connection.spoken(event.data))
            if isinstance(event, Goodbye):
                self._over = True
                self._ended = event.why
        elif isinstance(event, List):
            for piece in self._drop_of().drop.render(event.listing):
                self._say(self._connection.spoken(piece))
                await self._flush_if_much()
        elif isinstance(event, Top):
            await self._top(event.number, event.lines)
        elif isinstance(event, Login):
            await self._handle(await self._login(event))
        elif isinstance(event, Scram):
            await self._handle(await self._advance_scram(event))
        elif isinstance(event, Update):
            await self._handle(await self._update(event))
        elif isinstance(event, StartTls):
            await self._start_tls(event)
        await self._flush_if_much()

    # --- out

    def _say(self, data: bytes) -> None:
        self._out.append(data)
        self._out_octets += len(data)

    async def _flush_if_much(self) -> None:
        if self._out_octets >= _FLUSH_OCTETS:
            await self._flush()

    async def _flush(self) -> None:
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._out_octets = 0
            await self._stream.send_all(data)
        for number in self._unsent:
            self._drop_of().drop.mark_fetched(number)
        self._unsent.clear()

    # --- AUTHORIZATION

    async def _start_tls(self, event: StartTls) -> None:
        if event.discarded_octets:
            self._shared.log.warning("plaintext behind STLS dropped", peer=self._stream.peer_ip)
        self._say(self._connection.spoken(event.data))
        await self._flush()
        await self._stream.start_tls(
            self._shared.tls.context(),
            self._shared.settings.limits.tls_handshake_seconds,
            discarded_octets=event.discarded_octets,
        )
        self._connection.tls_started(binding=bool(self._stream.bindings))

    async def _login(self, event: Login) -> Event:
        await self._flush()
        who = event.credentials
        try:
            result = await self._shared.store.auth.login(who.authcid, who.password, self._stream.peer_ip)
        except AuthenticationFailed:
            return self._login_failed(who.authcid)
        except StoreError as error:
            return self._login_refused(who.authcid, error)
        return await self._enter(result, who.authcid)

    async def _advance_scram(self, event: Scram) -> Event:
        await self._flush()
        message, stream = event.message, self._stream
        if message.first or self._scram is None:
            auth = self._shared.store.auth
            self._scram = ScramExchange(auth, message.mechanism, stream.bindings, stream.peer_ip)
        exchange = self._scram
        try:
            step = await exchange.respond(message.data)
        except MalformedExchange:
            return self._connection.login_malformed()
        except (AuthenticationFailed, AuthorizationRefused, BindingRefused):
            return self._login_failed(exchange.username)
        except StoreError as error:
            return self._login_refused(exchange.username, error)
        if isinstance(step, bytes):
            return self._connection.challenge(step)
        self._scram = None
        return await self._enter(step, exchange.username)

    def _login_failed(self, user: str) -> Event:
        self._shared.logins.inc(1, "failed")
        self._shared.log.warning("login failed", user=user, peer=self._stream.peer_ip)
        return self._connection.login_failed()

    def _login_refused(self, user: str, error: StoreError) -> Event:
        if isinstance(error, Banned):
            self._shared.logins.inc(1, "banned")
            return self._connection.login_banned()
        if isinstance(error, NoSuchMailbox):
            # said to those only whose password was right
            self._shared.logins.inc(1, "no_mailbox")
            self._shared.log.info("no such mailbox", user=user, peer=self._stream.peer_ip)
            return self._connection.login_refused(replies.NO_MAILBOX)
        self._shared.logins.inc(1, "error")
        self._shared.log.warning("login not possible", user=user, peer=self._stream.peer_ip, error=error)
        return self._connection.login_refused(_reply_to(error))

    async def _enter(self, result: LoginResult, user: str) -> Event:
        shared, peer = self._shared, self._stream.peer_ip
        mailbox = result.mailbox or INBOX
        which = result.account_id, mailbox
        if not shared.acquire(which):
            shared.logins.inc(1, "in_use")
            return self._connection.login_refused(replies.IN_USE)
        self._which = which
        try:
            maildrop = await Maildrop.open(shared.store, result.grant, mailbox)
        except StoreError as error:
            shared.release(self._which)
            self._which = None
            return self._login_refused(user, error)
        shared.logins.inc(1, "ok")
        self._address = result.address
        self._maildrop = maildrop
        self._deadline = trio.current_time() + shared.settings.pop3.idle_seconds
        if self._nursery is None:
            raise RuntimeError("login outside of run")
        self._ahead = ReadAhead(maildrop.read, maildrop.drop, self._nursery, shared.budget)
        tls = self._stream.tls.version if self._stream.tls else "none"
        device = result.device.name if result.device else None
        self._ending = Ending(maildrop, shared.log, result.address, device)
        shared.log.info(
            "logged in",
            account=result.address,
            device=device,
            mailbox=mailbox,
            peer=peer,
            tls=tls,
            messages=len(maildrop.drop),
        )
        return self._connection.login_succeeded(maildrop.drop, maildrop.expire_days)

    # --- TRANSACTION

    def _drop_of(self) -> Maildrop:
        if self._maildrop is None:
            raise RuntimeError("no maildrop before a login")
        return self._maildrop

    def _wanted(self) -> Iterator[int]:
        """The message-numbers of the RETRs that wait."""
        return (event.number for event in self._events if isinstance(event, Retrieve))

    async def _retrieve(self, number: int) -> None:
        if self._ahead is None or self._drop_of().drop.size(number) > SMALL_OCTETS:
            await self._stream_message(number)
            return
        ready, content = self._ahead.take_ready(number)
        if not ready:
            await self._flush()
            try:
                content = await self._ahead.get(number, self._wanted)
            except StoreError as error:
                self._failed(error)
                return
        self._ahead.look_further(self._wanted)
        if content is None:
            self._say(self._connection.spoken(replies.MESSAGE_GONE))
            return
        self._counts.retrieved += 1
        self._counts.octets += len(content)
        self._say(b"+OK %d octets\r\n" % len(content))
        self._say(stuff(content))
        self._unsent.append(number)

    async def _stream_message(self, number: int) -> None:
        """A large message in pieces of CHUNK_OCTETS, the next one fetched while one is being sent."""
        maildrop = self._drop_of()
        size = maildrop.drop.size(number)
        chunk = await self._first_piece(number, CHUNK_OCTETS)
        if chunk is None:
            return
        self._say(b"+OK %d octets\r\n" % size)
        writer, offset = DotWriter(), 0
        while True:
            self._say(writer.feed(chunk))
            offset += len(chunk)
            if offset >= size:
                break
            chunk = await self._next_piece(number, offset)
        self._say(writer.finish())
        self._unsent.append(number)
        self._counts.retrieved += 1
        self._counts.octets += size

    async def _top(self, number: int, lines: int) -> None:
        drop = self._drop_of().drop
        size, header_octets = drop.size(number), drop.header_octets(number)
        likely = header_octets + max(_TOP_LEAST_OCTETS, lines * _TOP_LINE_OCTETS) if lines else header_octets
        chunk = await self._first_piece(number, min(likely, CHUNK_OCTETS))
        if chunk is None:
            return
        self._say(self._connection.spoken(replies.TOP_FOLLOWS))
        cutter, writer, offset = TopCutter(header_octets, lines), DotWriter(), 0
        while True:
            self._say(writer.feed(cutter.feed(chunk)))
            offset += len(chunk)
            if cutter.done or offset >= size:
                break
            chunk = await self._next_piece(number, offset)
        self._say(writer.finish())
        if lines and not cutter.done:
            # some clients fetch a message by asking for more lines than it has
            self._unsent.append(number)

    async def _first_piece(self, number: int, octets: int) -> bytes | None:
        """The beginning of a message; None when an -ERR was said instead."""
        await self._flush()
        try:
            (chunk,) = await self._drop_of().read([(number, 0, octets)])
        except StoreError as error:
            self._failed(error)
            return None
        if chunk is None:
            self._say(self._connection.spoken(replies.MESSAGE_GONE))
        return chunk

    async def _next_piece(self, number: int, offset: int) -> bytes:
        """What follows at `offset`, fetched while what is collected is being sent."""
        fetched: list[bytes | None] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flush)
            try:
                fetched = await self._drop_of().read([(number, offset, CHUNK_OCTETS)])
            except StoreError as error:
                self._shared.log.warning("message broken off", number=number, error=error)
        if not fetched or not fetched[0]:
            # the client must not take the part for the whole
            self._ended = "broken off"
            self._stream.abort()
            raise ConnectionLost("a message could not be read to its end")
        return fetched[0]

    def _failed(self, error: StoreError) -> None:
        self._say(_reply_to(error))
        if isinstance(error, GrantExpired):
            self._over = True
            self._ended = "grant expired"

    # --- UPDATE

    async def _update(self, event: Update) -> Event:
        await self._flush()
        removed = self._ending is not None and await self._ending.remove(event.uids)
        if removed:
            self._counts.removed = len(event.uids)
        return self._connection.update_done(removed=removed)

    def _count_verbs(self) -> None:
        for verb, count in self._connection.verbs_seen.items():
            self._shared.commands.inc(count, verb)
        self._shared.retrieved.inc(self._counts.retrieved)
        self._shared.retrieved_octets.inc(self._counts.octets)
        self._shared.removed.inc(self._counts.removed)


def _reply_to(error: StoreError) -> bytes:
    if isinstance(error, GrantExpired):
        return replies.SESSION_EXPIRED
    return replies.UNAVAILABLE if error.temporary else replies.BROKEN
