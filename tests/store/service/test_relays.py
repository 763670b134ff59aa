"""Relays in a running store: who sees a password, which rules hold, a cap that nothing exceeds, ways that outlive a restart."""

import time
from collections.abc import Iterator

import attrs
import pytest
import trio

from shared.contract.registry import Role
from shared.contract.relay_types import (
    ANYWHERE,
    BY_RULES,
    DIRECT,
    MAX_RELAYS,
    MAX_WAYS,
    LearnedWay,
    RelayConfig,
    RelayRule,
    RelayTls,
)
from shared.contract.types import ContentSource, Delivery, RemoteRecipient
from shared.errors import AlreadyExists, BadRequest, Forbidden, LimitExceeded, NotFound
from shared.model.ids import EntryId
from shared.model.message_index import MessageIndex
from shared.testing import trio_test
from shared.testing.stack import Stack, open_client

CONFIG = RelayConfig("smtp.provider.test", 587, username="me", daily_cap=10)
INDEX = MessageIndex(20, b"", b"", b"", b"", b"")


@pytest.fixture
def relay_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("relays") / "data", services=()) as running:
        yield running


def way(destination: str, since: float, relay: str = "b") -> LearnedWay:
    return LearnedWay(destination, relay, "refused: listed", since, since + 3600, 2, False)


@trio_test
async def test_a_password_is_seen_by_smtp_out_alone(relay_stack: Stack) -> None:
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        added = await admin.relays.add("b", CONFIG, "s3cret-pass")
        await admin.relays.add("a", RelayConfig("127.0.0.1", 25, RelayTls.NONE, fallback=True), "")
        table = await admin.relays.list()
        assert [relay.name for relay in table.relays] == ["b", "a"]
        assert (table.relays[0], table.relays[0].has_password, table.relays[1].has_password) == (added, True, False)
        plan = await smtp_out.relays.plan()
        assert [(relay.name, relay.password, relay.config) for relay in plan.relays] == [
            ("b", "s3cret-pass", CONFIG),
            ("a", "", RelayConfig("127.0.0.1", 25, RelayTls.NONE, fallback=True)),
        ]
        assert "s3cret" not in repr(plan)
        assert "s3cret" not in repr(table)
        for role in (Role.ADMIN, Role.SMTP_IN, Role.IMAP):
            async with open_client(relay_stack.data_dir, role) as other:
                with pytest.raises(Forbidden):
                    await other.relays.plan()

        changed = await admin.relays.set("b", attrs.evolve(CONFIG, port=465), None)
        assert changed.has_password
        assert (await smtp_out.relays.plan()).relays[0].password == "s3cret-pass"
        await admin.relays.set("b", CONFIG, "another")
        assert (await smtp_out.relays.plan()).relays[0].password == "another"
        with pytest.raises(AlreadyExists):
            await admin.relays.add("b", CONFIG, "s3cret-pass")
        for config, password in ((CONFIG, ""), (attrs.evolve(CONFIG, tls=RelayTls.NONE), "x")):
            with pytest.raises(BadRequest):
                await admin.relays.set("b", config, password)
        with pytest.raises(NotFound):
            await admin.relays.set("c", CONFIG, None)
    assert "s3cret" not in relay_stack["store"].log


@trio_test
async def test_rules_name_relays_that_are_there(relay_stack: Stack) -> None:
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        await admin.relays.add("b", CONFIG, "s3cret-pass")
        assert await admin.relays.use(RelayRule("Example.TEST", "", "b")) == RelayRule("example.test", "", "b")
        before = (await smtp_out.relays.plan()).version
        await admin.relays.use(RelayRule("", "", "b"))
        assert (await smtp_out.relays.plan()).version == (await smtp_out.queue.lease("w", 1, 60, ())).plan == before + 1
        await admin.relays.use(RelayRule("", "", DIRECT))
        assert (await admin.relays.list()).rules == (RelayRule("", "", DIRECT), RelayRule("example.test", "", "b"))
        with pytest.raises(NotFound):
            await admin.relays.use(RelayRule("", "", "c"))
        with pytest.raises(BadRequest):
            await admin.relays.use(RelayRule("a b", "", "b"))
        with pytest.raises(BadRequest):
            await admin.relays.remove("b")
        records = await admin.admin.domain_dns(relay_stack.domain)
        assert any("~all" in record.value for record in records)
        await admin.relays.unuse("example.test", "")
        with pytest.raises(NotFound):
            await admin.relays.unuse("example.test", "")
        records = await admin.admin.domain_dns(relay_stack.domain)
        assert any("mx -all" in record.value for record in records)
        await admin.relays.remove("b")
        for number in range(MAX_RELAYS):
            await admin.relays.add(f"r{number}", CONFIG, "s3cret-pass")
        with pytest.raises(LimitExceeded):
            await admin.relays.add("last", CONFIG, "s3cret-pass")


@trio_test
async def test_a_cap_is_not_exceeded_side_by_side(relay_stack: Stack) -> None:
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        await admin.relays.add("b", CONFIG, "s3cret-pass")
        granted = []

        async def one() -> None:
            granted.append(await smtp_out.relays.reserve("b", 3))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
        assert sorted(granted) == [0, 0, 1, 3, 3, 3]
        await smtp_out.relays.give_back("b", 4)
        assert (await admin.relays.list()).relays[0].sent_today == 6
        assert await smtp_out.relays.reserve("b", 3) == 3
        await smtp_out.relays.give_back("gone", 3)
        for count in (0, 1001):
            with pytest.raises(BadRequest):
                await smtp_out.relays.reserve("b", count)
        with pytest.raises(NotFound):
            await smtp_out.relays.reserve("gone", 1)


@trio_test
async def test_ways_outlive_a_kill_and_are_bounded(relay_stack: Stack) -> None:
    now = time.time()
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        await admin.relays.add("b", CONFIG, "s3cret-pass")
        await smtp_out.relays.learn(way("a.test", now))
        await smtp_out.relays.learn(way("a.test", now + 1))
        await smtp_out.relays.learn(attrs.evolve(way(ANYWHERE, now), unreachable=True))
    relay_stack["store"].kill()
    relay_stack["store"].start()
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        kept = (attrs.evolve(way(ANYWHERE, now), unreachable=True), way("a.test", now + 1))
        assert await admin.relays.ways() == (await smtp_out.relays.plan()).ways == kept
        async with trio.open_nursery() as nursery:
            for number in range(MAX_WAYS):
                nursery.start_soon(smtp_out.relays.learn, way(f"d{number}.test", now + 2))
        names = {known.destination for known in await admin.relays.ways()}
        assert len(names) == MAX_WAYS
        assert not names & {ANYWHERE, "a.test"}
        assert await admin.relays.unlearn(("D1.test", "nowhere.test")) == 1
        assert await admin.relays.unlearn(()) == MAX_WAYS - 1
        with pytest.raises(BadRequest):
            await smtp_out.relays.learn(way("", now))
        await smtp_out.relays.learn(way("a.test", now))
        await admin.relays.remove("b")
        assert await admin.relays.ways() == ()


@trio_test
async def test_a_test_is_asked_for_and_answered(relay_stack: Stack) -> None:
    async with open_client(relay_stack.data_dir) as admin, open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out:
        await admin.relays.add("b", CONFIG, "s3cret-pass")
        async with smtp_out.watch_queue() as watch:
            await watch.wait()
            before = await admin.relays.ask_test("b")
            await watch.wait()
        assert before.tested_at == 0
        assert (await smtp_out.relays.plan()).relays[0].test_asked
        await smtp_out.relays.tested("b", True, "AUTH PLAIN taken")
        (told,) = (await admin.relays.list()).relays
        assert (told.test_asked, told.test_passed, told.test_text) == (False, True, "AUTH PLAIN taken")
        assert told.tested_at > 0
        with pytest.raises(NotFound):
            await admin.relays.ask_test("c")


@trio_test
async def test_entries_are_rerouted(relay_stack: Stack) -> None:
    async with (
        open_client(relay_stack.data_dir) as admin,
        open_client(relay_stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(relay_stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        await admin.relays.add("b", CONFIG, "s3cret-pass")
        content = b"Subject: x\r\n\r\n"
        source = ContentSource(len(content), inline=content)
        remote = (RemoteRecipient("x@b.test"), RemoteRecipient("y@b.test"))
        entries = (await smtp_in.messages.deliver(Delivery("t", "s@a.test", (), remote, source, INDEX))).entries
        assert await admin.relays.reroute(entries[:1], "b") == 1
        assert (await admin.admin.queue_show(entries[0])).route == "b"
        leased = await smtp_out.queue.lease("w", 10, 60, ())
        assert [entry.route for entry in leased.entries] == ["b", ""]
        assert await admin.relays.reroute(entries, DIRECT) == 2
        assert {item.route for item in await admin.admin.queue_list(EntryId(0), 10)} == {DIRECT}
        await admin.relays.reroute(entries, BY_RULES)
        assert {item.route for item in await admin.admin.queue_list(EntryId(0), 10)} == {""}
        with pytest.raises(NotFound):
            await admin.relays.reroute(entries, "c")
