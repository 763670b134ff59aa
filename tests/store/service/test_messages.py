"""The messages area, over the real socket."""

import random

import pytest

from shared.contract.contents import GONE_OCTETS
from shared.contract.types import (
    MAX_INLINE_OCTETS,
    ContentRange,
    ContentSource,
    Delivery,
    FlagOperation,
    IndexField,
    LocalRecipient,
)
from shared.errors import BadRequest, Forbidden, LimitExceeded, NoSuchMailbox, NoSuchUpload, NotFound, OverQuota
from shared.model.flags import flag_names
from shared.model.ids import AccountId, Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_i64, unpack_u32, unpack_u64
from shared.testing import trio_test

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
BIG = bytes(range(256)) * 6000


async def all_flags(w) -> dict[int, list[str]]:
    page = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 1000)
    pairs = zip(unpack_u32(page.uids), unpack_u64(page.flags), strict=True)
    return {uid: flag_names(bits, page.keywords) for uid, bits in pairs}


@trio_test
async def test_uids_and_modseqs_ascend(world) -> None:
    async with world() as w:
        for number in range(5):
            result = await w.deliver(b"%d" % number)
            assert [(copy.account_id, copy.mailbox_id, copy.uid) for copy in result.copies] == [
                (w.account, w.inbox, number + 1)
            ]
        page = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 1000)
        assert unpack_u32(page.uids).tolist() == [1, 2, 3, 4, 5]
        modseqs = unpack_u64(page.modseqs).tolist()
        assert modseqs == sorted(set(modseqs))
        assert page.highest_modseq == modseqs[-1]
        assert page.uid_next == 6
        assert all(date > 1_700_000_000 for date in unpack_i64(page.internal_dates))


@pytest.mark.parametrize("octets", [0, 1, 5000, MAX_INLINE_OCTETS, MAX_INLINE_OCTETS + 1, len(BIG)])
def test_contents_come_back_byte_for_byte(world, octets: int) -> None:
    @trio_test
    async def run() -> None:
        async with world() as w:
            content = BIG[:octets]
            await w.deliver(content)
            read = b""
            while True:
                (piece,) = await w.imap.messages.read(w.grant, w.inbox, (ContentRange(Uid(1), len(read)),))
                assert piece is not None
                if not piece:
                    break
                read += piece
            assert read == content
            ranges = [(0, 10), (octets // 2, 1000), (max(0, octets - 10), 100), (octets + 5, 5)]
            pieces = await w.imap.messages.read(
                w.grant, w.inbox, tuple(ContentRange(Uid(1), start, length) for start, length in ranges)
            )
            assert list(pieces) == [content[start : start + length] for start, length in ranges]

    run()


@trio_test
async def test_a_reply_is_cut_between_answers(world) -> None:
    async with world() as w:
        for number in range(6):
            await w.deliver(bytes([number]) * 250_000)
        wanted = [ContentRange(Uid(uid)) for uid in range(1, 8)]
        pieces: list[bytes | None] = []
        calls = 0
        while len(pieces) < len(wanted):
            pieces += await w.imap.messages.read(w.grant, w.inbox, tuple(wanted[len(pieces) :]))
            calls += 1
        assert pieces == [*[bytes([number]) * 250_000 for number in range(6)], None]
        assert calls == 2


@trio_test
async def test_many_contents_at_once(world) -> None:
    async with world() as w:
        contents = [b"Subject: %d\r\n\r\n" % number + bytes([number]) * (7_000 * number) for number in range(40)]
        for content in contents:
            await w.deliver(content)
        await w.imap.messages.expunge(w.grant, w.inbox, pack_u32([7]), False)
        lengths: list[int] = []
        data = b""
        calls = 0
        asked = [*range(1, 41), 99, 7, 3]
        while len(lengths) < len(asked):
            reply = await w.imap.messages.read_many(w.grant, w.inbox, pack_u32(asked[len(lengths) :]), b"", b"")
            lengths += unpack_u32(reply.lengths)
            data += reply.data.joined()
            calls += 1
        expected = [*contents, None, contents[6], contents[2]]
        assert lengths == [GONE_OCTETS if content is None else len(content) for content in expected]
        assert data == b"".join(content for content in expected if content is not None)
        assert calls == -(-len(data) // 900_000)
        # ranges, far apart
        uids, starts, octets = [40, 2, 2, 40, 5], [3, 0, 5, 270_000, 10**6], [4, 2**31, 0, 20, 5]
        reply = await w.imap.messages.read_many(
            w.grant, w.inbox, pack_u32(uids), pack_u32(starts), pack_u32(octets)
        )
        cut = [contents[u - 1][s : s + n] for u, s, n in zip(uids, starts, octets, strict=True)]
        assert list(unpack_u32(reply.lengths)) == [len(piece) for piece in cut]
        assert reply.data.joined() == b"".join(cut)


@trio_test
async def test_a_first_content_that_is_too_large_alone_is_cut(world) -> None:
    async with world() as w:
        await w.deliver(BIG)
        reply = await w.imap.messages.read_many(w.grant, w.inbox, pack_u32([1, 1]), b"", b"")
        (length,) = unpack_u32(reply.lengths)
        assert 800_000 < length < len(BIG)
        assert reply.data.joined() == BIG[:length]


@pytest.mark.parametrize(("uids", "starts", "octets"), [(b"\1", b"", b""), (bytes(8), bytes(4), b""), (bytes(8), b"", bytes(4))])
def test_columns_that_do_not_fit_are_refused(world, uids: bytes, starts: bytes, octets: bytes) -> None:
    @trio_test
    async def run() -> None:
        async with world() as w:
            with pytest.raises(BadRequest):
                await w.imap.messages.read_many(w.grant, w.inbox, uids, starts, octets)

    run()


@trio_test
async def test_expunged_contents_stay_readable_for_a_while(world) -> None:
    async with world() as w:
        await w.deliver(b"still here")
        await w.imap.messages.expunge(w.grant, w.inbox, pack_u32([1]), False)
        assert await w.imap.messages.read(w.grant, w.inbox, (ContentRange(Uid(1)), ContentRange(Uid(2)))) == (
            b"still here",
            None,
        )


@trio_test
async def test_append(world) -> None:
    async with world() as w:
        content = await w.imap.put_content(b"draft")
        result = await w.imap.messages.append(
            w.grant, await w.mailbox("Drafts"), ("\\Draft", "$Label", "\\Recent"), 1_234_567_890, content, INDEX
        )
        state = await w.imap.mailboxes.status(w.grant, "Drafts")
        assert (result.uid, result.uidvalidity, result.modseq) == (1, state.uidvalidity, state.highest_modseq)
        page = await w.imap.messages.changes(w.grant, state.mailbox_id, 0, 0, 10)
        assert flag_names(unpack_u64(page.flags)[0], page.keywords) == ["\\Draft", "$Label"]
        assert unpack_i64(page.internal_dates).tolist() == [1_234_567_890]


@trio_test
async def test_append_by_name(world) -> None:
    async with world() as w, world() as other:
        content, append = ContentSource(1, inline=b"x"), w.imap.messages.append_named
        result = await append(w.grant, "inBOX", ("\\Draft", "$Label"), 1_234_567_890, content, INDEX)
        state = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert (result.mailbox_id, result.uid, result.uidvalidity) == (state.mailbox_id, 1, state.uidvalidity)
        assert result.modseq == state.highest_modseq
        page = await w.imap.messages.changes(w.grant, state.mailbox_id, 0, 0, 10)
        assert flag_names(unpack_u64(page.flags)[0], page.keywords) == ["\\Draft", "$Label"]
        assert unpack_i64(page.internal_dates).tolist() == [1_234_567_890]
        for name in ("nowhere", "", f"shared/{other.address}/INBOX", f"shared/{w.address}/INBOX"):
            with pytest.raises(NoSuchMailbox):
                await append(w.grant, name, (), None, content, INDEX)
        await w.imap.mailboxes.rename(w.grant, "Drafts", "Later")
        with pytest.raises(NoSuchMailbox):
            await append(w.grant, "Drafts", (), None, content, INDEX)
        assert (await append(w.grant, "Later", (), None, content, INDEX)).uid == 1
        await w.admin.admin.quota_set(w.address, 2, None)
        with pytest.raises(OverQuota):
            await append(w.grant, "INBOX", (), None, content, INDEX)


@trio_test
async def test_index_columns(world) -> None:
    async with world() as w:
        await w.deliver()
        await w.deliver()
        rows = await w.imap.messages.fetch_index(
            w.grant, w.inbox, pack_u32([2, 9, 1]), IndexField.ENVELOPE | IndexField.PARTS | IndexField.EMAIL_ID
        )
        assert [(row.uid, row.envelope, row.body, row.parts, row.header_octets) for row in rows] == [
            (2, b"envelope", b"", b"parts", 20),
            (1, b"envelope", b"", b"parts", 20),
        ]
        assert rows[0].email_id != rows[1].email_id
        every = await w.imap.messages.fetch_index(w.grant, w.inbox, pack_u32([1]), int(sum(IndexField)))
        assert every[0].email_id == rows[1].email_id
        assert (every[0].bodystructure, every[0].body, every[0].summary) == (b"structure", b"body", b"summary")
        with pytest.raises(BadRequest):
            await w.imap.messages.fetch_index(w.grant, w.inbox, pack_u32([1]), 1 << 20)
        with pytest.raises(BadRequest):
            await w.imap.messages.fetch_index(w.grant, w.inbox, b"123", 1)


@trio_test
async def test_a_large_index_reply_is_cut(world) -> None:
    async with world() as w:
        wide = MessageIndex(1, b"e" * 100_000, b"", b"", b"", b"")
        for number in range(12):
            content = ContentSource(3, inline=b"%03d" % number)
            await w.imap.messages.append(w.grant, w.inbox, (), None, content, wide)
        left, calls = list(range(1, 13)), 0
        while left:
            rows = await w.imap.messages.fetch_index(w.grant, w.inbox, pack_u32(left), IndexField.ENVELOPE)
            assert [row.uid for row in rows] == left[: len(rows)]
            left = left[len(rows) :]
            calls += 1
        assert calls == 2


@trio_test
async def test_flags(world) -> None:
    async with world() as w:
        for _ in range(3):
            await w.deliver()
        store = w.imap.messages.store_flags
        added = await store(w.grant, w.inbox, pack_u32([1, 3, 77]), FlagOperation.ADD, ("\\Seen", "$A", "$b"), None)
        assert unpack_u32(added.uids).tolist() == [1, 3]
        assert set(unpack_u64(added.modseqs)) == {added.modseq}
        assert added.keywords == ("$A", "$b")
        again = await store(w.grant, w.inbox, pack_u32([1]), FlagOperation.ADD, ("\\seen", "$a"), None)
        assert again.modseq == 0
        assert unpack_u64(again.modseqs).tolist() == [added.modseq]
        await store(w.grant, w.inbox, pack_u32([3]), FlagOperation.REMOVE, ("\\Seen", "$unknown"), None)
        await store(w.grant, w.inbox, pack_u32([2]), FlagOperation.REPLACE, ("\\Flagged",), None)
        assert await all_flags(w) == {1: ["\\Seen", "$A", "$b"], 2: ["\\Flagged"], 3: ["$A", "$b"]}
        state = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert state.unseen == 2
        assert state.keywords == ("$A", "$b")


@trio_test
async def test_flags_of_many_messages(world) -> None:
    """By ranges, and of what lies between them: the same as one by one, counters and modseqs too."""
    async with world() as w:
        for _ in range(100):
            await w.deliver()
        store = w.imap.messages
        await store.expunge(w.grant, w.inbox, pack_u32([10, 11, 70]), False)
        rng = random.Random(7)
        model = {uid: (0, None) for uid in range(1, 101) if uid not in (10, 11, 70)}
        for turn in range(25):
            first = rng.randrange(1, 90)
            uids = [*range(first, first + rng.randrange(40)), *rng.sample(range(1, 120), 7)]
            operation = rng.choice(list(FlagOperation))
            names = tuple(rng.sample(["\\Seen", "\\Deleted", "\\Flagged"], rng.randrange(1, 4)))
            bits = sum({"\\Seen": 1, "\\Deleted": 8, "\\Flagged": 4}[name] for name in names)
            before = (await store.changes(w.grant, w.inbox, ModSeq(0), Uid(0), 1)).highest_modseq
            since = None if turn % 3 else ModSeq(before - rng.randrange(3))
            result = await store.store_flags(w.grant, w.inbox, pack_u32(uids), operation, names, since)
            failed = []
            for uid in sorted({uid for uid in uids if uid in model}):
                flags, modseq = model[uid]
                if since is not None and modseq is not None and modseq > since:
                    failed.append(uid)
                    continue
                new = {FlagOperation.ADD: flags | bits, FlagOperation.REMOVE: flags & ~bits}.get(operation, bits)
                if new != flags:
                    model[uid] = (new, before + 1)
            assert list(unpack_u32(result.failed)) == failed
            assert list(unpack_u32(result.uids)) == sorted({uid for uid in uids if uid in model} - set(failed))
            told = dict(zip(unpack_u32(result.uids), zip(unpack_u64(result.flags), unpack_u64(result.modseqs), strict=True), strict=True))
            assert all(told[uid][0] == model[uid][0] for uid in told)
            assert all(told[uid][1] == model[uid][1] for uid in told if model[uid][1] is not None)
            page = await store.changes(w.grant, w.inbox, ModSeq(0), Uid(0), 1000)
            assert dict(zip(unpack_u32(page.uids), unpack_u64(page.flags), strict=True)) == {
                uid: flags for uid, (flags, _) in model.items()
            }
            state = await w.imap.mailboxes.status(w.grant, "INBOX")
            assert state.unseen == sum(not flags & 1 for flags, _ in model.values())


@trio_test
async def test_unchanged_since(world) -> None:
    async with world() as w:
        await w.deliver()
        await w.deliver()
        before = (await w.imap.mailboxes.status(w.grant, "INBOX")).highest_modseq
        store = w.imap.messages.store_flags
        changed = await store(w.grant, w.inbox, pack_u32([1]), FlagOperation.ADD, ("\\Seen",), None)
        result = await store(w.grant, w.inbox, pack_u32([1, 2]), FlagOperation.ADD, ("\\Flagged",), before)
        assert unpack_u32(result.failed).tolist() == [1]
        assert unpack_u32(result.uids).tolist() == [2]
        assert result.modseq > changed.modseq
        assert await all_flags(w) == {1: ["\\Seen"], 2: ["\\Flagged"]}


@trio_test
async def test_keywords_are_bounded(world) -> None:
    async with world() as w:
        await w.deliver()
        store = w.imap.messages.store_flags
        names = tuple(f"k{number}" for number in range(50))
        await store(w.grant, w.inbox, pack_u32([1]), FlagOperation.ADD, names, None)
        assert (await all_flags(w))[1] == list(names)
        with pytest.raises(LimitExceeded):
            await store(w.grant, w.inbox, pack_u32([1]), FlagOperation.ADD, ("one-more",), None)
        with pytest.raises(LimitExceeded):
            await store(w.grant, w.inbox, pack_u32([1]), FlagOperation.ADD, ("x" * 201,), None)
        assert (await all_flags(w))[1] == list(names)


@trio_test
async def test_changes_since(world) -> None:
    async with world() as w:
        for _ in range(6):
            await w.deliver()
        base = (await w.imap.mailboxes.status(w.grant, "INBOX")).highest_modseq
        await w.imap.messages.store_flags(w.grant, w.inbox, pack_u32([5, 2]), FlagOperation.ADD, ("\\Seen",), None)
        await w.imap.messages.expunge(w.grant, w.inbox, pack_u32([6, 1]), False)
        await w.deliver()
        page = await w.imap.messages.changes(w.grant, w.inbox, base, 0, 100)
        assert unpack_u32(page.uids).tolist() == [2, 5, 7]
        assert unpack_u32(page.vanished).tolist() == [1, 6]
        assert not page.more
        nothing = await w.imap.messages.changes(w.grant, w.inbox, page.highest_modseq, 0, 100)
        assert (nothing.uids, nothing.vanished) == (b"", b"")
        whole = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 100)
        assert unpack_u32(whole.uids).tolist() == [2, 3, 4, 5, 7]
        assert whole.vanished == b""


@trio_test
async def test_changes_in_pages(world) -> None:
    async with world() as w:
        for _ in range(7):
            await w.deliver()
        uids, after = [], 0
        while True:
            page = await w.imap.messages.changes(w.grant, w.inbox, 0, after, 3)
            uids += unpack_u32(page.uids).tolist()
            if not page.more:
                break
            after = uids[-1]
        assert uids == [1, 2, 3, 4, 5, 6, 7]


@trio_test
async def test_copy_and_move(world) -> None:
    async with world() as w:
        for number in range(4):
            await w.deliver(b"message %d" % number, flags=("\\Seen",) if number % 2 else ())
        trash = await w.mailbox("Trash")
        await w.imap.messages.store_flags(w.grant, w.inbox, pack_u32([2]), FlagOperation.ADD, ("$Blue",), None)
        ids = await w.imap.messages.fetch_index(w.grant, w.inbox, pack_u32([1, 2, 3, 4]), IndexField.EMAIL_ID)
        copied = await w.imap.messages.copy(w.grant, w.inbox, pack_u32([2, 4, 99]), trash)
        assert unpack_u32(copied.sources).tolist() == [2, 4]
        assert unpack_u32(copied.targets).tolist() == [1, 2]
        moved = await w.imap.messages.move(w.grant, w.inbox, pack_u32([2, 3]), trash)
        assert unpack_u32(moved.targets).tolist() == [3, 4]
        state = await w.imap.mailboxes.status(w.grant, "Trash")
        assert (moved.uidvalidity, state.messages, state.unseen) == (state.uidvalidity, 4, 1)
        page = await w.imap.messages.changes(w.grant, trash, 0, 0, 10)
        flags = [flag_names(bits, page.keywords) for bits in unpack_u64(page.flags)]
        assert flags == [["\\Seen", "$Blue"], ["\\Seen"], ["\\Seen", "$Blue"], []]
        there = await w.imap.messages.fetch_index(w.grant, trash, pack_u32([1, 2, 3, 4]), IndexField.EMAIL_ID)
        # RFC 8474 §4: a copy has the same EMAILID
        assert [row.email_id for row in there] == [ids[n].email_id for n in (1, 3, 1, 2)]
        left = await w.imap.messages.changes(w.grant, w.inbox, moved.source_modseq - 1, 0, 10)
        assert unpack_u32(left.vanished).tolist() == [2, 3]
        contents = await w.imap.messages.read(w.grant, trash, tuple(ContentRange(Uid(uid)) for uid in (1, 2, 3, 4)))
        assert contents == (b"message 1", b"message 3", b"message 1", b"message 2")
        with pytest.raises(BadRequest):
            await w.imap.messages.move(w.grant, w.inbox, pack_u32([1]), w.inbox)
        with pytest.raises(NoSuchMailbox):
            await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1]), MailboxId(99_999))


@trio_test
async def test_a_uidl_stays_with_a_move_and_is_new_for_a_copy(world) -> None:
    async with world() as w:
        await w.deliver()
        login = await w.pop3.auth.login(w.address, "correct-horse-battery", "127.0.0.1")
        before = await w.pop3.messages.maildrop(login.grant, "INBOX", 0, 100)
        await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1]), w.inbox)
        trash = await w.mailbox("Trash")
        await w.imap.messages.move(w.grant, w.inbox, pack_u32([1]), trash)
        await w.imap.messages.move(w.grant, trash, pack_u32([1]), w.inbox)
        after = await w.pop3.messages.maildrop(login.grant, "INBOX", 0, 100)
        assert unpack_u32(after.uids).tolist() == [2, 3]
        assert after.uidls[1] == before.uidls[0]
        assert after.uidls[0] != after.uidls[1]
        assert unpack_u32(after.header_octets).tolist() == [20, 20]
        with pytest.raises(Forbidden):
            await w.pop3.messages.maildrop(w.grant, "INBOX", 0, 100)


@trio_test
async def test_maildrop_in_pages(world) -> None:
    async with world() as w:
        for _ in range(5):
            await w.deliver()
        login = await w.pop3.auth.login(w.address, "correct-horse-battery", "127.0.0.1")
        first = await w.pop3.messages.maildrop(login.grant, "inbox", 0, 3)
        second = await w.pop3.messages.maildrop(login.grant, "INBOX", 3, 3)
        assert (first.more, second.more) == (True, False)
        assert unpack_u32(first.uids + second.uids).tolist() == [1, 2, 3, 4, 5]
        assert len(set(first.uidls + second.uidls)) == 5


@trio_test
async def test_other_peoples_mailboxes_do_not_exist(world) -> None:
    async with world() as mine, world() as theirs:
        await theirs.deliver()
        api = mine.imap.messages
        for attempt in (
            api.changes(mine.grant, theirs.inbox, 0, 0, 10),
            api.read(mine.grant, theirs.inbox, (ContentRange(Uid(1)),)),
            api.fetch_index(mine.grant, theirs.inbox, pack_u32([1]), 1),
            api.store_flags(mine.grant, theirs.inbox, pack_u32([1]), FlagOperation.ADD, ("\\Seen",), None),
            api.copy(mine.grant, theirs.inbox, pack_u32([1]), mine.inbox),
            api.move(mine.grant, mine.inbox, pack_u32([1]), theirs.inbox),
            api.expunge(mine.grant, theirs.inbox, None, False),
            api.append(mine.grant, theirs.inbox, (), None, ContentSource(1, inline=b"x"), INDEX),
            mine.imap.events.watch_mailbox(mine.grant, theirs.inbox, 1),
        ):
            with pytest.raises(NoSuchMailbox):
                await attempt
        for grant in (b"", b"x" * 58, mine.grant[:-1] + bytes([mine.grant[-1] ^ 1]), mine.grant + b"\0"):
            with pytest.raises(Forbidden):
                await api.changes(Grant(grant), mine.inbox, 0, 0, 10)


@trio_test
async def test_what_a_delivery_refuses(world) -> None:
    async with world() as w:
        content = ContentSource(1, inline=b"x")
        recipient = LocalRecipient(w.account, w.address)
        deliver = w.smtp_in.messages.deliver
        with pytest.raises(NotFound):
            await deliver(Delivery("t", "", (recipient, LocalRecipient(AccountId(99_999), "x@y")), (), content, INDEX))
        with pytest.raises(BadRequest):
            await deliver(Delivery("t", "", (), (), content, INDEX))
        with pytest.raises(BadRequest):
            await deliver(Delivery("t", "", (recipient,), (), ContentSource(2, inline=b"x"), INDEX))
        with pytest.raises(NoSuchUpload):
            await deliver(Delivery("t", "", (recipient,), (), ContentSource(2, upload=b"nothing"), INDEX))
        assert (await w.imap.mailboxes.status(w.grant, "INBOX")).messages == 0
        state = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert state.uid_next == 1


@trio_test
async def test_a_mailbox_that_is_gone_falls_back_to_inbox(world) -> None:
    async with world() as w:
        recipient = LocalRecipient(w.account, w.address, mailbox="No/Such")
        result = await w.smtp_in.messages.deliver(
            Delivery("t", "", (recipient,), (), ContentSource(1, inline=b"x"), INDEX)
        )
        assert result.copies[0].mailbox_id == w.inbox


@trio_test
async def test_one_content_for_many_copies(world) -> None:
    async with world() as first, world() as second:
        content = b"the same for both" * 50
        recipients = tuple(LocalRecipient(w.account, w.address) for w in (first, second, first))
        result = await first.smtp_in.messages.deliver(
            Delivery("t", "", recipients, (), ContentSource(len(content), inline=content), INDEX)
        )
        assert [copy.uid for copy in result.copies] == [1, 1, 2]
        for w, uids in ((first, (1, 2)), (second, (1,))):
            read = await w.imap.messages.read(w.grant, w.inbox, tuple(ContentRange(Uid(uid)) for uid in uids))
            assert set(read) == {content}
