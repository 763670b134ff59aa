"""A session's maildrop at the store: opened once, read from, and at QUIT told what to remove.

Laws:
- The snapshot is taken page by page in UID order; its length is bounded by `MAX_MESSAGES` (what is beyond, the newest,
  appears in the next session after some of the oldest were fetched and deleted).
- Contents are read by UID, so that message-numbers cannot slip, whatever others do to the mailbox meanwhile.
- `finish` returns when the removal is durable. UIDs that are gone already count as removed.
- What the device has hidden is not in it.

What can fail: every method raises StoreError.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from services.pop3.protocol.drop import Drop
from shared.contract.pop3_types import Pop3Finished
from shared.contract.types import ContentRange
from shared.model.ids import Grant, MailboxId, Uid
from shared.model.packed import pack_u32, unpack_u32
from shared.rpc.store_client import StoreClient

MAX_MESSAGES: Final = 200_000
"""About 30 MB of memory for one session, mostly unique-ids; a listing of 5 MB."""

PAGE_MESSAGES: Final = 5_000
FINISH_OCTETS: Final = 900_000
"""UIDs in one call; below the bound of a frame (1 MiB). All that a session can fetch, or delete, is 800,000 octets."""

INBOX: Final = "INBOX"


class Maildrop:
    """A mailbox of one account as one session of a device has it."""

    def __init__(
        self, store: StoreClient, grant: Grant, mailbox_id: MailboxId, drop: Drop, expire_days: int = 0
    ) -> None:
        """``expire_days``: after how many days at the soonest messages go by themselves; 0: never."""
        self.drop = drop
        self.expire_days = expire_days
        self._store = store
        self._grant = grant
        self._mailbox_id = mailbox_id

    @classmethod
    async def open(cls, store: StoreClient, grant: Grant, mailbox: str = INBOX) -> Maildrop:
        """Takes the snapshot. Raises NoSuchMailbox, too."""
        uids, sizes, header_octets = array("I"), array("I"), array("I")
        unique_ids: list[str] = []
        after = Uid(0)
        while True:
            limit = min(PAGE_MESSAGES, MAX_MESSAGES - len(uids))
            page = await store.messages.maildrop(grant, mailbox, after, limit)
            uids += unpack_u32(page.uids)
            sizes += unpack_u32(page.sizes)
            header_octets += unpack_u32(page.header_octets)
            unique_ids += page.uidls
            if not page.more or not page.uids or len(uids) >= MAX_MESSAGES:
                break
            after = Uid(uids[-1])
        return cls(store, grant, page.mailbox_id, Drop(uids, sizes, header_octets, unique_ids), page.expire_days)

    async def read(self, ranges: Sequence[tuple[int, int, int]]) -> list[bytes | None]:
        """The contents of (message-number, offset, octets or -1 for all), in this order; None for what is gone.

        An answer may be shorter than asked only when it alone is above the bound of a reply, or at the message's end.
        """
        wanted = [ContentRange(Uid(self.drop.uid(number)), offset, octets) for number, offset, octets in ranges]
        contents: list[bytes | None] = []
        while len(contents) < len(wanted):
            answers = await self._store.messages.read(self._grant, self._mailbox_id, tuple(wanted[len(contents) :]))
            if not answers:
                raise ValueError("the store answered nothing to a read")  # against its contract: never loop on it
            contents += answers
        return contents

    async def finish(self, deleted: Sequence[int]) -> Pop3Finished | None:
        """Has what was deleted removed, and what was fetched remembered, durably; None where there is nothing to tell."""
        fetched = self.drop.fetched_uids()
        done = None
        for told, gone in parts(pack_u32(fetched), pack_u32(deleted)):
            done = await self._store.pop3.finish(self._grant, self._mailbox_id, told, gone, len(self.drop))
        return done


def parts(fetched: bytes, deleted: bytes) -> list[tuple[bytes, bytes]]:
    """What is told in one call each: all at once, or, too much for a frame, what was fetched a moment before."""
    if not fetched and not deleted:
        return []
    if fetched and deleted and len(fetched) + len(deleted) > FINISH_OCTETS:
        return [(fetched, b""), (b"", deleted)]
    return [(fetched, deleted)]
