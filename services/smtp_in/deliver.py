"""From a complete content to the promise: trace fields in front, the checks, the index, the store's commit, the reply.

Laws: 250 is returned only after `messages.deliver` returned, which is after the commit: one transaction files the local
copies and queues the remote ones. Every error of the store is temporary for the client unless the store is sure. A content is indexed
once, here (DESIGN §1); large ones in a worker thread, so that they hold nobody up.

The order in front of the content (RFC 5321 §4.4): Return-Path, which the queue leaves out again (`skip_octets`), Received, then what the
client sent, repaired where it is a submission (RFC 6409 §8).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio
from attrs import evolve, frozen

from services.smtp_in.binary import to_lines
from services.smtp_in.failures import reply_for
from services.smtp_in.policy.chain import Policy, Received
from services.smtp_in.protocol import data, replies
from services.smtp_in.protocol.data import HeaderFacts
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.receipts import build_receipt
from services.smtp_in.rejects import Rejects
from services.smtp_in.spool import Spool, Spooled
from services.smtp_in.transaction import Transaction
from services.smtp_in.way import wishes_of
from shared.contract.types import Bounce, ContentSource, Delivery, DeliveryResult
from shared.errors import StoreError
from shared.mail.content import Content
from shared.mail.date import format_date
from shared.mail.index import build_index
from shared.mail.received import build_received
from shared.mailauth.results import without_results_of
from shared.model.language import Language
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient

INDEX_INLINE_OCTETS = 256 * 1024
"""Larger contents are indexed in a thread: above this, indexing takes longer than the hand-over."""
LARGE_AT_ONCE = 4
"""Spooled contents that are indexed and handed in at once. A mapped file counts as memory while it is read, and the store takes
its pieces one after the other anyway, so more would add memory and no speed."""
_ASCII_CHUNK_OCTETS = 1024 * 1024


@frozen
class Result:
    """The reply, and for the log how large the stored content is and what the store said of a failure."""

    reply: Reply
    octets: int = 0
    detail: str = ""


class Deliverer:
    """Delivers for all sessions of the process."""

    def __init__(
        self,
        store: StoreClient,
        policy: Policy,
        hostname: str,
        clock: Callable[[], float] = time.time,
        full: Reply = replies.MAILBOX_FULL,
        rejects: Rejects | None = None,
        hold_seconds: float = 0.0,
        language: Language = Language.ENGLISH,
    ) -> None:
        """``full`` is said when the store finds all recipients over their quota. ``rejects`` keeps some of what is refused.

        ``hold_seconds``: how long submissions wait; ``language``: of reports where nothing shows one.
        """
        self._hold_seconds = hold_seconds
        self._store = store
        self._policy = policy
        self._hostname = hostname
        self._clock = clock
        self._full = full
        self._rejects = rejects
        self._language = language
        self._large = trio.Semaphore(LARGE_AT_ONCE)

    def prepare(self, transaction: Transaction, head: bytes, header: HeaderFacts) -> bytes:
        """What is stored in place of `head`, the beginning of the content with its whole header block."""
        now = int(self._clock())
        offset_minutes = time.localtime(now).tm_gmtoff // 60
        client = transaction.client
        if client.submission:
            head = data.repair_submission(
                head,
                header.octets,
                date=format_date(now, offset_minutes).encode(),
                message_id=f"<{transaction.trace}@{self._hostname}>".encode(),
            )
        else:
            # RFC 8601 §5: nobody else speaks in our name
            head = without_results_of(self._hostname, head[: header.octets]) + head[header.octets :]
        received = build_received(
            helo=client.helo,
            reverse_name="",
            client_ip=client.ip,
            by=self._hostname,
            protocol=transaction.protocol,
            trace=transaction.trace,
            seconds=now,
            offset_minutes=offset_minutes,
            recipient=transaction.only_recipient,
            tls=client.tls,
        )
        separator = b"\r\n" if data.needs_separator(head) else b""
        front = b"".join((_return_path(transaction), received, separator))
        transaction.front_octets = len(front)
        return front + head

    async def deliver(self, transaction: Transaction, spool: Spool) -> Result:
        """Commit the message, or say why not. Never raises StoreError."""
        if not spool.on_disk:
            return await self._deliver(transaction, spool)
        async with self._large:
            result = await self._deliver(transaction, spool)
            spool.close()
            return result

    async def _deliver(self, transaction: Transaction, spool: Spool) -> Result:
        spooled = await spool.finish()
        if isinstance(spooled, Reply):
            return Result(spooled)
        octets = len(spooled.data)
        try:
            objection = await self._policy.on_content(Received(transaction, spooled.header, spooled.data))
            if objection is not None:
                if self._rejects is not None:
                    await self._rejects.keep(transaction, objection, spooled, len(_return_path(transaction)))
                return Result(objection, octets)
            if transaction.authentication:
                fronted = await spool.insert(spooled, len(_return_path(transaction)), transaction.authentication)
                if isinstance(fronted, Reply):
                    return Result(fronted, octets)
                spooled = fronted
            lines = await to_lines(transaction, spool, spooled)
            if isinstance(lines, Reply):
                return Result(lines, octets)
            await self._commit(transaction, lines)
        except StoreError as error:
            return Result(reply_for(error, self._full), octets, str(error))
        return Result(replies.queued(transaction.trace), octets)

    async def _commit(self, transaction: Transaction, spooled: Spooled) -> DeliveryResult:
        if len(spooled.data) <= INDEX_INLINE_OCTETS:
            index, eight_bit = _inspect(spooled.data)
        else:
            index, eight_bit = await trio.to_thread.run_sync(_inspect, spooled.data)

        account = transaction.client.account
        now = self._clock()
        wishes = wishes_of(
            transaction.mail.asked,
            now,
            hold_seconds=self._hold_seconds if account is not None else 0.0,
            tls_optional=spooled.header.tls_optional,
        )
        receipt = build_receipt(
            self._hostname, transaction, spooled.data, int(now), self._language, held=bool(wishes.held_until)
        )
        device = account.device if account else None

        async def hand_in(source: ContentSource) -> DeliveryResult:
            if receipt is None or receipt.content.inline is None:
                return await file(source, ())

            async def with_receipt(report: ContentSource) -> DeliveryResult:
                return await file(source, (evolve(receipt, content=report),))

            return await self._store.with_content(receipt.content.inline, with_receipt)

        async def file(source: ContentSource, reports: tuple[Bounce, ...]) -> DeliveryResult:
            return await self._store.messages.deliver(
                Delivery(
                    trace=transaction.trace,
                    sender=transaction.sender,
                    local=transaction.copies(),
                    remote=tuple(transaction.remote.values()),
                    content=source,
                    index=index,
                    skip_octets=len(_return_path(transaction)),
                    smtputf8=transaction.mail.smtputf8,
                    eight_bit=eight_bit,
                    account_id=account.account_id if account else None,
                    received_from=transaction.client.described,
                    verdicts=transaction.verdicts,
                    envelope_id=transaction.mail.envelope_id,
                    ret=transaction.mail.ret,
                    reports=reports,
                    device_id=device.device_id if device else None,
                    unlimited=transaction.client.unlimited,
                    wishes=wishes,
                )
            )

        if isinstance(spooled.data, bytes):
            return await self._store.with_content(spooled.data, hand_in)
        with memoryview(spooled.data) as view:
            return await self._store.with_content(view, hand_in)


def _return_path(transaction: Transaction) -> bytes:
    """RFC 5321 §4.4."""
    return b"Return-Path: <" + transaction.sender.encode() + b">\r\n"


def _inspect(content: Content) -> tuple[MessageIndex, bool]:
    """The index, and whether there is any octet above 127."""
    return build_index(content), not _is_ascii(content)


def _is_ascii(content: Content) -> bool:
    if isinstance(content, bytes):
        return content.isascii()
    size = len(content)
    return all(content[at : at + _ASCII_CHUNK_OCTETS].isascii() for at in range(0, size, _ASCII_CHUNK_OCTETS))
