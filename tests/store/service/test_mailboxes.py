"""The mailboxes area, over the real socket."""

import pytest

from shared.contract.mailbox_types import ListOnly, ListScope
from shared.errors import BadRequest, CannotChangeMailbox, InvalidMailboxName, MailboxExists, NoSuchMailbox
from shared.model.packed import unpack_u32
from shared.testing import trio_test

SUBSCRIBED = ListScope(ListOnly.SUBSCRIBED)


@trio_test
async def test_a_new_account_has_the_usual_mailboxes(world) -> None:
    async with world() as w:
        listed = await w.listed()
        assert [(box.name, box.special_use, box.subscribed) for box in listed] == [
            ("INBOX", "", True),
            ("Archive", "\\Archive", True),
            ("Drafts", "\\Drafts", True),
            ("Junk", "\\Junk", True),
            ("Sent", "\\Sent", True),
            ("Trash", "\\Trash", True),
        ]
        assert len({box.uidvalidity for box in listed}) == 6


@trio_test
async def test_create_makes_the_levels_above(world) -> None:
    async with world() as w:
        made = await w.imap.mailboxes.create(w.grant, "가족/사진/2026/", "")
        assert made.name == "가족/사진/2026"
        names = [box.name for box in await w.listed()]
        assert {"가족", "가족/사진", "가족/사진/2026"} <= set(names)
        with pytest.raises(MailboxExists):
            await w.imap.mailboxes.create(w.grant, "가족", "")
        with pytest.raises(MailboxExists):
            await w.imap.mailboxes.create(w.grant, "inbox", "")
        for name in ("", "/", "a//b", "a\x01b", "a*", "a%", "x" * 1001, "/".join("a" * 21)):
            with pytest.raises(InvalidMailboxName):
                await w.imap.mailboxes.create(w.grant, name, "")
        with pytest.raises(BadRequest):
            await w.imap.mailboxes.create(w.grant, "b", "\\Nonsense")


@trio_test
async def test_special_use_moves_to_the_newest(world) -> None:
    async with world() as w:
        await w.imap.mailboxes.create(w.grant, "Papierkorb", "\\Trash")
        uses = {box.name: box.special_use for box in await w.listed()}
        assert (uses["Papierkorb"], uses["Trash"]) == ("\\Trash", "")


@trio_test
async def test_inbox_in_any_case(world) -> None:
    async with world() as w:
        assert (await w.imap.mailboxes.status(w.grant, "iNbOx")).mailbox_id == w.inbox
        await w.imap.mailboxes.create(w.grant, "inbox/sub", "")
        assert (await w.imap.mailboxes.status(w.grant, "INBOX/sub")).name == "INBOX/sub"
        with pytest.raises(NoSuchMailbox):
            await w.imap.mailboxes.status(w.grant, "INBOX/SUB")


@trio_test
async def test_delete(world) -> None:
    async with world() as w:
        first = await w.imap.mailboxes.create(w.grant, "a/b", "")
        await w.imap.mailboxes.delete(w.grant, "a")
        assert (await w.imap.mailboxes.status(w.grant, "a/b")).mailbox_id == first.mailbox_id
        with pytest.raises(NoSuchMailbox):
            await w.imap.mailboxes.delete(w.grant, "a")
        with pytest.raises(CannotChangeMailbox):
            await w.imap.mailboxes.delete(w.grant, "Inbox")
        await w.deliver()
        await w.imap.messages.copy(w.grant, w.inbox, b"\1\0\0\0", first.mailbox_id)
        await w.imap.mailboxes.delete(w.grant, "a/b")
        again = await w.imap.mailboxes.create(w.grant, "a/b", "")
        # RFC 3501 §2.3.1.1
        assert again.uidvalidity > first.uidvalidity
        assert again.mailbox_id != first.mailbox_id
        assert (await w.imap.mailboxes.status(w.grant, "a/b")).messages == 0


@trio_test
async def test_rename_takes_the_levels_below_along(world) -> None:
    async with world() as w:
        top = await w.imap.mailboxes.create(w.grant, "old", "")
        below = await w.imap.mailboxes.create(w.grant, "old/x/y", "")
        aside = await w.imap.mailboxes.create(w.grant, "older", "")
        await w.imap.mailboxes.rename(w.grant, "old", "new/place")
        names = {box.name: box.mailbox_id for box in await w.listed()}
        assert names["new/place"] == top.mailbox_id
        assert names["new/place/x/y"] == below.mailbox_id
        assert names["older"] == aside.mailbox_id
        assert "new" in names
        assert "old" not in names
        with pytest.raises(NoSuchMailbox):
            await w.imap.mailboxes.rename(w.grant, "old", "other")
        with pytest.raises(MailboxExists):
            await w.imap.mailboxes.rename(w.grant, "older", "Sent")
        with pytest.raises(CannotChangeMailbox):
            await w.imap.mailboxes.rename(w.grant, "older", "older/below")


@trio_test
async def test_rename_of_inbox_moves_its_messages(world) -> None:
    async with world() as w:
        await w.imap.mailboxes.create(w.grant, "INBOX/stays", "")
        for _ in range(3):
            await w.deliver()
        await w.imap.mailboxes.rename(w.grant, "INBOX", "2025")
        inbox = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert (inbox.mailbox_id, inbox.messages, inbox.uid_next) == (w.inbox, 0, 4)
        moved = await w.imap.mailboxes.status(w.grant, "2025")
        assert (moved.messages, moved.unseen) == (3, 3)
        assert (await w.imap.mailboxes.status(w.grant, "INBOX/stays")).messages == 0


@trio_test
async def test_subscriptions_need_no_mailbox(world) -> None:
    async with world() as w:
        await w.imap.mailboxes.subscribe(w.grant, "not/there", True)
        await w.imap.mailboxes.subscribe(w.grant, "not/there", True)
        await w.imap.mailboxes.subscribe(w.grant, "Sent", False)
        assert [box.name for box in await w.listed(SUBSCRIBED) if not box.mailbox_id] == ["not/there"]
        assert {box.name: box.subscribed for box in await w.listed()}["Sent"] is False
        made = await w.imap.mailboxes.create(w.grant, "not/there", "")
        assert made.subscribed
        await w.imap.mailboxes.subscribe(w.grant, "not/there", False)
        assert all(box.mailbox_id for box in await w.listed(SUBSCRIBED))


@trio_test
async def test_a_long_list_comes_in_pages(world) -> None:
    async with world() as w:
        for number in range(450):
            await w.imap.mailboxes.create(w.grant, f"m{number:04}", "")
            if number % 3 == 0:
                await w.imap.mailboxes.subscribe(w.grant, f"s{number:04}", True)
        first = await w.imap.mailboxes.list(w.grant, "", ListScope())
        assert (len(first.mailboxes), first.next) == (400, first.mailboxes[-1].name)
        names = [box.name for box in await w.listed()]
        only = [box.name for box in await w.listed(SUBSCRIBED) if not box.mailbox_id]
        assert len(names) == len(set(names)) == 456
        assert only == [f"s{number:04}" for number in range(0, 450, 3)]


@trio_test
async def test_recent_is_claimed_once(world) -> None:
    async with world() as w:
        await w.deliver()
        await w.deliver()
        looked = await w.imap.mailboxes.select(w.grant, "INBOX", False)
        assert (looked.recent, looked.first_recent_uid, looked.uid_next) == (2, 1, 3)
        first = await w.imap.mailboxes.select(w.grant, "INBOX", True)
        assert (first.recent, first.first_recent_uid) == (2, 1)
        second = await w.imap.mailboxes.select(w.grant, "INBOX", True)
        assert (second.recent, second.first_recent_uid) == (0, 3)
        await w.deliver()
        assert (await w.imap.mailboxes.status(w.grant, "INBOX")).recent == 1


@trio_test
async def test_counters(world) -> None:
    async with world() as w:
        await w.deliver(b"a" * 100)
        await w.deliver(b"b" * 50, flags=("\\Seen", "\\Deleted"))
        state = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert (state.messages, state.unseen, state.deleted, state.octets) == (2, 1, 1, 150)
        gone = await w.imap.messages.expunge(w.grant, w.inbox, None, True)
        assert unpack_u32(gone.uids).tolist() == [2]
        state = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert (state.messages, state.unseen, state.deleted, state.octets) == (1, 1, 0, 100)
