"""A small internet for tests of outgoing mail: a store, smtp_out, a DNS server, and a scripted SMTP peer per domain.

    with OutboundWorld(tmp_path) as world:
        with world.peer("b.test") as peer:
            world.submit("alice@example.test", ["bob@b.test"], b"Subject: x\r\n\r\nHello\r\n")
            peer.wait_messages(1)
        world.inbox()          # contents of alice's INBOX: the bounces
        world.wait_queue_empty()

All peers listen on one port (the setting smtp_out.mx_port), each on a loopback address of its own, found by MX records.
Messages are submitted as smtp_in does it: by the store's `messages.deliver`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trio

from shared.contract.queue_types import QueueItem
from shared.contract.registry import Role
from shared.contract.types import ContentRange, Delivery, LocalRecipient, RemoteRecipient
from shared.mail.index import build_index
from shared.model.ids import EntryId, ModSeq, Uid
from shared.observe.trace import new_trace
from shared.rpc.store_client import StoreClient
from shared.testing.dns_server import DnsServer, free_loopback_port
from shared.testing.smtp_peer import Script, SmtpPeer
from shared.testing.stack import PASSWORD, Stack

ALICE = "alice@example.test"
WAIT_SECONDS = 20.0
SETTINGS = {
    "PILLARBOX_SERVER__HOSTNAME": "mail.example.test",
    "PILLARBOX_SMTP_OUT__ALLOW_PRIVATE": "true",
    "PILLARBOX_SMTP_OUT__FIRST_RETRY_SECONDS": "0.2",
    "PILLARBOX_SMTP_OUT__LAST_RETRY_SECONDS": "1",
    "PILLARBOX_SMTP_OUT__LEASE_SECONDS": "2.5",
    "PILLARBOX_SMTP_OUT__CONNECT_SECONDS": "2",
    "PILLARBOX_SMTP_OUT__COMMAND_SECONDS": "4",
    "PILLARBOX_SMTP_OUT__DATA_SECONDS": "8",
    "PILLARBOX_SMTP_OUT__IDLE_SECONDS": "1",
    "PILLARBOX_DNS__TIMEOUT_SECONDS": "0.5",
    "PILLARBOX_DNS__LIFETIME_SECONDS": "1",
}


class OutboundWorld:
    """`settings`: further PILLARBOX_* variables. alice@example.test has an account."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.dns = DnsServer(ttl=1)
        self.port = free_loopback_port()
        chosen = {
            **SETTINGS,
            "PILLARBOX_DNS__RESOLVERS": self.dns.setting,
            "PILLARBOX_SMTP_OUT__MX_PORT": str(self.port),
            **(settings or {}),
        }
        self.stack = Stack(folder / "data", ("smtp_out",), chosen)
        self._hosts = itertools.count(2)

    def __enter__(self) -> Self:
        self.dns.start()
        try:
            self.stack.start()
            self.stack.add_account(ALICE)
        except BaseException:
            self.dns.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
        self.dns.close()

    @property
    def smtp_out(self) -> Any:
        """The running service (`shared.testing.process.RunningService`)."""
        return self.stack["smtp_out"]

    def new_address(self) -> str:
        """A loopback address that no peer has had."""
        number = next(self._hosts)
        return f"127.{40 + number // 250}.0.{1 + number % 250}"

    @contextmanager
    def peer(self, domain: str, script: Script | None = None, **fields: Any) -> Iterator[SmtpPeer]:
        """A peer that is the domain's only MX host."""
        address = self.new_address()
        with SmtpPeer(script, host=address, port=self.port, name=f"mx.{domain}", **fields) as peer:
            self.point(domain, address)
            yield peer

    def point(self, domain: str, *addresses: str) -> None:
        """Make mx.<domain> with these addresses the domain's only MX host."""
        self.dns.set(f"mx.{domain}", {"A": list(addresses)})
        self.dns.set(domain, {"MX": [f"10 mx.{domain}."]})

    def submit(self, sender: str, recipients: Sequence[str | RemoteRecipient], content: bytes, **fields: Any) -> tuple[EntryId, ...]:
        """Queue one message, durable on return; its entries."""
        return self.submit_many([(sender, recipients, content)], **fields)[0]

    def submit_local(self, sender: str, recipients: Sequence[LocalRecipient], content: bytes, **fields: Any) -> tuple[EntryId, ...]:
        """Hand in one message for accounts here, durable on return; its entries, where it is held."""

        async def use(store: StoreClient) -> tuple[EntryId, ...]:
            source = await store.put_content(content)
            delivery = Delivery(new_trace(), sender, tuple(recipients), (), source, build_index(content), **fields)
            return (await store.messages.deliver(delivery)).entries

        return self.stack.administer(use, Role.SMTP_IN)

    def submit_many(
        self, messages: Sequence[tuple[str, Sequence[str | RemoteRecipient], bytes]], **fields: Any
    ) -> list[tuple[EntryId, ...]]:
        """Queue messages side by side."""
        entries: list[tuple[EntryId, ...]] = [()] * len(messages)

        async def one(
            store: StoreClient, place: int, sender: str, recipients: Sequence[str | RemoteRecipient], content: bytes
        ) -> None:
            remote = tuple(RemoteRecipient(one) if isinstance(one, str) else one for one in recipients)
            source = await store.put_content(content)
            delivery = Delivery(new_trace(), sender, (), remote, source, build_index(content), **fields)
            entries[place] = (await store.messages.deliver(delivery)).entries

        async def use(store: StoreClient) -> None:
            async with trio.open_nursery() as nursery:
                for place, message in enumerate(messages):
                    nursery.start_soon(one, store, place, *message)

        self.stack.administer(use, Role.SMTP_IN)
        return entries

    def queue(self) -> tuple[QueueItem, ...]:
        """What is queued, without histories."""
        return self.stack.administer(lambda store: store.admin.queue_list(EntryId(0), 1000))

    def show(self, entry: EntryId) -> QueueItem:
        """One entry with its attempts."""
        return self.stack.administer(lambda store: store.admin.queue_show(entry))

    def retry_now(self, *entries: EntryId) -> int:
        """Make entries due now."""
        return self.stack.administer(lambda store: store.admin.queue_retry(entries))

    def wait_queue_empty(self, seconds: float = WAIT_SECONDS) -> None:
        """Return when nothing is queued any more."""
        self.wait(lambda: not self.queue(), "the queue is not empty", seconds)

    def wait(self, condition: Callable[[], bool], failure: str, seconds: float = WAIT_SECONDS) -> None:
        """Look until the condition holds: for what the store tells no outsider by an event."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise self.stack["smtp_out"].failure(failure)
            time.sleep(0.03)

    def inbox(self, address: str = ALICE) -> list[bytes]:
        """The contents of an account's INBOX, by UID."""

        async def use(store: StoreClient) -> list[bytes]:
            login = await store.auth.login(address, PASSWORD, "127.0.0.1")
            state = await store.mailboxes.select(login.grant, "INBOX", False)
            page = await store.messages.changes(login.grant, state.mailbox_id, ModSeq(0), Uid(0), 1000)
            uids = memoryview(page.uids).cast("I").tolist()
            ranges = tuple(ContentRange(Uid(uid)) for uid in uids)
            contents = await store.messages.read(login.grant, state.mailbox_id, ranges) if ranges else ()
            return [content for content in contents if content is not None]

        return self.stack.administer(use, Role.IMAP)

    def wait_inbox(self, count: int, seconds: float = WAIT_SECONDS) -> list[bytes]:
        """The INBOX once it holds `count` messages."""
        self.wait(lambda: len(self.inbox()) >= count, f"fewer than {count} messages in INBOX", seconds)
        return self.inbox()
