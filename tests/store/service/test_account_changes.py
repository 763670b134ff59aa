"""events.account_changes: a watcher of an account hears of what changed, over the real socket."""

import pytest

from services.store.reads.account_changes import PAGE
from shared.contract.sharing_types import AclChange, Annotation
from shared.contract.types import AccountChanges, MailboxCounters
from shared.errors import BadRequest
from shared.model.namespace import shared_name
from shared.model.packed import pack_u32
from shared.model.rights import Rights, parse_rights
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


async def give(owner, mailbox: str, identifier: str, rights: str, change: AclChange = AclChange.REPLACE) -> None:
    bits = parse_rights(rights)
    assert bits is not None
    await owner.imap.sharing.set_acl(owner.grant, mailbox, identifier, change, int(bits))


async def shared_with(guest) -> list[MailboxCounters]:
    """All pages; of what anyone was given by other tests nothing is left out."""
    rows, after = [], ""
    while True:
        page = await guest.imap.events.shared_mailboxes(guest.grant, after)
        rows += page.mailboxes
        after = page.next_name
        if not after:
            return rows


@trio_test
async def test_what_others_share_is_seen_as_long_as_they_share_it(world) -> None:
    async with world() as owner, world() as guest, guest.imap.watch_account(guest.grant):
        events = guest.imap.events
        name = shared_name(owner.address, "Team")
        await owner.imap.mailboxes.create(owner.grant, "Team", "\\Archive")
        number = (await events.account_changes(guest.grant, 0, "")).number

        async def changed() -> AccountChanges:
            nonlocal number
            found = await events.account_changes(guest.grant, number, "")
            number = found.number
            return found

        async def mine() -> list[MailboxCounters]:
            return [row for row in await shared_with(guest) if row.name.startswith(shared_name(owner.address, ""))]

        assert await mine() == []
        await give(owner, "Team", guest.address, "lr")
        assert (await changed()).complete
        [row] = await mine()
        assert (row.name, row.special_use, row.rights) == (name, "", int(Rights.LOOKUP | Rights.READ))
        # what is in it, and then its annotations
        team = await owner.mailbox("Team")
        await owner.deliver()
        await owner.imap.messages.copy(owner.grant, owner.inbox, pack_u32([1]), team)
        found = await changed()
        assert (found.complete, [(each.name, each.messages) for each in found.mailboxes]) == (False, [(name, 1)])
        entries = (Annotation("/shared/comment", b"ours"), Annotation("/private/comment", b"mine"))
        await owner.imap.sharing.set_metadata(owner.grant, "Team", entries)
        found = await changed()
        assert [(each.mailbox_id, each.names) for each in found.annotations] == [(team, ("/shared/comment",))]
        # to be seen and not to be read
        await give(owner, "Team", guest.address, "r", AclChange.REMOVE)
        assert (await changed()).complete
        [row] = await mine()
        assert (row.name, row.uid_next, row.messages, row.highest_modseq, row.uidvalidity) == (name, 0, 0, 0, 0)
        await owner.imap.sharing.set_metadata(owner.grant, "Team", entries)
        found = await changed()
        assert (found.annotations, [each.messages for each in found.mailboxes]) == ((), [0])
        # other names, for guests too; below it a new one has the same rights
        await owner.imap.mailboxes.rename(owner.grant, "Team", "Crew")
        assert (await changed()).complete
        await owner.imap.mailboxes.create(owner.grant, "Crew/Sub", "")
        assert (await changed()).complete
        assert [each.name for each in await mine()] == [shared_name(owner.address, each) for each in ("Crew", "Crew/Sub")]
        await owner.imap.mailboxes.delete(owner.grant, "Crew/Sub")
        assert (await changed()).complete
        # denied, though anyone may
        await give(owner, "Crew", f"-{guest.address}", "l")
        await give(owner, "Crew", "anyone", "lr")
        assert (await changed()).complete
        assert await mine() == []
        await owner.imap.messages.copy(owner.grant, owner.inbox, pack_u32([1]), team)
        found = await changed()
        assert (found.complete, found.mailboxes) == (False, ())
        await give(owner, "Crew", f"-{guest.address}", "")
        assert [each.messages for each in await mine()] == [2]
        await owner.admin.admin.account_remove(owner.address)
        assert (await changed()).complete
        assert await mine() == []


@trio_test
async def test_pages_of_what_others_share(world) -> None:
    async with world() as owner, world() as guest:
        await owner.imap.mailboxes.create(owner.grant, "x", "")
        await give(owner, "x", guest.address, "lr")
        for number in range(PAGE):
            await owner.imap.mailboxes.create(owner.grant, f"x/{number:04}", "")
        first = await guest.imap.events.shared_mailboxes(guest.grant, "")
        assert (len(first.mailboxes), first.next_name) == (PAGE, first.mailboxes[-1].name)
        # what other tests give to anyone is there, too
        prefix = f"shared/{owner.address}/"
        names = [row.name for row in await shared_with(guest) if row.name.startswith(prefix)]
        assert len(names) == len(set(names)) == PAGE + 1
