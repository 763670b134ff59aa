"""What accounts hold and may hold: counted by every write, never by a scan; asked at RCPT from memory."""

import pytest

from shared.contract.sharing_types import Quota, Recounted
from shared.contract.types import ContentSource, Delivery, LocalRecipient
from shared.errors import BadRequest, NoPermission, NotFound, OverQuota
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32
from shared.testing import trio_test

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")


async def held(w) -> tuple[int, int]:
    quota = await w.admin.admin.quota_show(w.address)
    return quota.messages, quota.octets


@trio_test
async def test_every_write_counts(world) -> None:
    async with world() as w:
        await w.deliver(b"a" * 100)
        await w.deliver(b"b" * 50, flags=("\\Deleted",))
        assert await held(w) == (2, 150)
        box = (await w.imap.mailboxes.create(w.grant, "box", "")).mailbox_id
        await w.imap.messages.append(w.grant, box, (), None, ContentSource(7, inline=b"c" * 7), INDEX)
        assert await held(w) == (3, 157)
        await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1, 2]), box)
        assert await held(w) == (5, 307)
        await w.imap.messages.move(w.grant, w.inbox, pack_u32([1]), box)
        assert await held(w) == (5, 307)
        await w.imap.messages.expunge(w.grant, w.inbox, None, True)
        assert await held(w) == (4, 257)
        await w.imap.mailboxes.rename(w.grant, "INBOX", "old")
        assert await held(w) == (4, 257)
        await w.deliver(b"d" * 3)
        before = await held(w)
        kept = Quota(w.address, *before, None, None)
        assert await w.admin.admin.quota_recount(w.address) == Recounted(kept, kept)
        await w.imap.mailboxes.delete(w.grant, "box")
        assert await held(w) == (1, 3)
        accounts = {info.address: info for info in await w.admin.admin.account_list("")}
        assert (accounts[w.address].messages, accounts[w.address].octets) == (1, 3)


@trio_test
async def test_a_full_account(world) -> None:
    async with world() as w:
        async def over() -> bool:
            return (await w.smtp_in.directory.resolve(w.address)).room_octets == 0

        await w.deliver(b"x" * 10)
        assert not await over()
        await w.admin.admin.quota_set(w.address, None, 20)
        assert not await over()
        with pytest.raises(OverQuota):
            await w.imap.messages.append(w.grant, w.inbox, (), None, ContentSource(11, inline=b"y" * 11), INDEX)
        await w.imap.messages.append(w.grant, w.inbox, (), None, ContentSource(10, inline=b"y" * 10), INDEX)
        assert await over()
        with pytest.raises(OverQuota):
            await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1]), w.inbox)
        with pytest.raises(OverQuota):
            await w.deliver(b"z" * 10)
        await w.imap.messages.expunge(w.grant, w.inbox, pack_u32([1, 2]), False)
        await w.deliver(b"z" * 10)
        assert not await over()
        await w.admin.admin.quota_set(w.address, 1, None)
        assert await over()
        alias = f"alias-of-{w.address}"
        await w.admin.admin.alias_add(alias, (w.address,))
        assert (await w.smtp_in.directory.resolve(alias)).room_octets == 0
        # one who is full does not stop the mail of the others
        await w.admin.admin.alias_add(alias, ("else@elsewhere.test",))
        assert (await w.smtp_in.directory.resolve(alias)).room_octets is None
        await w.admin.admin.quota_set(w.address, None, None)
        assert not await over()
        for messages, octets in ((-1, None), (None, 2**63 - 1)):
            with pytest.raises(BadRequest):
                await w.admin.admin.quota_set(w.address, messages, octets)
        with pytest.raises(NotFound):
            await w.admin.admin.quota_show("nobody@example.test")
        with pytest.raises(NoPermission):
            await w.imap.sharing.set_quota(w.grant, w.address, None, None)


@trio_test
async def test_the_room_that_is_left(world) -> None:
    async with world() as w:
        admin, resolve = w.admin.admin, w.smtp_in.directory.resolve
        other = f"second-{w.address}"
        second = await admin.account_add(other, "a password")
        group = f"group-{w.address}"
        await admin.alias_add(group, (w.address, other))

        async def rooms() -> list[int | None]:
            return [(await resolve(address)).room_octets for address in (w.address, other, group)]

        assert await rooms() == [None, None, None]
        await admin.quota_set(w.address, None, 100)
        assert await rooms() == [100, None, None]
        await admin.quota_set(other, 10, 500)
        assert await rooms() == [100, 500, 500]
        await w.deliver(b"x" * 30)
        assert await rooms() == [70, 500, 500]
        await admin.quota_set(w.address, 1, None)
        assert await rooms() == [0, 500, 500]
        await admin.quota_set(other, 0, None)
        assert await rooms() == [0, 0, 0]
        await admin.quota_set(other, 1, None)
        # RCPT has taken both: the one who has room gets it, and nobody's copy is dropped
        both = tuple(LocalRecipient(account, group) for account in (w.account, second.account_id))
        await w.smtp_in.messages.deliver(Delivery("t", "s@far.test", both, (), ContentSource(1, inline=b"m"), INDEX))
        assert ((await held(w))[0], (await admin.quota_show(other)).messages) == (2, 1)
        with pytest.raises(OverQuota):
            await w.smtp_in.messages.deliver(Delivery("t", "s@far.test", both, (), ContentSource(1, inline=b"m"), INDEX))
        assert (await held(w))[0] == 2


@trio_test
async def test_a_group_of_appends_cannot_pass_the_limit_together(world) -> None:
    """They share a transaction: what the first of them adds counts for the next."""
    import trio

    async with world() as w:
        await w.admin.admin.quota_set(w.address, 5, None)
        results: list[bool] = []

        async def append() -> None:
            try:
                await w.imap.messages.append(w.grant, w.inbox, (), None, ContentSource(1, inline=b"m"), INDEX)
                results.append(True)
            except OverQuota:
                results.append(False)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(append)
        assert (results.count(True), await held(w)) == (5, (5, 5))
