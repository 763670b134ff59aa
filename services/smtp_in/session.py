"""One connection: read, feed the protocol, do what its events ask, write.

Laws: replies of a batch go out in one write; the client's silence is bounded (`end_if_silent`, called about once a second for
all sessions: moving a deadline for every read would cost a tenth of a message), and what ends it only ever ends a wait for
the client, never a commit; an error of ours is logged and answered with 451, and the connection goes
on; whatever happens, the spool is closed and one line tells how the connection ended.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import trio

from services.smtp_in.auth import advance_scram, log_in
from services.smtp_in.failures import reply_for
from services.smtp_in.front import Front
from services.smtp_in.policy.device import permits_login
from services.smtp_in.ports import DEVICES, LMTP, RELAY, SUBMISSION, SUBMISSIONS
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.events import (
    AuthRequested,
    ContentAbandoned,
    ContentDropped,
    ContentEnded,
    ContentPiece,
    ContentStarted,
    Event,
    MailRequested,
    RcptRequested,
    ScramRequested,
    StartTls,
    XClientRequested,
)
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.spool import Spool
from services.smtp_in.transaction import Account, Client, Transaction
from shared.contract.history_types import MAX_LISTED_RECIPIENTS, Passage, PassageKind
from shared.errors import StoreError
from shared.net.listen import Listener
from shared.net.stream import ClientStream, TlsFailed
from shared.observe.trace import TRACE, new_trace
from shared.sasl.scram_exchange import ScramExchange

RECEIVE_OCTETS = 64 * 1024
LAST_WORD_SECONDS = 5.0
"""For the 421 to a client that was silent, or that is told that we stop."""
LOGGED_RECIPIENTS = 10


class Session:
    """Runs one connection to its end."""

    def __init__(self, front: Front, stream: ClientStream, listener: Listener) -> None:
        self._front = front
        self._stream = stream
        self._listener = listener.name
        self._client = Client(
            stream.peer_ip,
            submission=listener.name in (SUBMISSION, SUBMISSIONS, DEVICES),
            device_port=listener.name == DEVICES,
            lmtp=listener.name == LMTP,
            unlimited=stream.peer_ip in front.profiles.exempt_networks,
            tls=_described_tls(stream),
            wait_spoken=stream.wait_spoken if listener.name == RELAY else None,
        )
        profile = front.profiles.profile(listener.name, stream.peer_ip)
        self._connection = Connection(
            profile, front.limits, tls=stream.tls is not None, binding=bool(stream.bindings)
        )
        self._scram: ScramExchange | None = None
        self._transaction: Transaction | None = None
        self._spool: Spool | None = None
        self._scope = trio.CancelScope()
        self._silent_at = inf
        """When the wait for the client ends; infinite while we are not waiting for it."""
        self._wait_ended = False
        self._started = time.monotonic()
        self._accepted = 0
        self._plaintext_dropped = 0

    async def run(self) -> None:
        """Serve the client. Raises ConnectionLost when it went away in the middle of a write."""
        reason = "lost"
        self._front.sessions.add(self)
        try:
            await self._greet()
            with self._scope:
                await self._serve()
            if self._scope.cancelled_caught:
                await self._say_last_word()
            reason = self._connection.close_reason or reason
        except TlsFailed:
            reason = "tls failed"
            raise
        except trio.Cancelled:
            reason = "cut off"
            raise
        finally:
            self._front.sessions.discard(self)
            self._close_spool()
            self._log_end(reason)

    def drain(self) -> None:
        """The service stops: end now, or after the transaction under way."""
        self._connection.draining = True
        if self._silent_at < inf and not self._connection.in_transaction:
            self._end_wait()

    def end_if_silent(self, now: float) -> None:
        """End the wait for a client that has been silent for too long; `now` is trio's time."""
        if self._silent_at < now:
            self._end_wait()

    # The loop.

    async def _greet(self) -> None:
        if self._front.is_draining():
            # It was accepted before the ports closed, and its task or handshake came too late for `drain`.
            self._connection.greet(replies.unavailable(self._front.profiles.hostname))
        else:
            refusal = await self._front.policy.on_connect(self._client)
            if refusal is not None:
                self._log_refusal("client turned away", refusal)
            self._connection.greet(refusal)

    async def _serve(self) -> None:
        connection, stream = self._connection, self._stream
        while True:
            event = connection.next_event()
            if event is None:
                output = connection.take_output()
                if output:
                    await stream.send_all(output)
                if connection.closed:
                    return
                received = await self._receive()
                if not received:
                    return
                connection.feed(received)
                # not kept while we wait for the next: with hundreds of clients that would be most of our memory
                del received
            elif isinstance(event, ContentPiece):
                if self._spool is not None and self._spool.add(event.data):
                    await self._spool.flush()
            else:
                await _HANDLERS[type(event)](self, event)

    async def _receive(self) -> bytes:
        timeouts = self._front.timeouts
        self._silent_at = trio.current_time() + (timeouts.data if self._spool is not None else timeouts.command)
        received = await self._stream.receive_some(RECEIVE_OCTETS)
        self._silent_at = inf
        if self._wait_ended:
            # It spoke in the very moment in which its time was over. The cancellation is delivered here: later, it would hit a commit.
            await trio.lowlevel.checkpoint_if_cancelled()
        return received

    def _end_wait(self) -> None:
        self._wait_ended = True
        self._scope.cancel()

    async def _say_last_word(self) -> None:
        """The wait for the client was ended: by its silence, or because the service stops."""
        if self._connection.draining and not self._connection.in_transaction:
            self._connection.drain()
        else:
            self._connection.time_out()
        with trio.move_on_after(LAST_WORD_SECONDS):
            await self._stream.send_all(self._connection.take_output())

    # Events.

    async def _on_mail(self, event: MailRequested) -> None:
        client, connection = self._client, self._connection
        client.said(connection.helo or "", esmtp=connection.esmtp)
        transaction = Transaction(new_trace(), client, event.mail)
        TRACE.set(transaction.trace)
        reply = await self._asked(lambda: self._front.policy.on_mail(transaction), replies.SENDER_OK)
        if reply.is_positive:
            self._transaction = transaction
        else:
            self._log_refusal("sender refused", reply, sender=transaction.sender)
            self._note_refusal(transaction, reply, [])
        connection.answer(reply)

    async def _on_rcpt(self, event: RcptRequested) -> None:
        transaction = self._under_way()
        recipient = event.rcpt.recipient
        transaction.rcpt = event.rcpt
        # No policy knows the recipient: then it is not ours.
        reply = await self._asked(
            lambda: self._front.policy.on_rcpt(transaction, recipient), replies.RELAY_DENIED
        )
        self._front.counters.recipients.inc(1, self._listener, str(reply.code))
        if not reply.is_positive:
            self._log_refusal("recipient refused", reply, sender=transaction.sender, recipient=recipient.address)
            self._note_refusal(transaction, reply, [recipient.address])
        self._connection.answer(reply)

    async def _asked(self, ask: Callable[[], Awaitable[Reply | None]], default: Reply) -> Reply:
        """The policy's reply, `default` where it has none, or the reply for what went wrong."""
        try:
            return await ask() or default
        except StoreError as error:
            self._front.log.warning("store call failed", peer=self._client.ip, error=str(error))
            return reply_for(error)
        except Exception as error:
            self._front.log.exception("a check failed", error, peer=self._client.ip)
            return replies.LOCAL_ERROR

    async def _on_auth(self, event: AuthRequested) -> None:
        reply, account = await log_in(self._front.store.auth, event.credentials, self._client.ip)
        self._end_login(reply, account, event.credentials.authcid, event.mechanism)

    async def _on_scram(self, event: ScramRequested) -> None:
        message, stream = event.message, self._stream
        if message.first or self._scram is None:
            auth = self._front.store.auth
            self._scram = ScramExchange(auth, message.mechanism, stream.bindings, self._client.ip)
        exchange = self._scram
        step, account = await advance_scram(exchange, message.data)
        if isinstance(step, bytes):
            self._connection.challenge(step)
            return
        self._scram = None
        if step is replies.AUTH_MALFORMED:
            # as every exchange that never came to credentials: an error of the client's, not a failed login
            self._connection.answer(step)
        else:
            self._end_login(step, account, exchange.username, message.mechanism)

    def _end_login(self, reply: Reply, account: Account | None, user: str, mechanism: str) -> None:
        if account is not None and not permits_login(self._client, account):
            reply, account = replies.AUTH_FAILED, None
        self._client.account = account
        self._front.counters.logins.inc(1, str(reply.code))
        if account is None:
            self._log_refusal("login failed", reply, user=user, mechanism=mechanism)
        self._connection.answer(reply)

    async def _on_content_started(self, event: ContentStarted) -> None:
        transaction, deliverer = self._under_way(), self._front.deliverer
        self._spool = Spool(self._front.spool, lambda head, header: deliverer.prepare(transaction, head, header))

    async def _on_content_dropped(self, event: ContentDropped) -> None:
        self._finish_message(event.reply, event.octets, "")

    async def _on_content_abandoned(self, event: ContentAbandoned) -> None:
        self._close_spool()
        self._transaction = None

    async def _on_content_ended(self, event: ContentEnded) -> None:
        transaction, spool = self._under_way(), self._spool
        if spool is None:
            raise RuntimeError("content without a spool")
        started = time.monotonic()
        try:
            result = await self._front.deliverer.deliver(transaction, spool)
            reply, octets, detail = result.reply, result.octets, result.detail
        except Exception as error:
            self._front.log.exception("delivery failed", error, peer=self._client.ip)
            reply, octets, detail = replies.LOCAL_ERROR, event.octets, type(error).__name__
        if reply.is_positive:
            self._accepted += 1
            self._front.counters.octets.observe(octets)
            self._front.counters.seconds.observe(time.monotonic() - started)
        self._finish_message(reply, octets, detail)
        self._connection.answer(reply)

    async def _on_starttls(self, event: StartTls) -> None:
        await self._stream.send_all(self._connection.take_output())
        dropped = self._connection.tls_started()
        self._client.account = self._scram = None
        self._plaintext_dropped += dropped
        front = self._front
        context = front.device_tls if self._client.device_port and front.device_tls is not None else front.tls
        await self._stream.start_tls(context(), front.timeouts.handshake, discarded_octets=dropped)
        self._client.tls = _described_tls(self._stream)
        self._connection.binding = bool(self._stream.bindings)

    async def _on_xclient(self, event: XClientRequested) -> None:
        front, told = self._front, event.xclient
        client = self._client.replaced_by(told)
        if client is None:
            self._connection.answer(replies.XCLIENT_NEEDS_ADDRESS)
            return
        hostname = front.profiles.hostname
        reply = await self._asked(lambda: front.policy.on_connect(client), replies.greeting(hostname))
        if reply.is_positive:
            front.log.info("client announced", listener=self._listener, proxy=self._stream.peer_ip, peer=client.ip)
            self._client, self._scram = client, None
            self._connection.profile = front.profiles.profile(self._listener, client.ip, xclient=True)
        else:
            self._log_refusal("client turned away", reply, announced=client.ip)
        self._connection.answer(reply)

    # Small things.

    def _under_way(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("no transaction under way")
        return self._transaction

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _finish_message(self, reply: Reply, octets: int, detail: str) -> None:
        """The content was answered: give its memory back and tell."""
        self._close_spool()
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        self._front.counters.messages.inc(1, self._listener, f"{reply.code // 100}xx")
        recipients = [recipient.address for recipient in transaction.local.values()]
        recipients += [remote.address for remote in transaction.remote.values()]
        client = transaction.client
        fields: dict[str, Any] = {
            "trace": transaction.trace,
            "sender": f"<{transaction.sender}>",
            "recipients": recipients[:LOGGED_RECIPIENTS],
            "recipient_count": len(recipients),
            "octets": octets,
            "peer": client.ip or None,
            "helo": client.helo,
            "protocol": transaction.protocol,
            "account": client.account.address if client.account else None,
            "device": client.account.device.name if client.account and client.account.device else None,
            "seconds": time.monotonic() - transaction.started,
        }
        if reply.is_positive:
            self._front.log.info("message accepted", **fields)
        else:
            self._front.log.warning("message refused", reply=str(reply), detail=detail or None, **fields)
            self._note_refusal(transaction, reply, recipients, octets)
        TRACE.set("")

    def _note_refusal(
        self, transaction: Transaction, reply: Reply, recipients: Sequence[str], octets: int = 0
    ) -> None:
        """For the history: who asks where a mail is wants to hear of this, too."""
        client = transaction.client
        self._front.refusals.note(
            Passage(
                transaction.trace,
                PassageKind.REFUSED,
                time.time(),
                transaction.sender,
                tuple(recipients[:MAX_LISTED_RECIPIENTS]),
                len(recipients),
                octets,
                client.described,
                client.account.account_id if client.account else None,
                code=reply.code,
                text="; ".join(filter(None, (str(reply), transaction.verdicts))),
            )
        )

    def _log_refusal(self, event: str, reply: Reply, **fields: object) -> None:
        self._front.log.info(event, reply=str(reply), peer=self._client.ip, helo=self._connection.helo, **fields)

    def _log_end(self, reason: str) -> None:
        connection, client = self._connection, self._client
        self._front.counters.sessions.inc(1, self._listener, reason)
        self._front.log.info(
            "connection ended",
            listener=self._listener,
            peer=client.ip or None,
            helo=connection.helo,
            reason=reason,
            tls=client.tls or None,
            account=client.account.address if client.account else None,
            accepted=self._accepted,
            refused=connection.messages - self._accepted or None,
            errors=connection.errors or None,
            refused_recipients=connection.refused_recipients or None,
            plaintext_dropped=self._plaintext_dropped or None,
            seconds=time.monotonic() - self._started,
        )


def _described_tls(stream: ClientStream) -> str:
    return f"{stream.tls.version} {stream.tls.cipher}" if stream.tls is not None else ""


_HANDLERS: dict[type[Event], Callable[[Session, Any], Awaitable[None]]] = {
    MailRequested: Session._on_mail,
    RcptRequested: Session._on_rcpt,
    AuthRequested: Session._on_auth,
    ScramRequested: Session._on_scram,
    ContentStarted: Session._on_content_started,
    ContentDropped: Session._on_content_dropped,
    ContentAbandoned: Session._on_content_abandoned,
    ContentEnded: Session._on_content_ended,
    StartTls: Session._on_starttls,
    XClientRequested: Session._on_xclient,
}
