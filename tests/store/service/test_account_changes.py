"""events.account_changes: a watcher of an account hears of what changed, over the real socket."""

import pytest

from services.store.reads.account_changes import PAGE
from shared.contract.types import AccountChanges
from shared.errors import BadRequest
from shared.model.packed import pack_u32
from shared.testing import trio_test


@trio_test
async def test_everything_first_and_then_the_difference(world) -> None:
    async with world() as w:
        events, mailboxes = w.imap.events, w.imap.mailboxes
        async with w.imap.watch_account(w.grant) as watch:
            first = await events.account_changes(w.grant, 0, "")
            assert first.complete
            assert not first.next_name
            assert [box.name for box in first.mailboxes] == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
            await watch.wait()
            await w.deliver()
            await watch.wait()
            second = await events.account_changes(w.grant, first.number, "")
            assert not second.complete
            [inbox] = second.mailboxes
            assert (inbox.name, inbox.messages, inbox.unseen, inbox.uid_next, inbox.subscribed) == (
                "INBOX",
                1,
                1,
                2,
                True,
            )
            assert (await events.account_changes(w.grant, second.number, "")).mailboxes == ()
            # other names: everything again
            await mailboxes.rename(w.grant, "Trash", "Bin")
            third = await events.account_changes(w.grant, second.number, "")
            assert third.complete
            assert {box.name for box in third.mailboxes} == {"Archive", "Bin", "Drafts", "INBOX", "Junk", "Sent"}
            assert third.subscribed_only == ("Trash",)
            # a change of flags, a copy and an expunge are changes of their mailboxes
            number = third.number
            archive = await w.mailbox("Archive")
            await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1]), archive)
            assert [box.name for box in (await events.account_changes(w.grant, number, "")).mailboxes] == ["Archive"]
            await w.imap.messages.move(w.grant, archive, pack_u32([1]), w.inbox)
            changed = await events.account_changes(w.grant, number, "")
            assert {box.name: box.messages for box in changed.mailboxes} == {"Archive": 0, "INBOX": 2}


@trio_test
async def test_without_a_watch_everything_is_told(world) -> None:
    async with world() as w:
        first = await w.imap.events.account_changes(w.grant, 0, "")
        again = await w.imap.events.account_changes(w.grant, first.number, "")
        assert again.complete
        assert again.mailboxes == first.mailboxes
        async with w.imap.watch_account(w.grant):
            future = await w.imap.events.account_changes(w.grant, first.number + 10**9, "")
            assert future.complete


@trio_test
async def test_another_account_is_not_seen(world) -> None:
    async with world() as mine, world() as theirs, mine.imap.watch_account(mine.grant):
        before = await mine.imap.events.account_changes(mine.grant, 0, "")
        await theirs.deliver()
        await theirs.imap.mailboxes.create(theirs.grant, "x", "")
        after = await mine.imap.events.account_changes(mine.grant, before.number, "")
        assert (after.complete, after.mailboxes) == (False, ())


@trio_test
async def test_pages_hold_every_name_once(world) -> None:
    async with world() as w:
        for number in range(PAGE // 2):
            await w.imap.mailboxes.create(w.grant, f"box{number:04}/inner", "")
        for number in range(PAGE + 20):
            await w.imap.mailboxes.subscribe(w.grant, f"only{number:04}", True)
        pages: list[AccountChanges] = []
        after = ""
        while not pages or after:
            pages.append(await w.imap.events.account_changes(w.grant, 0, after))
            after = pages[-1].next_name
        names = [box.name for page in pages for box in page.mailboxes]
        assert len(names) == len(set(names)) == PAGE + 6
        only = [name for page in pages for name in page.subscribed_only]
        assert len(only) == len(set(only)) == PAGE + 20
        assert len(pages) > 1


@trio_test
async def test_nonsense_is_refused(world) -> None:
    async with world() as w:
        with pytest.raises(BadRequest):
            await w.imap.events.account_changes(w.grant, -1, "")
