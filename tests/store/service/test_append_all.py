"""Several messages in one call: all or nothing, also when the store is killed; and a message in the place of another."""

import random
from pathlib import Path

import attrs
import pytest
import trio

from services.store.uploads import INDEX_OCTETS_MAX
from shared.contract.append_types import NewMessage, Replaced, SmallContent
from shared.contract.registry import Role
from shared.contract.types import MAX_INLINE_OCTETS, ContentRange, ContentSource
from shared.errors import BadRequest, LimitExceeded, NoSuchMessage, NoSuchUpload, OverQuota
from shared.mail.index import build_index
from shared.model.ids import Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_u32
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(4, b"e", b"s", b"b", b"p", b"m")


def inline(data: bytes, *flags: str) -> NewMessage:
    return NewMessage(flags, None, ContentSource(len(data), inline=data), INDEX)


def test_several_messages(world):
    async def main():
        async with world() as w:
            upload = await w.imap.put_content(b"z" * 300_000)
            with pytest.raises(BadRequest):
                await w.imap.messages.append_all(w.grant, w.inbox, (NewMessage((), None, upload, None),), None)
            await w.imap.content.describe_upload(upload.upload, INDEX)
            messages = (inline(b"a", "\\Seen"), NewMessage(("$k",), 5, upload, None), inline(b"a"))
            result = await w.imap.messages.append_all(w.grant, w.inbox, messages, None)
            assert unpack_u32(result.uids).tolist() == [1, 2, 3]
            page = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 10)
            assert unpack_u32(page.sizes).tolist() == [1, 300_000, 1]
            assert page.keywords == ("$k",)
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert (state.messages, state.unseen, state.octets) == (3, 2, 300_002)
            (row,) = await w.imap.messages.fetch_index(w.grant, w.inbox, b"\2\0\0\0", 63)
            assert row.envelope == b"e"

    trio.run(main)


def test_small_contents_that_share_an_upload(world):
    async def main():
        async with world() as w:
            content = w.imap.content
            upload = await content.begin_upload(-1)
            texts = [b"%d" % number * 1000 for number in range(5)]
            small = tuple(SmallContent(text, attrs.evolve(INDEX, envelope=b"e%d" % at)) for at, text in enumerate(texts))
            assert await content.add_contents(upload, 0, small[:2]) == 2
            # repeated in part, as after a lost answer
            assert await content.add_contents(upload, 1, small[1:4]) == 4
            assert await content.add_contents(upload, 4, ()) == 4
            assert await content.add_contents(upload, 4, small[4:]) == 5

            def part(number: int, octets: int = 1000) -> NewMessage:
                return NewMessage((), None, ContentSource(octets, upload=upload, part=number), None)

            for wrong in (part(5), part(-1), part(0, 999), NewMessage((), None, ContentSource(1000, upload=upload), INDEX)):
                with pytest.raises(BadRequest):
                    await w.imap.messages.append_all(w.grant, w.inbox, (part(0), wrong), None)
            messages = (part(3), inline(b"a"), part(0), part(0), part(4))
            result = await w.imap.messages.append_all(w.grant, w.inbox, messages, None)
            assert unpack_u32(result.uids).tolist() == [1, 2, 3, 4, 5]
            ranges = tuple(ContentRange(Uid(uid)) for uid in range(1, 6))
            found = await w.imap.messages.read(w.grant, w.inbox, ranges)
            assert found == (texts[3], b"a", texts[0], texts[0], texts[4])
            rows = await w.imap.messages.fetch_index(w.grant, w.inbox, pack_u32([1, 3, 5]), 63)
            assert [row.envelope for row in rows] == [b"e3", b"e0", b"e4"]
            with pytest.raises(NoSuchUpload):
                await w.imap.messages.append_all(w.grant, w.inbox, (part(1),), None)
            with pytest.raises(NoSuchUpload):
                await content.add_contents(upload, 5, small[:1])

    trio.run(main)


def test_what_does_not_share_an_upload(world):
    async def main():
        async with world() as w:
            content = w.imap.content
            small = (SmallContent(b"abc", INDEX),)
            pieces, contents = await content.begin_upload(-1), await content.begin_upload(-1)
            await content.append_upload(pieces, 0, b"abc")
            await content.add_contents(contents, 0, small)
            with pytest.raises(BadRequest):
                await content.add_contents(pieces, 0, small)
            for gap in (2, -1):
                with pytest.raises(BadRequest):
                    await content.add_contents(contents, gap, small)
            with pytest.raises(BadRequest):
                await content.append_upload(contents, 0, b"abc")
            with pytest.raises(BadRequest):
                await content.add_contents(contents, 1, (SmallContent(b"x" * (MAX_INLINE_OCTETS + 1), INDEX),))
            await content.abort_upload(contents)
            with pytest.raises(NoSuchUpload):
                await content.add_contents(contents, 1, small)
            await content.abort_upload(pieces)

    trio.run(main)


def test_the_memory_of_their_indexes_is_bounded(world):
    async def main():
        async with world() as w:
            upload = await w.imap.content.begin_upload(-1)
            heavy = (SmallContent(b"x", MessageIndex(0, b"e" * 500_000, b"", b"", b"", b"")),)
            held = 0
            with pytest.raises(LimitExceeded):
                while held * 500_000 <= INDEX_OCTETS_MAX:
                    held = await w.imap.content.add_contents(upload, held, heavy)
            assert held == INDEX_OCTETS_MAX // 500_500
            # given back with the upload
            await w.imap.content.abort_upload(upload)
            upload = await w.imap.content.begin_upload(-1)
            assert await w.imap.content.add_contents(upload, 0, heavy) == 1
            await w.imap.content.abort_upload(upload)

    trio.run(main)


def test_one_bad_message_and_none_is_filed(world):
    async def main():
        async with world() as w:
            many = tuple(f"k{number}" for number in range(49))
            cases = (
                (LimitExceeded, (inline(b"a", *many), inline(b"b", "x", "y"))),
                (NoSuchUpload, (inline(b"a", "k"), NewMessage((), None, ContentSource(3, upload=b"x" * 16), None))),
                (BadRequest, ()),
            )
            for error, messages in cases:
                with pytest.raises(error):
                    await w.imap.messages.append_all(w.grant, w.inbox, messages, None)
            await w.admin.admin.quota_set(w.address, 2, None)
            with pytest.raises(OverQuota):
                await w.imap.messages.append_all(w.grant, w.inbox, (inline(b"a"), inline(b"b"), inline(b"c")), None)
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert (state.messages, state.uid_next, state.keywords) == (0, 1, ())

    trio.run(main)


def test_replace(world):
    async def main():
        async with world() as w:
            await w.deliver(b"old")
            await w.admin.admin.quota_set(w.address, 1, None)
            gone = Replaced(w.inbox, Uid(1))
            # RFC 8508 §3.4: there is room, since the old one goes
            result = await w.imap.messages.append_all(w.grant, w.inbox, (inline(b"new"),), gone)
            assert unpack_u32(result.uids).tolist() == [2]
            assert result.replaced_modseq > result.modseq
            page = await w.imap.messages.changes(w.grant, w.inbox, 1, 0, 10)
            assert unpack_u32(page.uids).tolist() == [2]
            assert unpack_u32(page.vanished).tolist() == [1]
            with pytest.raises(NoSuchMessage):
                await w.imap.messages.append_all(w.grant, w.inbox, (inline(b"new"),), gone)
            sent = await w.mailbox("Sent")
            # the same octets: the content stays as long as somebody refers to it
            await w.imap.messages.append_all(w.grant, sent, (inline(b"new"),), Replaced(w.inbox, Uid(2)))
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert (state.messages, state.octets) == (0, 0)
            state = await w.imap.mailboxes.status(w.grant, "Sent")
            assert (state.messages, state.octets) == (1, 3)

    trio.run(main)


MESSAGES, KILLS = 7, 3


def content_of(number: int, position: int) -> bytes:
    rng = random.Random(number * 100 + position)
    size = 300_000 if position == 3 else rng.randrange(100, 3000)
    return b"Subject: %d.%d\r\n\r\n" % (number, position) + rng.randbytes(size)


def test_kill_during_append_all(tmp_path: Path) -> None:
    """Every command is there as a whole and once, or not at all."""

    async def main(stack: Stack) -> None:
        rng = random.Random(3)
        done = 0
        progress = trio.Event()

        async def work(worker: int) -> None:
            nonlocal done, progress
            for number in range(worker, 60, 4):
                contents = [content_of(number, position) for position in range(MESSAGES)]

                async def attempt(contents=contents):
                    messages = []
                    small = [SmallContent(data, build_index(data)) for data in contents[-2:]]
                    for data in contents[:-2]:
                        source = await store.put_content(data, upload=len(data) > 2000)
                        index = build_index(data)
                        if source.upload is not None:
                            await store.content.describe_upload(source.upload, index)
                        messages.append(NewMessage((), None, source, None if source.upload else index))
                    shared = await store.content.begin_upload(-1)
                    for part, each in enumerate(small):
                        await store.content.add_contents(shared, part, (each,))
                        source = ContentSource(len(each.data), upload=shared, part=part)
                        messages.append(NewMessage((), None, source, None))
                    return await store.messages.append_all(grant, inbox, tuple(messages), None)

                result = await store.again_when_forgotten(attempt)
                uids = unpack_u32(result.uids).tolist()
                assert uids == list(range(uids[0], uids[0] + MESSAGES))
                filed[uids[0]] = number
                done += 1
                progress.set()

        filed: dict[int, int] = {}
        with trio.fail_after(100):
            async with open_client(stack.data_dir, Role.IMAP) as store:
                grant = (await store.auth.login("alice@example.test", PASSWORD, "x")).grant
                inbox = (await store.mailboxes.status(grant, "INBOX")).mailbox_id
                async with trio.open_nursery() as nursery:
                    for worker in range(4):
                        nursery.start_soon(work, worker)
                    for _ in range(KILLS):
                        goal = done + rng.randrange(3, 12)
                        while done < goal:
                            progress = trio.Event()
                            await progress.wait()
                        stack["store"].kill()
                        stack["store"].start()
                page = await store.messages.changes(grant, inbox, 0, 0, 10_000)
        uids = unpack_u32(page.uids).tolist()
        assert len(filed) == 60
        assert uids == sorted(first + position for first in filed for position in range(MESSAGES))
        sizes = dict(zip(uids, unpack_u32(page.sizes), strict=True))
        for first, number in filed.items():
            expected = [len(content_of(number, position)) for position in range(MESSAGES)]
            assert [sizes[first + position] for position in range(MESSAGES)] == expected

    with Stack(tmp_path / "data", services=()) as stack:
        stack.add_account("alice@example.test")
        trio.run(main, stack)
