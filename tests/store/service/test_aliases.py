"""Domain aliases, catch-alls, loops, and what aliases send on, over the real socket."""

import pytest

from shared.contract.group_types import Posting
from shared.contract.queue_types import QueueFilter
from shared.contract.types import (
    AliasInfo,
    Bounce,
    ContentSource,
    Delivery,
    Outcome,
    OutcomeKind,
    RemoteRecipient,
    Resolution,
    ResolutionKind,
)
from shared.errors import AlreadyExists, BadRequest, LimitExceeded, NotFound
from shared.model.ids import EntryId
from shared.model.message_index import MessageIndex
from shared.testing import trio_test
from shared.testing.stack import PASSWORD

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")


@trio_test
async def test_domain_aliases(world) -> None:
    async with world() as w:
        admin, resolve = w.admin.admin, w.smtp_in.directory.resolve
        await admin.domain_add("real.test")
        made = await admin.account_add("me@real.test", PASSWORD)
        added = await admin.domain_alias("Straße.test", "REAL.test")
        assert (added.name, added.alias_of) == ("xn--strae-oqa.test", "real.test")
        for address in ("me@straße.test", "ME+tag@xn--strae-oqa.TEST.", '"me"@STRAẞE.test'):
            assert (await resolve(address)).accounts == (made.account_id,), address
        assert (await resolve("nobody@straße.test")).kind is ResolutionKind.UNKNOWN
        login = await w.smtp_in.auth.login("me@real.test", PASSWORD, "x")
        assert await w.smtp_in.directory.may_send_as(login.grant, "me@straße.test")
        assert len(await admin.domain_dns("straße.test")) > 3
        listed = {info.name: info.alias_of for info in await admin.domain_list()}
        assert (listed["xn--strae-oqa.test"], listed["real.test"]) == ("real.test", "")
        for call, error in (
            (admin.domain_alias("other.test", "straße.test"), BadRequest),
            (admin.domain_alias("other.test", "nowhere.test"), NotFound),
            (admin.domain_alias("real.test", "straße.test"), AlreadyExists),
            (admin.domain_add("straße.test"), AlreadyExists),
            (admin.account_add("x@straße.test", PASSWORD), BadRequest),
            (admin.alias_add("x@straße.test", ("me@real.test",)), BadRequest),
            (admin.domain_catch_all("straße.test", ("me@real.test",)), BadRequest),
            (admin.domain_remove("real.test"), BadRequest),
        ):
            with pytest.raises(error):
                await call
        await admin.account_remove("me@real.test")
        with pytest.raises(BadRequest, match="is an alias of it"):
            await admin.domain_remove("real.test")
        await admin.domain_remove("straße.test")
        assert (await resolve("me@straße.test")).kind is ResolutionKind.NOT_LOCAL
        await admin.domain_remove("real.test")


@trio_test
async def test_catch_all(world) -> None:
    async with world() as w:
        admin, may = w.admin.admin, w.smtp_in.directory.may_send_as
        await admin.domain_add("all.test")
        await admin.account_add("own@all.test", PASSWORD)
        assert (await admin.domain_catch_all("All.TEST", (w.address,))).targets == (w.address,)
        found = await w.smtp_in.directory.resolve("who@all.test")
        assert found == Resolution(ResolutionKind.DELIVERABLE, (w.account,), catch_all=True)
        mine = (await w.smtp_in.auth.login(w.address, PASSWORD, "x")).grant
        own = (await w.smtp_in.auth.login("own@all.test", PASSWORD, "x")).grant
        assert await may(mine, "who@all.test")
        assert not await may(mine, "own@all.test")
        assert not await may(own, "who@all.test")
        # it replaces; of several, nobody may send as somebody that nobody made
        await admin.domain_catch_all("all.test", ("own@all.test", w.address))
        assert not await may(mine, "who@all.test")
        for targets, error in ((("nobody@all.test",), BadRequest), (tuple(f"{n}@far.test" for n in range(101)), LimitExceeded)):
            with pytest.raises(error):
                await admin.domain_catch_all("all.test", targets)
        assert len((await w.smtp_in.directory.resolve("who@all.test")).accounts) == 2
        assert (await admin.domain_catch_all("all.test", ())).targets == ()
        assert (await w.smtp_in.directory.resolve("who@all.test")).kind is ResolutionKind.UNKNOWN


@trio_test
async def test_loops_are_refused_by_name(world) -> None:
    async with world() as w:
        admin = w.admin.admin
        await admin.domain_add("loop.test")
        await admin.domain_alias("also-loop.test", "loop.test")
        await admin.alias_add("a@loop.test", ("b@loop.test",))
        for address, target, loop in (
            ("b@loop.test", "a@loop.test", "a@loop.test -> b@loop.test -> a@loop.test"),
            ("b@loop.test", "A+tag@also-loop.test", "a@loop.test -> b@loop.test -> a@loop.test"),
            ("c@loop.test", "c+x@loop.test", "c@loop.test -> c@loop.test"),
            ("@loop.test", "nobody@loop.test", "@loop.test -> @loop.test"),
            ("@loop.test", "a@also-loop.test", "a@loop.test -> @loop.test -> a@loop.test"),
        ):
            with pytest.raises(BadRequest, match=f"a loop: {loop}$".replace("+", r"\+")):
                await admin.alias_add(address, (target,))
        # mail that goes elsewhere now would come back
        await admin.alias_add("d@loop.test", ("d@elsewhere-yet.test",))
        with pytest.raises(BadRequest, match=r"a loop: d@loop\.test -> d@loop\.test"):
            await admin.domain_alias("elsewhere-yet.test", "loop.test")
        assert (await w.smtp_in.directory.resolve("d@loop.test")).remotes == ("d@elsewhere-yet.test",)


@trio_test
async def test_what_an_alias_sends_on_has_a_sender_of_ours(world) -> None:
    async with world() as w:
        admin, resolve = w.admin.admin, w.smtp_in.directory.resolve
        await admin.domain_add("fwd.test")
        await admin.domain_add("fwd-too.test")

        async def send(sender: str) -> dict[str, str]:
            remote = (
                RemoteRecipient("one@far.test", "list@fwd.test"),
                RemoteRecipient("two@far.test", "List@FWD-too.test"),
                RemoteRecipient("three@far.test"),
            )
            delivery = Delivery("t", sender, (), remote, ContentSource(1, inline=b"m"), INDEX)
            entries = (await w.smtp_in.messages.deliver(delivery)).entries
            items = [await admin.queue_show(entry) for entry in entries]
            await admin.queue_remove(entries)
            return {item.recipient: item.sender for item in items}

        sent = await send("Alice@origin.test")
        assert sent["three@far.test"] == "Alice@origin.test"
        made = sent["one@far.test"]
        assert made.startswith("SRS0=")
        assert made.endswith("=origin.test=Alice@fwd.test")
        assert sent["two@far.test"].endswith("@fwd-too.test")
        back = Resolution(ResolutionKind.DELIVERABLE, (), ("Alice@origin.test",))
        assert await resolve(made) == back
        assert (await resolve(made.lower())).remotes == ("alice@origin.test",)
        assert (await resolve(made.replace("Alice", "Bob"))).kind is ResolutionKind.UNKNOWN
        assert (await resolve(made.replace("SRS0=", "SRS0=x"))).kind is ResolutionKind.UNKNOWN
        # of ours it stays: we may send for it; so does the null sender
        assert set((await send("me@fwd.test")).values()) == {"me@fwd.test"}
        assert set((await send("")).values()) == {""}
        assert (await send("x@[192.0.2.1]"))["three@far.test"] == "x@[192.0.2.1]"
        long = "a" * 190 + "@origin.test"
        assert set((await send(long)).values()) == {long}
        assert await admin.queue_find(QueueFilter(destination="far.test"), EntryId(0), 10) == ()


@trio_test
async def test_our_own_bounce_of_what_was_sent_on_goes_to_its_sender(world) -> None:
    async with world() as w:
        await w.admin.admin.domain_add("bounce.test")
        remote = (RemoteRecipient("gone@far.test", "list@bounce.test"),)
        delivery = Delivery("t", "Alice@origin.test", (), remote, ContentSource(1, inline=b"m"), INDEX)
        (entry,) = (await w.smtp_in.messages.deliver(delivery)).entries
        sender = (await w.admin.admin.queue_show(entry)).sender
        leased = (await w.smtp_out.queue.lease("w", 500, 60.0, ())).entries
        # other tests of this store have entries, too
        others = tuple(Outcome(each.entry_id, OutcomeKind.RELEASED) for each in leased if each.entry_id != entry)
        bounce = Bounce(sender, ContentSource(6, inline=b"bounce"), INDEX, "t")
        await w.smtp_out.queue.report("w", (Outcome(entry, OutcomeKind.FAILED, code=550), *others), (bounce,))
        (item,) = await w.admin.admin.queue_find(QueueFilter(recipient="alice@origin.test"), EntryId(0), 10)
        assert (item.sender, item.recipient) == ("", "Alice@origin.test")
        await w.admin.admin.queue_remove((item.entry_id,))


@trio_test
async def test_who_may_post_to_a_group(world) -> None:
    async with world() as w:
        admin, directory = w.admin.admin, w.smtp_in.directory
        await admin.domain_add("club.test")
        await admin.account_add("m@club.test", PASSWORD)
        other = (await admin.account_add("o@club.test", PASSWORD)).address
        await admin.alias_add("club@club.test", ("m@club.test",))
        login = await w.smtp_in.auth.login("m@club.test", PASSWORD, "x")
        stranger = await w.smtp_in.auth.login(other, PASSWORD, "x")

        async def posters() -> list[bool]:
            asked = (("", login.grant), ("", stranger.grant), ("m@club.test", None), ("a@far.test", None))
            return [await directory.may_post("club+x@club.test", sender, grant) for sender, grant in asked]

        assert not (await directory.resolve("club@club.test")).restricted
        assert await posters() == [True] * 4
        info = await admin.alias_posting("Club@club.test", Posting.MEMBERS, ("A@far.test",))
        assert info == AliasInfo("club@club.test", ("m@club.test",), Posting.MEMBERS, ("a@far.test",))
        # also where it was asked for before
        assert (await directory.resolve("club@club.test")).restricted
        assert await posters() == [True, False, True, True]
        assert info in await admin.alias_list("")
        await admin.alias_posting("club@club.test", Posting.OWNERS, (other,))
        assert await posters() == [False, True, False, False]
        added = await admin.alias_add("club@club.test", ("n@far.test",))
        assert (added.posting, added.owners) == (Posting.OWNERS, (other,))
        for wrong in (("club@club.test", Posting.OWNERS, ()), ("@club.test", Posting.MEMBERS, ())):
            with pytest.raises(BadRequest):
                await admin.alias_posting(*wrong)
        with pytest.raises(NotFound):
            await admin.alias_posting("nobody@club.test", Posting.MEMBERS, ())
        with pytest.raises(LimitExceeded):
            await admin.alias_posting("club@club.test", Posting.MEMBERS, tuple(f"a{number}@far.test" for number in range(101)))
        # RFC 5321 §4.5.1
        await admin.alias_add("postmaster@club.test", ("m@club.test",))
        with pytest.raises(BadRequest):
            await admin.alias_posting("postmaster@club.test", Posting.MEMBERS, ())
        # who makes it anew begins anew
        await admin.alias_remove("club@club.test", ("n@far.test", "m@club.test"))
        assert (await admin.alias_add("club@club.test", ("m@club.test",))).posting is Posting.EVERYBODY
