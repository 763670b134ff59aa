"""Messages come with the identities that they had elsewhere: through the store's own rules."""

import pytest
import trio

from shared.contract.moving_types import UIDVALIDITY_MOST, MovedMessage
from shared.contract.sharing_types import AclChange
from shared.contract.types import ContentSource
from shared.errors import BadRequest, Forbidden, LimitExceeded, NoSuchMailbox, NotFound, OverQuota
from shared.model.ids import UID_MAX
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_i64, unpack_u32
from shared.model.rights import ALL_RIGHTS_BITS
from shared.testing.stack import PASSWORD

INDEX = MessageIndex(4, b"e", b"s", b"b", b"p", b"m")


def moved(uid: int, data: bytes = b"x", *flags: str, uidl: str = "", date: int = 5) -> MovedMessage:
    return MovedMessage(uid, flags, date, uidl, ContentSource(len(data), inline=data), INDEX)


async def entered(w):
    return (await w.admin.moving.enter(w.address.upper())).grant


def test_identities_are_kept(world):
    async def main():
        async with world() as w:
            grant = await entered(w)
            assert await w.admin.moving.adopt(grant, w.inbox, 1234) == 1234
            messages = (moved(7, b"a", "\\Seen", "$k", uidl="old-7", date=-1), moved(9, b"b"), moved(0, b"c"))
            done = await w.admin.moving.file(grant, w.inbox, messages, 40, False)
            assert (unpack_u32(done.uids).tolist(), done.uid_next) == ([7, 9, 10], 40)
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert (state.uidvalidity, state.uid_next, state.messages, state.unseen, state.recent) == (1234, 40, 3, 2, 0)
            page = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 10)
            assert unpack_i64(page.internal_dates).tolist() == [-1, 5, 5]
            assert page.keywords == ("$k",)
            drop = await w.pop3.messages.maildrop((await w.pop3.auth.login(w.address, PASSWORD, "")).grant, "INBOX", 0, 9)
            assert drop.uidls[0] == "old-7"
            known = await w.admin.moving.identities(grant, w.inbox, 7)
            assert unpack_u32(known.uids).tolist() == [9, 10]
            assert len(known.digests) == 64
            # a mailbox that holds messages keeps what it has
            assert await w.admin.moving.adopt(grant, w.inbox, 99) == 1234
            delivered = await w.deliver()
            assert delivered.copies[0].uid == 40

    trio.run(main)


def test_what_is_refused_changes_nothing(world):
    async def main():
        async with world() as w:
            grant = await entered(w)
            await w.admin.moving.file(grant, w.inbox, (moved(5),), 0, False)
            many = tuple(f"k{number}" for number in range(51))
            for error, messages, uid_next in (
                (BadRequest, (moved(5),), 0),
                (BadRequest, (moved(8), moved(7)), 0),
                (BadRequest, (moved(0), moved(6)), 0),
                (BadRequest, (moved(9, uidl="a b"),), 0),
                (BadRequest, (moved(9, uidl="a" * 71),), 0),
                (BadRequest, (moved(9, uidl="a"), moved(10, uidl="a")), 0),
                (BadRequest, (moved(9, date=2**50),), 0),
                (BadRequest, (), UID_MAX + 1),
                (LimitExceeded, (moved(UID_MAX), moved(0)), 0),
                (LimitExceeded, (moved(9), moved(0, b"x", *many)), 0),
            ):
                with pytest.raises(error):
                    await w.admin.moving.file(grant, w.inbox, messages, uid_next, False)
            for uidvalidity in (0, -1, UIDVALIDITY_MOST + 1):
                with pytest.raises(BadRequest):
                    await w.admin.moving.adopt(grant, w.inbox, uidvalidity)
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert (state.uid_next, state.messages, state.keywords) == (6, 1, ())

    trio.run(main)


def test_the_quota(world):
    async def main():
        async with world() as w:
            grant = await entered(w)
            await w.admin.admin.quota_set(w.address, 1, None)
            with pytest.raises(OverQuota):
                await w.admin.moving.file(grant, w.inbox, (moved(1), moved(2)), 0, False)
            await w.admin.moving.file(grant, w.inbox, (moved(1), moved(2)), 0, True)
            quota = await w.admin.admin.quota_show(w.address)
            assert (quota.messages, quota.octets) == (2, 2)

    trio.run(main)


def test_a_mailbox_that_was_emptied_starts_again(world):
    async def main():
        async with world() as w:
            grant = await entered(w)
            await w.deliver()
            await w.imap.messages.expunge(w.grant, w.inbox, None, False)
            assert unpack_u32((await w.admin.moving.identities(grant, w.inbox, 0)).vanished).tolist() == [1]
            far = (await w.imap.mailboxes.status(w.grant, "INBOX")).uidvalidity + 1000
            assert await w.admin.moving.adopt(grant, w.inbox, far) == far
            assert not (await w.admin.moving.identities(grant, w.inbox, 0)).vanished
            await w.admin.moving.file(grant, w.inbox, (moved(1),), 0, False)
            # RFC 3501 §2.3.1.1: what is made later never has a lower one
            made = await w.imap.mailboxes.create(w.grant, "New", "")
            assert made.uidvalidity > far

    trio.run(main)


def test_who_may(world):
    async def main():
        async with world() as w:
            with pytest.raises(Forbidden):
                await w.imap.moving.enter(w.address)
            with pytest.raises(Forbidden):
                await w.imap.moving.file(w.grant, w.inbox, (), 0, False)
            with pytest.raises(NotFound):
                await w.admin.moving.enter("nobody@example.test")
            # a client's grant is not the administrator's, nor the other way round
            with pytest.raises(Forbidden):
                await w.admin.moving.identities(w.grant, w.inbox, 0)
            with pytest.raises(Forbidden):
                await w.imap.mailboxes.status(await entered(w), "INBOX")

    trio.run(main)


def test_the_accounts_own_mailboxes_alone(world):
    """Not even with all rights on another's."""

    async def main():
        async with world() as w, world() as other:
            await other.imap.sharing.set_acl(other.grant, "INBOX", w.address, AclChange.REPLACE, ALL_RIGHTS_BITS)
            grant = await entered(w)
            for call in (
                w.admin.moving.adopt(grant, other.inbox, 5),
                w.admin.moving.identities(grant, other.inbox, 0),
                w.admin.moving.file(grant, other.inbox, (moved(1),), 0, False),
            ):
                with pytest.raises(NoSuchMailbox):
                    await call

    trio.run(main)
