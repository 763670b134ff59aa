"""What happened to messages, over the real socket: noted with the change itself, found by trace, address and domain."""

import time
from collections.abc import Iterator

import attrs
import pytest

from shared.contract.history_types import MAX_NOTED, MAX_TEXT_CHARACTERS, History, Passage, PassageKind
from shared.contract.registry import Role
from shared.contract.types import (
    Bounce,
    ContentSource,
    Delivery,
    FlagOperation,
    LocalRecipient,
    Outcome,
    OutcomeKind,
    RemoteRecipient,
)
from shared.errors import BadRequest, Forbidden, NotFound
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"", b"", b"", b"", b"")
CONTENT = b"Return-Path: <>\r\nX: y\r\n\r\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("history") / "data", services=()) as running:
        running.add_account(f"alice@{running.domain}")
        yield running


async def deliver(store: StoreClient, trace: str, sender: str, local=(), remote=(), **more) -> None:
    await store.messages.deliver(
        Delivery(
            trace, sender, tuple(local), tuple(map(RemoteRecipient, remote)),
            ContentSource(len(CONTENT), inline=CONTENT), INDEX, skip_octets=17, received_from="[192.0.2.1] mx.test", **more,
        )
    )  # fmt: skip


def kinds(history: History) -> list[tuple[str, str]]:
    return [(passage.trace, str(passage.kind)) for passage in history.passages]


@trio_test
async def test_a_message_that_comes_in(stack: Stack) -> None:
    alice = f"alice@{stack.domain}"
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
    ):
        login = await imap.auth.login(alice, PASSWORD, "")
        recipient = LocalRecipient(login.account_id, alice)
        await deliver(smtp_in, "came", "Joe@One.test", [recipient], verdicts="SPF pass", account_id=login.account_id)
        found = await admin.history.find("CAME ", 5)
        (passage,) = found.passages
        assert attrs.astuple(passage)[:2] == ("came", PassageKind.ACCEPTED)
        assert (passage.sender, passage.recipients, passage.recipient_count) == ("Joe@One.test", (alice,), 1)
        assert (passage.octets, passage.client, passage.account, passage.text) == (len(CONTENT), "[192.0.2.1] mx.test", alice, "SPF pass")
        assert abs(passage.at - time.time()) < 60
        (place,) = found.now
        assert (place.account, place.mailbox, place.uid, place.flags) == (alice, "INBOX", 1, ())
        # it is followed through other mailboxes, read and copied
        inbox = (await imap.mailboxes.status(login.grant, "INBOX")).mailbox_id
        archive = (await imap.mailboxes.status(login.grant, "Archive")).mailbox_id
        await imap.messages.store_flags(login.grant, inbox, pack_u32([1]), FlagOperation.ADD, ("\\Seen", "$Label"), None)
        await imap.messages.move(login.grant, inbox, pack_u32([1]), archive)
        (place,) = (await admin.history.find("came", 5)).now
        assert (place.mailbox, place.uid, place.flags) == ("Archive", 1, ("\\Seen", "$Label"))
        # by sender, recipient and domain, in any case; parts of an address are no address
        for query in ("joe@one.test", alice.upper(), "@ONE.test"):
            assert ("came", "accepted") in kinds(await admin.history.find(query, 5))
        for query in ("oe@one.test", "joe@one", "@e.test", "j_e@one.test", "%@one.test", "joe@one.test joe@one.test"):
            assert kinds(await admin.history.find(query, 5)) == []
        for query in ("", "  ", "x" * 400):
            with pytest.raises(BadRequest):
                await admin.history.find(query, 5)


@trio_test
async def test_a_message_that_goes_out(stack: Stack) -> None:
    alice = f"alice@{stack.domain}"
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        await deliver(smtp_in, "went", alice, remote=["a@out.test", "b@out.test", "c@out.test", "d@out.test"])
        leased = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        first, second, third, fourth = (entry.entry_id for entry in leased)
        later = time.time() + 300
        bounce = Bounce(alice, ContentSource(3, inline=b"x\r\n"), INDEX, "went")
        await smtp_out.queue.report(
            "w",
            (
                Outcome(first, OutcomeKind.DELIVERED, code=250, text="ok", remote="mx.out.test", tls="TLSv1.3", seconds=0.5),
                Outcome(second, OutcomeKind.DEFERRED, later, code=451, text="busy"),
                Outcome(third, OutcomeKind.FAILED, code=550, text="no " * 300),
                Outcome(fourth, OutcomeKind.RELEASED, later),
            ),
            (bounce,),
        )
        found = await admin.history.find("went", 5)
        assert [kind for _, kind in kinds(found)] == ["accepted", "delivered", "deferred", "failed", "reported"]
        accepted, delivered, deferred, failed, reported = found.passages
        assert accepted.entries == (first, second, third, fourth)
        assert (delivered.recipients, delivered.code, delivered.text) == (("a@out.test",), 250, "ok")
        assert (delivered.remote, delivered.tls, delivered.seconds) == ("mx.out.test", "TLSv1.3", 0.5)
        assert (deferred.recipients, deferred.text, len(failed.text)) == (("b@out.test",), "busy", MAX_TEXT_CHARACTERS)
        assert (reported.sender, reported.recipients, len(reported.copies)) == ("", (alice,), 1)
        assert [place.mailbox for place in found.now] == ["INBOX"]
        assert [(item.entry_id, item.last_text) for item in found.waiting] == [(second, "busy"), (fourth, "")]
        await admin.admin.queue_remove((second, fourth))
        found = await admin.history.find("went", 5)
        assert [kind for _, kind in kinds(found)][5:] == ["removed", "removed"]
        assert found.waiting == ()


@trio_test
async def test_refusals_are_told_by_the_edge(stack: Stack) -> None:
    passage = Passage("no", PassageKind.REFUSED, 1.5, "s@refused.test", ("r@here.test",), code=550, text="550 no", account="me")
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
    ):
        await smtp_in.history.note((passage, attrs.evolve(passage, trace="no2", recipients=("x" * 500,) * 99)))
        first, second = (await admin.history.find("@refused.test", 5)).passages
        # whose account it was, the store says itself
        assert first == attrs.evolve(passage, account="", recipient_count=1)
        assert (len(second.recipients), second.recipient_count, len(second.recipients[0])) == (20, 99, 320)
        for wrong in ((attrs.evolve(passage, kind=PassageKind.DELIVERED),), (passage,) * (MAX_NOTED + 1)):
            with pytest.raises(BadRequest):
                await smtp_in.history.note(wrong)
        with pytest.raises(Forbidden):
            await admin.history.note((passage,))
        with pytest.raises(Forbidden):
            await smtp_in.history.find("no", 1)


@trio_test
async def test_the_newest_stories_are_told_whole(stack: Stack) -> None:
    def one(trace: str, at: float, text: str = "") -> Passage:
        return Passage(trace, PassageKind.REFUSED, at, "s@many.test", (), text=text)

    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
    ):
        await smtp_in.history.note(tuple(one(f"m{number}", number) for number in (1, 2, 3)))
        await smtp_in.history.note((one("m1", 9),))
        found = await admin.history.find("@many.test", 2)
        assert (kinds(found), found.more) == ([("m1", "refused"), ("m1", "refused"), ("m3", "refused")], True)
        found = await admin.history.find("@many.test", 3)
        assert (len(found.passages), found.more) == (4, False)
        # an answer is bounded: of one endless story the beginning, of several the newest
        long = tuple(one("m3", 20 + number, "가" * MAX_TEXT_CHARACTERS) for number in range(MAX_NOTED))
        await smtp_in.history.note(long)
        await smtp_in.history.note(long)
        found = await admin.history.find("@many.test", 3)
        assert ({trace for trace, _ in kinds(found)}, found.more) == ({"m3"}, True)
        assert 100 < len(found.passages) < 2 * MAX_NOTED


@trio_test
async def test_what_an_account_submitted(stack: Stack) -> None:
    alice = f"alice@{stack.domain}"
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
    ):
        carol = f"carol@{stack.domain}"
        await admin.admin.account_add(carol, PASSWORD)
        own, other = [(await imap.auth.login(address, PASSWORD, "")).account_id for address in (alice, carol)]
        copies = [LocalRecipient(own, alice), LocalRecipient(other, carol)]
        await deliver(smtp_in, "own1", carol, copies, ["x@far.test"], account_id=other)
        await deliver(smtp_in, "own2", "news@alias.test", (), ["y@far.test"], account_id=other)
        await deliver(smtp_in, "alices", alice, (), ["x@far.test"], account_id=own)
        await deliver(smtp_in, "to-carol", "x@far.test", copies[1:])

        async def traces(query: str) -> list[str]:
            return [trace for trace, _ in kinds(await admin.history.sent_by(carol.upper(), query, 10))]

        assert await traces("") == ["own1", "own2"]
        assert await traces("@far.test") == ["own1", "own2"]
        assert await traces("X@far.test") == ["own1"]
        assert await traces("OWN2") == ["own2"]
        assert await traces("alices") == await traces("to-carol") == await traces(f"#{other}") == []
        # where others keep it is theirs
        assert {place.account for place in (await admin.history.find("own1", 1)).now} == {alice, carol}
        assert {place.account for place in (await admin.history.sent_by(carol, "own1", 1)).now} == {carol}
        assert (await admin.history.sent_by(carol, "", 1)).more
        for wrong in ("nobody@here.test", "x", ""):
            with pytest.raises(NotFound):
                await admin.history.sent_by(wrong, "", 1)
        with pytest.raises(BadRequest):
            await admin.history.sent_by(carol, "x" * 400, 1)
