"""Rights of others, over the real socket: every call with every right, and what nobody may learn."""

from collections.abc import Awaitable, Callable

import attrs
import pytest

from shared.contract.append_types import NewMessage, Replaced
from shared.contract.areas import METHODS
from shared.contract.mailbox_types import ListOnly, ListScope
from shared.contract.search_types import SearchScope, SearchTerm
from shared.contract.sharing_types import AclChange, AclEntry, Annotation, AnnotationDepth
from shared.contract.types import ContentRange, ContentSource, FlagOperation
from shared.errors import (
    BadRequest,
    CannotChangeMailbox,
    InvalidMailboxName,
    MailboxExists,
    NoPermission,
    NoSuchMailbox,
    NotFound,
    StoreError,
)
from shared.model.flags import SystemFlag
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.namespace import shared_name
from shared.model.packed import pack_u32, unpack_u32, unpack_u64
from shared.model.rights import ALL_RIGHTS, LETTERS, NO_RIGHTS, Rights, parse_rights
from shared.testing import trio_test
from shared.testing.stack import PASSWORD

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
ONE = pack_u32([1])
TERM = SearchTerm(SearchScope.TEXT, "text")
SEEN, DELETED = SystemFlag.SEEN.value, SystemFlag.DELETED.value


@attrs.frozen
class Two:
    """Alice's world, and Bob, who is a guest in it."""

    alice: object
    bob: Grant
    bob_address: str
    bob_inbox: MailboxId

    async def give(self, mailbox: str, rights: str, identifier: str = "", change: AclChange = AclChange.REPLACE) -> None:
        bits = parse_rights(rights)
        assert bits is not None
        await self.alice.imap.sharing.set_acl(
            self.alice.grant, mailbox, identifier or self.bob_address, change, int(bits)
        )

    def theirs(self, mailbox: str) -> str:
        return shared_name(self.alice.address, mailbox)


async def add_bob(world) -> Two:
    address = f"bob-of-{world.address}"
    await world.admin.admin.account_add(address, PASSWORD)
    login = await world.imap.auth.login(address, PASSWORD, "127.0.0.1")
    inbox = (await world.imap.mailboxes.status(login.grant, "INBOX")).mailbox_id
    return Two(world, login.grant, address, inbox)


Call = Callable[[Two, MailboxId], Awaitable[object]]


def append(two: Two, mailbox: MailboxId, flags: tuple[str, ...] = ()) -> Awaitable[object]:
    return two.alice.imap.messages.append(
        two.bob, mailbox, flags, None, ContentSource(4, inline=b"text"), INDEX
    )


def append_all(two: Two, target: MailboxId, replaced: MailboxId | None) -> Awaitable[object]:
    message = NewMessage((), None, ContentSource(4, inline=b"text"), INDEX)
    replaces = None if replaced is None else Replaced(replaced, Uid(1))
    return two.alice.imap.messages.append_all(two.bob, target, (message,), replaces)


def store(two: Two, mailbox: MailboxId, flag: str, operation: FlagOperation = FlagOperation.ADD) -> Awaitable[object]:
    return two.alice.imap.messages.store_flags(two.bob, mailbox, ONE, operation, (flag,), None)


CALLS: dict[str, tuple[str, Call]] = {
    "changes": ("r", lambda two, box: two.alice.imap.messages.changes(two.bob, box, ModSeq(0), Uid(0), 10)),
    "fetch_index": ("r", lambda two, box: two.alice.imap.messages.fetch_index(two.bob, box, ONE, 1)),
    "read": ("r", lambda two, box: two.alice.imap.messages.read(two.bob, box, (ContentRange(Uid(1)),))),
    "watch": ("r", lambda two, box: two.alice.imap.events.watch_mailbox(two.bob, box, 99)),
    "append": ("i", append),
    "append_all": ("i", lambda two, box: append_all(two, box, None)),
    "append_all replacing": ("rte", lambda two, box: append_all(two, two.bob_inbox, box)),
    "read_many": ("r", lambda two, box: two.alice.imap.messages.read_many(two.bob, box, ONE, b"", b"")),
    "find": ("r", lambda two, box: two.alice.imap.search.find(two.bob, box, TERM, Uid(1), Uid(9))),
    "rights": ("r", lambda two, box: two.alice.imap.mailboxes.rights(two.bob, box)),
    "set_metadata": (
        "lw",
        lambda two, _: two.alice.imap.sharing.set_metadata(
            two.bob, two.theirs("box"), (Annotation("/shared/comment", b"x"),)
        ),
    ),
    "store seen": ("rs", lambda two, box: store(two, box, "\\Seen")),
    "store deleted": ("rt", lambda two, box: store(two, box, "\\Deleted")),
    "store flagged": ("rw", lambda two, box: store(two, box, "\\Flagged")),
    "store keyword": ("rw", lambda two, box: store(two, box, "$Forwarded")),
    "copy from": ("r", lambda two, box: two.alice.imap.messages.copy(two.bob, box, ONE, two.bob_inbox)),
    "copy to": ("i", lambda two, box: two.alice.imap.messages.copy(two.bob, two.bob_inbox, ONE, box)),
    "move from": ("rte", lambda two, box: two.alice.imap.messages.move(two.bob, box, ONE, two.bob_inbox)),
    "move to": ("i", lambda two, box: two.alice.imap.messages.move(two.bob, two.bob_inbox, ONE, box)),
    "expunge": ("re", lambda two, box: two.alice.imap.messages.expunge(two.bob, box, ONE, True)),
    "status": ("r", lambda two, _: two.alice.imap.mailboxes.status(two.bob, two.theirs("box"))),
    "select": ("r", lambda two, _: two.alice.imap.mailboxes.select(two.bob, two.theirs("box"), True)),
    "acl": ("a", lambda two, _: two.alice.imap.sharing.acl(two.bob, two.theirs("box"))),
    "set_acl": (
        "a", lambda two, _: two.alice.imap.sharing.set_acl(two.bob, two.theirs("box"), "anyone", AclChange.ADD, 1)
    ),
    "fixed_rights": ("a", lambda two, _: two.alice.imap.sharing.fixed_rights(two.bob, two.theirs("box"), "anyone")),
    "quota": ("r", lambda two, _: two.alice.imap.sharing.quota(two.bob, two.theirs("box"))),
    "create": ("k", lambda two, _: two.alice.imap.mailboxes.create(two.bob, two.theirs("box/new"), "")),
    "rename": ("x", lambda two, _: two.alice.imap.mailboxes.rename(two.bob, two.theirs("box"), two.theirs("door/box"))),
    "delete": ("x", lambda two, _: two.alice.imap.mailboxes.delete(two.bob, two.theirs("box"))),
}  # fmt: skip


# append_named finds nobody else's mailbox at all
COVERED = {name.split()[0] for name in CALLS} | {"store_flags", "watch_mailbox", "copy", "move", "append_named"}

def test_no_call_is_left_out() -> None:
    own = {"maildrop", "subscribe", "quota_root", "set_quota", "may_send_as", "watch_account"}
    # of the administrator, for one account: test_moving
    own |= {"adopt", "identities", "file"}
    # of the account that sends: test_sending
    own |= {"allowance", "known", "refused"}
    # of a POP3 session, for its own account: test_pop3
    own |= {"finish"}
    # account_changes and shared_mailboxes: test_account_changes
    visible = {"account_changes", "shared_mailboxes", "list", "list_shared", "infos", "statuses", "locate", "get_metadata"}
    calls = {
        method.name for method in METHODS.values() if method.parameters and method.parameters[0][0] == "grant"
    }
    assert calls == COVERED - {"store", "watch"} | own | visible


async def allowed(call: Awaitable[object]) -> type[StoreError] | None:
    """None: it was done."""
    try:
        await call
    except (NoPermission, NoSuchMailbox) as error:
        return type(error)
    return None


@pytest.mark.parametrize("name", CALLS)
@trio_test
async def test_each_call_needs_its_rights_and_no_others(world, name: str) -> None:
    needed, call = CALLS[name]
    async with world() as w:
        two = await add_bob(w)
        await w.imap.mailboxes.create(w.grant, "door", "")
        await two.give("door", "k")
        await append(two, two.bob_inbox)

        async def fresh() -> MailboxId:
            made = await w.imap.mailboxes.create(w.grant, "box", "")
            await w.imap.messages.append(w.grant, made.mailbox_id, ("\\Deleted",), None, ContentSource(1, inline=b"x"), INDEX)
            return made.mailbox_id

        box = await fresh()
        # one missing right is enough to be refused; with "l" or "r" one is told why, without them there is no such mailbox
        for missing in needed:
            others = "".join(letter for letter in LETTERS if letter not in (missing, "l", "r"))
            await two.give("box", others)
            if name != "create":
                assert await allowed(call(two, box)) is NoSuchMailbox, (name, missing)
            for seen in "lr":
                await two.give("box", others + "".join({*needed, seen} - {missing}))
                if seen != missing:
                    assert await allowed(call(two, box)) is NoPermission, (name, missing)
        # what is needed is enough
        await two.give("box", needed)
        assert await allowed(call(two, box)) is None
        # and without anything nothing is there
        names = {info.name for info in await w.listed()}
        if "box" in names:
            await w.imap.mailboxes.delete(w.grant, "box")
        box = await fresh()
        assert await allowed(call(two, box)) in ((NoPermission,) if name == "create" else (NoSuchMailbox,))


@trio_test
async def test_negative_rights_and_anyone(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lrswi", "anyone")
        await two.give("INBOX", "sw", "-" + two.bob_address)
        access = await w.imap.mailboxes.locate(two.bob, two.theirs("inbox"))
        assert (access.rights, access.own, access.owner) == (parse_rights("lri"), False, w.address)
        # RFC 4314 §2: what anyone is denied, all are denied
        await two.give("INBOX", "t", two.bob_address)
        await two.give("INBOX", "rt", "-anyone")
        assert (await w.imap.mailboxes.locate(two.bob, two.theirs("INBOX"))).rights == parse_rights("li")
        assert (await w.imap.mailboxes.locate(w.grant, "INBOX")).rights == ALL_RIGHTS
        entries = await w.imap.sharing.acl(w.grant, "INBOX")
        assert entries[0] == AclEntry(w.address, int(ALL_RIGHTS))
        assert set(entries[1:]) == {
            AclEntry("anyone", int(parse_rights("lrswi") or 0)),
            AclEntry("-anyone", int(parse_rights("rt") or 0)),
            AclEntry(two.bob_address, int(Rights.DELETE_MESSAGES)),
            AclEntry("-" + two.bob_address, int(parse_rights("sw") or 0)),
        }


@trio_test
async def test_rights_are_added_and_taken_away(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lr")
        await two.give("INBOX", "is", change=AclChange.ADD)
        await two.give("INBOX", "r", change=AclChange.REMOVE)
        assert (await w.imap.sharing.acl(w.grant, "INBOX"))[1].rights == parse_rights("lis")
        await two.give("INBOX", "lis", change=AclChange.REMOVE)
        assert len(await w.imap.sharing.acl(w.grant, "INBOX")) == 1
        with pytest.raises(CannotChangeMailbox):
            await two.give("INBOX", "", w.address)
        with pytest.raises(CannotChangeMailbox):
            await two.give("INBOX", "lr", "-" + w.address)
        for nobody in ("nobody@example.test", "$team", "", "-"):
            with pytest.raises(NotFound):
                await w.imap.sharing.set_acl(w.grant, "INBOX", nobody, AclChange.ADD, 1)
        with pytest.raises(BadRequest):
            await w.imap.sharing.set_acl(w.grant, "INBOX", "anyone", AclChange.ADD, 1 << 20)


@trio_test
async def test_flags_that_one_may_not_set_are_left_out(world) -> None:
    """RFC 4314 §4, the example of COPY."""
    flags = (("\\Draft", "\\Deleted"), ("\\Answered",), ("$Forwarded", "\\Seen"))
    for rights, expected in (
        ("rwis", [{"\\Draft"}, {"\\Answered"}, {"$Forwarded", "\\Seen"}]),
        ("rsti", [{"\\Deleted"}, set(), {"\\Seen"}]),
    ):
        async with world() as w:
            two = await add_bob(w)
            for names in flags:
                await append(two, two.bob_inbox, names)
            box = (await w.imap.mailboxes.create(w.grant, "box", "")).mailbox_id
            await two.give("box", rights)
            await w.imap.messages.copy(two.bob, two.bob_inbox, pack_u32([1, 2, 3]), box)
            for names in flags:
                await append(two, box, names)
            page = await w.imap.messages.changes(w.grant, box, ModSeq(0), Uid(0), 10)
            names_by_bit = {1: "\\Seen", 2: "\\Answered", 8: "\\Deleted", 16: "\\Draft", 256: "$Forwarded"}
            found = [{name for bit, name in names_by_bit.items() if bits & bit} for bits in unpack_u64(page.flags)]
            assert found == expected * 2
            await w.imap.messages.move(two.bob, two.bob_inbox, pack_u32([1]), box)
            page = await w.imap.messages.changes(w.grant, box, ModSeq(0), Uid(6), 10)
            assert [{name for bit, name in names_by_bit.items() if bits & bit} for bits in unpack_u64(page.flags)] == expected[:1]


@trio_test
async def test_store_changes_what_it_may(world) -> None:
    """RFC 4314 §4: STORE is not refused where one of the flags may be changed."""
    async with world() as w:
        two = await add_bob(w)
        await w.deliver(flags=("\\Deleted", "\\Flagged"))
        await two.give("INBOX", "lrs")
        theirs = (await w.imap.mailboxes.locate(two.bob, two.theirs("INBOX"))).mailbox_id

        async def change(operation: FlagOperation, *names: str) -> int:
            result = await w.imap.messages.store_flags(two.bob, theirs, ONE, operation, names, None)
            return unpack_u64(result.flags)[0]

        kept = DELETED | SystemFlag.FLAGGED.value
        assert await change(FlagOperation.ADD, "\\Seen", "\\Answered", "new-keyword") == kept | SEEN
        assert await change(FlagOperation.REPLACE, "\\Draft") == kept
        assert await change(FlagOperation.REMOVE, "\\Flagged", "\\Seen") == kept
        with pytest.raises(NoPermission):
            await change(FlagOperation.REMOVE, "\\Deleted")
        await two.give("INBOX", "lr")
        with pytest.raises(NoPermission):
            await change(FlagOperation.REPLACE)
        assert (await w.imap.mailboxes.status(w.grant, "INBOX")).keywords == ()


@trio_test
async def test_new_mailboxes_take_over_rights_and_keep_them(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await w.imap.mailboxes.create(w.grant, "team", "")
        await two.give("team", "lrk")
        made = await w.imap.mailboxes.create(two.bob, two.theirs("team/a/b"), "")
        assert made.name == two.theirs("team/a/b")
        assert made.rights == parse_rights("lrk")
        assert (await w.imap.mailboxes.status(w.grant, "team/a/b")).own
        await w.imap.mailboxes.rename(w.grant, "team", "project")
        assert (await w.imap.mailboxes.status(two.bob, two.theirs("project/a"))).rights == made.rights
        # made again under its name, it is nobody's but the owner's
        await w.imap.mailboxes.delete(w.grant, "project/a/b")
        await w.imap.mailboxes.delete(w.grant, "project/a")
        await w.imap.mailboxes.delete(w.grant, "project")
        await w.imap.mailboxes.create(w.grant, "project", "")
        with pytest.raises(NoSuchMailbox):
            await w.imap.mailboxes.status(two.bob, two.theirs("project"))


@trio_test
async def test_what_a_guest_cannot_do(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lrswipkxtea")
        with pytest.raises(CannotChangeMailbox):
            await w.imap.mailboxes.delete(two.bob, two.theirs("INBOX"))
        with pytest.raises(CannotChangeMailbox):
            await w.imap.mailboxes.rename(two.bob, two.theirs("INBOX"), two.theirs("INBOX/below"))
        with pytest.raises(NoPermission):
            await w.imap.mailboxes.create(two.bob, two.theirs("top"), "")
        with pytest.raises(NoPermission):
            await w.imap.mailboxes.create(two.bob, "shared/nobody@example.test/x", "")
        with pytest.raises(MailboxExists):
            await w.imap.mailboxes.rename(w.grant, "Sent", "Trash")
        await w.imap.mailboxes.create(two.bob, two.theirs("INBOX/x"), "")
        with pytest.raises(NoPermission):
            await w.imap.mailboxes.create(two.bob, two.theirs("INBOX/sent"), "\\Sent")
        # what it is for to the owner is nothing to a guest
        await two.give("Sent", "lr")
        (listed,) = [
            info for info in (await w.imap.mailboxes.list_shared(two.bob, "")).mailboxes if info.name == two.theirs("Sent")
        ]
        assert listed.special_use == ""
        assert {info.name: info.special_use for info in await w.listed()}["Sent"] == "\\Sent"
        with pytest.raises(CannotChangeMailbox):
            await w.imap.mailboxes.rename(two.bob, two.theirs("INBOX/x"), "mine")
        for name in ("shared", "shared/", "SHARED/../x/../", "shared/x"):
            with pytest.raises((InvalidMailboxName, NoPermission)) if name.startswith("shared") else pytest.raises(StoreError):
                await w.imap.mailboxes.create(w.grant, name, "" if name.startswith("shared") else "\\Nonsense")


@trio_test
async def test_an_account_that_goes_takes_its_rights_along(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lr")
        await w.admin.admin.account_remove(two.bob_address)
        assert len(await w.imap.sharing.acl(w.grant, "INBOX")) == 1
        await w.admin.admin.account_add(two.bob_address, PASSWORD)
        again = await w.imap.auth.login(two.bob_address, PASSWORD, "127.0.0.1")
        with pytest.raises(NoSuchMailbox):
            await w.imap.mailboxes.status(again.grant, two.theirs("INBOX"))
        await w.imap.sharing.set_acl(again.grant, "INBOX", w.address, AclChange.ADD, 3)
        await w.imap.sharing.set_metadata(again.grant, "INBOX", (Annotation("/private/comment", b"x"),))
        await w.admin.admin.account_remove(two.bob_address)


@trio_test
async def test_the_list_of_others_mailboxes(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        before = await w.imap.mailboxes.list_shared(two.bob, "")
        assert not [info for info in before.mailboxes if w.address in info.name]
        for name in ("a", "a/hidden", "a/hidden/seen", "b", "b-c"):
            await w.imap.mailboxes.create(w.grant, name, "")
        for name in ("a", "a/hidden/seen", "b-c"):
            await two.give(name, "lr")
        await two.give("b", "ir")
        await two.give("INBOX", "l", "anyone")
        await two.give("INBOX", "l", "-" + two.bob_address)
        page = await w.imap.mailboxes.list_shared(two.bob, "")
        owner = f"shared/{w.address}"
        assert [(info.name, bool(info.mailbox_id), info.has_children) for info in page.mailboxes if w.address in info.name] == [
            (owner, False, True),
            (f"{owner}/a", True, True),
            (f"{owner}/a/hidden", False, True),
            (f"{owner}/a/hidden/seen", True, False),
            (f"{owner}/b-c", True, False),
        ]
        assert page.mailboxes[0].name == "shared"
        await w.imap.mailboxes.subscribe(two.bob, f"{owner}/a", True)
        await w.imap.mailboxes.subscribe(two.bob, f"{owner}/b", True)
        listed = await w.imap.mailboxes.list(two.bob, "", ListScope(ListOnly.SUBSCRIBED, prefix="shared/"))
        assert [(info.name, bool(info.mailbox_id), info.rights) for info in listed.mailboxes] == [
            (f"{owner}/a", True, int(parse_rights("lr") or 0)),
            (f"{owner}/b", False, int(NO_RIGHTS)),
        ]


@trio_test
async def test_the_list_of_others_mailboxes_in_pages(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await w.imap.mailboxes.create(w.grant, "many", "")
        await two.give("many", "lr")
        for number in range(850):
            await w.imap.mailboxes.create(w.grant, f"many/{number:03}/x", "")
        names, after = [], ""
        while True:
            page = await w.imap.mailboxes.list_shared(two.bob, after)
            names += [info.name for info in page.mailboxes]
            after = page.next
            if not after:
                break
        mine = [name for name in names if w.address in name]
        assert len(mine) == len(set(mine)) == 2 + 850 * 2


@trio_test
async def test_statuses_of_many_mailboxes_at_once(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await w.deliver()
        await two.give("INBOX", "lr")
        states = await w.imap.mailboxes.statuses(two.bob, ("INBOX", two.theirs("INBOX"), two.theirs("Sent"), "nothing"), False)
        assert [None if state is None else (state.messages, state.own) for state in states] == [
            (0, True), (1, False), None, None,
        ]  # fmt: skip
        with pytest.raises(BadRequest):
            await w.imap.mailboxes.statuses(two.bob, ("INBOX",) * 1001, False)


@trio_test
async def test_a_guest_who_reads_only_claims_nothing(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await w.deliver()
        await two.give("INBOX", "lr")
        state = await w.imap.mailboxes.select(two.bob, two.theirs("INBOX"), True)
        assert (state.recent, state.rights) == (1, parse_rights("lr"))
        assert (await w.imap.mailboxes.select(w.grant, "INBOX", True)).recent == 1


@trio_test
async def test_a_change_of_rights_is_told_to_watchers(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lr")
        async with w.imap.watch_mailbox(two.bob, w.inbox) as watch, w.imap.watch_account(two.bob) as account:
            await watch.wait()
            await account.wait()
            before = (await w.imap.messages.changes(two.bob, w.inbox, ModSeq(0), Uid(0), 10)).acl_version
            await two.give("INBOX", "lrs")
            await watch.wait()
            await account.wait()
            after = (await w.imap.messages.changes(two.bob, w.inbox, ModSeq(0), Uid(0), 10)).acl_version
            assert after == before + 1
            await two.give("INBOX", "")
            await watch.wait()
            with pytest.raises(NoSuchMailbox):
                await w.imap.messages.changes(two.bob, w.inbox, ModSeq(0), Uid(0), 10)
            assert unpack_u32((await w.imap.messages.changes(w.grant, w.inbox, ModSeq(0), Uid(0), 10)).uids).tolist() == []


@trio_test
async def test_metadata_of_shared_mailboxes(world) -> None:
    async with world() as w:
        two = await add_bob(w)
        await two.give("INBOX", "lr")

        async def get(grant: Grant, name: str, *entries: str) -> dict[str, bytes | None] | None:
            (found,) = await w.imap.sharing.get_metadata(grant, (name,), entries, AnnotationDepth.ZERO, None)
            return None if found is None else {entry.name: entry.value for entry in found.entries}

        both = ("/private/comment", "/shared/comment")
        await w.imap.sharing.set_metadata(
            w.grant, "INBOX", (Annotation("/private/comment", b"mine"), Annotation("/shared/comment", b"ours"))
        )
        await w.imap.sharing.set_metadata(two.bob, two.theirs("INBOX"), (Annotation("/private/Comment", b"bob's"),))
        assert await get(w.grant, "INBOX", *both) == {"/private/comment": b"mine", "/shared/comment": b"ours"}
        assert await get(two.bob, two.theirs("INBOX"), *both) == {"/private/comment": b"bob's", "/shared/comment": b"ours"}
        with pytest.raises(NoPermission):
            await w.imap.sharing.set_metadata(two.bob, two.theirs("INBOX"), (Annotation("/shared/comment", b"x"),))
        await two.give("INBOX", "lw")
        await w.imap.sharing.set_metadata(two.bob, two.theirs("INBOX"), (Annotation("/shared/comment", b"bob's"),))
        assert await get(w.grant, "INBOX", *both) == {"/private/comment": b"mine", "/shared/comment": b"bob's"}
        # RFC 5464 §3.3: "l" and one of "rswip"
        await two.give("INBOX", "lxa")
        with pytest.raises(NoPermission):
            await w.imap.sharing.set_metadata(two.bob, two.theirs("INBOX"), (Annotation("/private/comment", None),))
        assert await get(two.bob, two.theirs("INBOX"), *both) is None
        await two.give("INBOX", "w")
        with pytest.raises(NoSuchMailbox):
            await w.imap.sharing.set_metadata(two.bob, two.theirs("INBOX"), (Annotation("/private/comment", None),))
