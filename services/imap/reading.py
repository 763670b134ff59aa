"""Reads of the store that FETCH and SEARCH share: replies are cut where they get large, and asked on from there."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from services.imap.rendered import RenderedCache
from shared.contract.types import ContentRange, IndexField, IndexRow
from shared.errors import Internal
from shared.model.ids import Grant, MailboxId
from shared.model.packed import pack_u32
from shared.rpc.store_client import StoreClient


class Readable(Protocol):
    """A mailbox that may be read: a session's selected one (``Context``) or any other (``Place``)."""

    @property
    def store(self) -> StoreClient: ...
    @property
    def grant(self) -> Grant: ...
    @property
    def mailbox_id(self) -> MailboxId: ...


@attrs.frozen(eq=False)
class Place:
    """A mailbox to be searched."""

    store: StoreClient
    grant: Grant
    mailbox_id: MailboxId
    uidvalidity: int
    rendered: RenderedCache


async def read_index(mailbox: Readable, uids: Sequence[int], fields: IndexField) -> list[IndexRow]:
    """Index rows of messages in the order asked, without those that are gone."""
    found: list[IndexRow] = []
    rest = list(uids)
    while rest:
        rows = await mailbox.store.messages.fetch_index(mailbox.grant, mailbox.mailbox_id, pack_u32(rest), int(fields))
        if not rows:
            break
        found.extend(rows)
        rest = rest[rest.index(rows[-1].uid) + 1 :]
    return found


async def read_ranges(mailbox: Readable, ranges: Sequence[ContentRange]) -> list[bytes | None]:
    """Octets of ranges, each with its exact length given; None for a message that is gone."""
    answers: list[bytes | None] = []
    while len(answers) < len(ranges):
        rest = tuple(ranges[len(answers) :])
        octets = await mailbox.store.messages.read(mailbox.grant, mailbox.mailbox_id, rest)
        if not octets:
            raise Internal("the store answered no range")
        answers.extend(octets)
        first, wanted = octets[0], rest[0]
        if len(octets) == 1 and first is not None and len(first) < wanted.octets:
            # Too large for one reply: go on behind what came.
            answers[-1] = await _read_rest(mailbox, wanted, first)
    return answers


async def _read_rest(mailbox: Readable, wanted: ContentRange, beginning: bytes) -> bytes | None:
    pieces, have = [beginning], len(beginning)
    while have < wanted.octets:
        part = ContentRange(wanted.uid, wanted.offset + have, wanted.octets - have)
        octets = await mailbox.store.messages.read(mailbox.grant, mailbox.mailbox_id, (part,))
        if not octets or not octets[0]:
            return None
        pieces.append(octets[0])
        have += len(octets[0])
    return b"".join(pieces)
