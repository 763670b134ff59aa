"""Undo with real clients on real processes: what comes back, what stays, what it costs, and kill -9 in the middle of it."""

import email
import email.policy
import imaplib
import json
import os
import poplib
import random
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from services.store import layout
from shared.cli.undo import pieces
from shared.config.paths import DataPaths
from shared.contract.registry import Role
from shared.contract.undo_types import PIECE, UndoCounts, UndoPlan
from shared.errors import BadRequest, Forbidden, NotFound
from shared.model.packed import pack_u32, pack_u64, unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack, open_client

SETTINGS = {
    "PILLARBOX_STORE__HOUSEKEEPING_SECONDS": "0.1",
    "PILLARBOX_STORE__EXPUNGED_SECONDS": "0",
    "PILLARBOX_STORE__COMPACT_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_KEEP_SECONDS": "0.1",
    "PILLARBOX_STORE__PACK_OCTETS": "200000",
    "PILLARBOX_STORE__SEARCH_INDEX": "false",
    "PILLARBOX_STORE__WILD_PERCENT": "50",
    "PILLARBOX_STORE__WILD_MESSAGES": "20",
}
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data", services=("imap", "pop3"), settings=SETTINGS) as running:
        yield running


@pytest.fixture
def pillarbox(stack: Stack) -> Command:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir), "TZ": "UTC"}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-P", "-m", "shared.cli.main", *words]
        return subprocess.run(argv, capture_output=True, env=environ, timeout=40, check=False, text=True)

    return run


def login(stack: Stack, address: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", stack.port("imap"))
    client.login(address, PASSWORD)
    return client


def content(number: int) -> bytes:
    """Does not compress to nothing."""
    text = random.Random(number).randbytes(5000).hex()
    lines = "".join(f"{text[start : start + 70]}\r\n" for start in range(0, len(text), 70))
    return f"Subject: message {number}\r\nFrom: ann@elsewhere.test\r\n\r\n{lines}".encode()


def fill(client: imaplib.IMAP4, mailbox: str, numbers: range, flags: str = "") -> None:
    for number in numbers:
        date = f'"{1 + number % 28:02d}-Jan-2020 10:00:00 +0000"'
        assert client.append(mailbox, flags, date, content(number))[0] == "OK"


NUMBER = re.compile(r"Subject: message (\d+)")
SEEN_BY_CLIENT = re.compile(r"UID (\d+) FLAGS \(([^)]*)\) (INTERNALDATE \"[^\"]*\") (EMAILID \S+)")


def numbers_in(client: imaplib.IMAP4, mailbox: str) -> dict[int, tuple[int, str, str, str]]:
    """By the number of the message: UID, flags, date, EMAILID."""
    assert client.select(mailbox, readonly=True)[0] == "OK"
    found = {}
    wanted = "(UID FLAGS INTERNALDATE EMAILID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    for item in client.fetch("1:*", wanted)[1]:
        if not isinstance(item, tuple):
            continue
        number, seen = NUMBER.search(item[1].decode()), SEEN_BY_CLIENT.search(item[0].decode())
        if number is None:
            continue  # a notice of ours
        assert seen is not None, item
        flags = " ".join(sorted(set(seen[2].split()) - {"\\Recent"}))
        found[int(number[1])] = (int(seen[1]), flags, seen[3], seen[4])
    client.close()
    return found


def but_uids(found: dict[int, tuple[int, str, str, str]]) -> dict[int, tuple[str, ...]]:
    return {number: seen[1:] for number, seen in found.items()}


def uidls(stack: Stack, address: str) -> list[str]:
    """In the order of the messages."""
    client = poplib.POP3("127.0.0.1", stack.port("pop3"))
    client.user(address)
    client.pass_(PASSWORD)
    try:
        return [line.decode().split()[1] for line in client.uidl()[1]]
    finally:
        client.quit()


def moment() -> str:
    """Now, as `--to` takes it."""
    return f"{datetime.fromtimestamp(time.time(), UTC).isoformat(sep=' ')}"


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(stack: Stack, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Ask the database, or do to it what only time would do."""
    connection = sqlite3.connect(layout.database_path(DataPaths(stack.data_dir)), timeout=20, isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def test_what_a_client_did_is_undone(stack: Stack, pillarbox: Command) -> None:
    alice = "alice@example.test"
    stack.add_account(alice)
    client = login(stack, alice)
    fill(client, "INBOX", range(1, 31))
    fill(client, "INBOX", range(31, 36), "(\\Flagged $Work)")
    client.create("Own/Deep")
    fill(client, "Own/Deep", range(40, 44), "(\\Seen Blue)")
    fill(client, "Archive", range(50, 52))
    boxes = ("INBOX", "Own/Deep", "Archive", "Trash")
    then = {box: numbers_in(client, box) for box in boxes}
    keys = uidls(stack, alice)
    validity = client.status("Own/Deep", "(UIDVALIDITY)")[1]
    to = moment()
    # the program runs wild: marks all, deletes most, moves some, deletes a mailbox, renames its parent
    client.select("INBOX")
    client.uid("MOVE", "33:34", "Trash")
    client.store("1:*", "FLAGS", "(\\Seen Red)")
    client.uid("STORE", "3:30", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.close()
    client.delete("Own/Deep")
    client.rename("Own", "Elsewhere")
    fill(client, "INBOX", range(90, 93), "(\\Answered)")
    wild = {box: numbers_in(client, box) for box in ("INBOX", "Archive", "Trash")}
    later = moment()
    # looking changes nothing
    before = rows(stack, "SELECT id, name, highest_modseq, uid_next, messages FROM mailbox ORDER BY id")
    told = pillarbox("undo", alice, "--to", to, "--mailbox", "INBOX", "--dry-run").stdout
    assert "would be undone: 28 messages back, 2 messages moved back, flags of 5 messages" in told
    assert re.search(r"\n +3  2020-01-04 10:00  ann@elsewhere.test +message 3\n", told), told
    dry = answer(pillarbox("undo", alice, "--to", to, "--dry-run", "--json"))
    assert (dry["back"], dry["moved_back"], dry["flags"], dry["mailboxes_made"], dry["mailboxes_renamed"]) == (32, 2, 5, 1, 1)
    assert not dry["done"]
    assert rows(stack, "SELECT id, name, highest_modseq, uid_next, messages FROM mailbox ORDER BY id") == before
    # one message, one mailbox, all
    one = answer(pillarbox("undo", alice, "--to", to, "--mailbox", "inbox", "--message", "7", "--json"))
    assert (one["back"], one["done"]) == (1, True)
    done = pillarbox("undo", alice, "--to", to)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("undone: 31 messages back, 2 messages moved back, flags of 5 messages, 1 mailbox made again")
    now = {box: numbers_in(client, box) for box in boxes}
    new = {number: now["INBOX"].pop(number) for number in (90, 91, 92)}
    assert but_uids(new) == {number: but_uids(wild["INBOX"])[number] for number in new}
    for box in boxes:
        assert but_uids(now[box]) == but_uids(then[box]), box
    assert {now["INBOX"][number][0] for number in (1, 2, 31, 32, 35)} == {1, 2, 31, 32, 35}
    assert min(now["INBOX"][number][0] for number in range(3, 31)) > 38, "a UID came back"
    assert set(keys) <= set(uidls(stack, alice))
    assert client.status("Own/Deep", "(UIDVALIDITY)")[1] != validity
    assert client.status("Elsewhere", "(MESSAGES)")[0] == "NO"
    for number in (5, 33, 41):
        box = "INBOX" if number < 40 else "Own/Deep"
        client.select(box, readonly=True)
        assert client.uid("FETCH", str(now[box][number][0]), "(BODY.PEEK[])")[1][0][1] == content(number)
        client.close()
    again = pillarbox("undo", alice, "--to", to)
    assert again.stdout.startswith("nothing to undo")
    # and that is undone, too
    assert answer(pillarbox("undo", alice, "--to", later, "--json"))["taken_away_again"] == 32
    for box, found in wild.items():
        assert but_uids(numbers_in(client, box)) == but_uids(found), box
    client.logout()


def test_the_owner_is_told_of_a_client_that_ran_wild(stack: Stack, pillarbox: Command) -> None:
    carol = "carol@example.test"
    stack.add_account(carol)
    client = login(stack, carol)
    client.create('"Letters &- such"')
    fill(client, '"Letters &- such"', range(1, 31))
    fill(client, "Trash", range(100, 130))
    for box, sets in (("Trash", ("1:*",)), ('"Letters &- such"', ("1:10", "1:9", "1:8"))):
        client.select(box)
        for messages in sets:
            client.store(messages, "+FLAGS", "(\\Deleted)")
            client.expunge()
        client.close()
    stack["store"].wait_for_log("a client ran wild")
    client.select("INBOX", readonly=True)
    deadline = time.monotonic() + 10
    while not client.search(None, "ALL")[1][0] and time.monotonic() < deadline:
        client.noop()
    assert client.search(None, "ALL")[1] == [b"1"]
    raw = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    text = email.message_from_bytes(raw, policy=email.policy.default).get_content()
    assert "has deleted 27 of 30 messages in Letters & such of carol@example.test" in text
    assert "30통 중 27통을 삭제했습니다" in text
    (line, _) = [line.strip() for line in text.splitlines() if line.strip().startswith("pillarbox undo ")]
    # what it says works
    rows(stack, "UPDATE message SET saved_date = saved_date - 120")
    rows(stack, "UPDATE buried SET saved_date = saved_date - 120")
    rows(stack, "UPDATE journal SET at = at - 120 WHERE what = 'mailbox created'")
    rows(stack, "UPDATE meta SET value = value - 120 WHERE name = 'undo_since'")
    words = shlex.split(line)[1:]
    assert pillarbox(*words, "--dry-run").stdout.splitlines()[-1] == "would be undone: 27 messages back"
    assert pillarbox(*words).stdout == "undone: 27 messages back\n"
    assert len(numbers_in(client, '"Letters &- such"')) == 30
    assert len([line for line in stack["store"].log.splitlines() if "a client ran wild" in line]) == 1
    client.logout()


def test_an_account_that_was_removed_comes_back(stack: Stack, pillarbox: Command) -> None:
    dave = "dave@example.test"
    stack.add_account(dave)
    client = login(stack, dave)
    client.create("Letters")
    fill(client, "INBOX", range(1, 6), "(\\Flagged $Kept)")
    fill(client, "Letters", range(6, 9))
    then = {box: but_uids(numbers_in(client, box)) for box in ("INBOX", "Letters")}
    keys = uidls(stack, dave)
    client.logout()
    to = moment()

    async def remove(store: StoreClient) -> None:
        await store.admin.account_remove(dave)

    stack.administer(remove)
    assert pillarbox("undo", dave, "--to", to).stderr.endswith("not found\n")
    stack.add_account(dave)
    assert answer(pillarbox("undo", dave, "--to", to, "--json"))["back"] == 8
    client = login(stack, dave)
    assert {box: but_uids(numbers_in(client, box)) for box in ("INBOX", "Letters")} == then
    assert uidls(stack, dave) == keys
    client.logout()


async def held(admin: StoreClient, done: Callable[[int], bool]) -> int:
    """Messages that the history keeps, once it is so."""
    with trio.fail_after(30):
        while not done(messages := (await admin.space.status()).history_messages):
            await trio.sleep(0.05)
        return messages


@trio_test
async def test_the_history_keeps_octets_and_gives_them_back(stack: Stack) -> None:
    erin = "erin@example.test"
    await trio.to_thread.run_sync(stack.add_account, erin)
    client = await trio.to_thread.run_sync(login, stack, erin)
    await trio.to_thread.run_sync(fill, client, "INBOX", range(1, 201))
    client.select("INBOX")
    before = time.time()
    client.store("1:180", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.close()
    async with stack.client(Role.ADMIN) as admin:
        assert await held(admin, lambda messages: messages > 0) == 180
        full = await admin.space.status()
        assert full.dead_octets == 0
        assert 0 < full.history_octets < full.octets
        await admin.space.compact()
        # the housekeeper and compaction have looked several times: nothing may go
        await trio.sleep(1)
        assert (await admin.space.status()).history_messages == 180
        plan = await admin.undo.plan(erin, before, "INBOX", pack_u32(range(1, 11)))
        assert (await admin.undo.apply(erin, next(pieces(plan.steps[0])))).counts == UndoCounts(back=10)
        assert await held(admin, lambda messages: messages < 180) == 170
        # a good fortnight later
        rows(stack, "UPDATE journal SET at = at - 1300000")
        rows(stack, "UPDATE content SET buried_at = buried_at - 1300000")
        assert await held(admin, lambda messages: messages == 0) == 0
        assert rows(stack, "SELECT count(*) FROM buried") == [(0,)]
        assert rows(stack, "SELECT count(*) FROM journal WHERE account_id IS NOT NULL AND at < ?", before) == [(0,)]
        with trio.fail_after(30):
            while (left := await admin.space.status()).octets > full.octets / 2 or left.at_work or left.retired:
                await trio.sleep(0.05)
        with pytest.raises(BadRequest):
            await admin.undo.plan(erin, before - 1300000, "", b"")
    found = await trio.to_thread.run_sync(numbers_in, client, "INBOX")
    assert sorted(found) == [*range(1, 11), *range(181, 201)]
    client.select("INBOX", readonly=True)
    for number, (uid, *_) in found.items():
        assert client.uid("FETCH", str(uid), "(BODY.PEEK[])")[1][0][1] == content(number)
    client.logout()


@trio_test
async def test_kill_in_the_middle_of_an_undo(stack: Stack) -> None:
    frank = "frank@example.test"
    await trio.to_thread.run_sync(stack.add_account, frank)
    client = await trio.to_thread.run_sync(login, stack, frank)
    await trio.to_thread.run_sync(fill, client, "INBOX", range(1, 11))
    client.select("INBOX")
    for _ in range(8):
        client.copy("1:*", "INBOX")
        client.noop()
    count = 10 * 2**8
    assert client.select("INBOX")[1] == [str(count).encode()]
    then = rows(stack, "SELECT uidl, email_id, flags, internal_date, content_id FROM message ORDER BY uidl")
    at = time.time()
    client.copy("1:9", "Archive")
    client.uid("MOVE", "10:800", "Archive")
    client.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    deadline = 0.02
    total = UndoCounts()
    while True:
        async with stack.client(Role.ADMIN) as admin:
            plan = await admin.undo.plan(frank, at, "", b"")
            if not plan.counts.total:
                break
            with trio.move_on_after(deadline) as scope:
                total += await apply_all(admin, frank, plan)
        if scope.cancelled_caught:
            # the call under way may have been done, or not
            await trio.to_thread.run_sync(stack["store"].kill)
            await trio.to_thread.run_sync(stack["store"].start)
            deadline *= 1.5
    assert total.total <= count
    kept = {row[0] for row in then}
    now = rows(stack, "SELECT uidl, email_id, flags, internal_date, content_id FROM message ORDER BY uidl")
    assert [row for row in now if row[0] in kept] == then
    # but for the copies that the client made later, and what the owner was told
    assert len(now) - len(then) in {9, 10}
    assert rows(stack, "SELECT refs FROM content EXCEPT SELECT count(*) FROM message GROUP BY content_id") == []


async def apply_all(admin: StoreClient, address: str, plan: UndoPlan) -> UndoCounts:
    counts = UndoCounts()
    for step in plan.steps:
        for piece in pieces(step):
            counts += (await admin.undo.apply(address, piece)).counts
    return counts


@trio_test
async def test_refused(stack: Stack) -> None:
    gina, hugo = "gina@example.test", "hugo@example.test"
    await trio.to_thread.run_sync(stack.add_accounts, {gina: PASSWORD, hugo: PASSWORD})
    client = await trio.to_thread.run_sync(login, stack, gina)
    await trio.to_thread.run_sync(fill, client, "INBOX", range(1, 4))
    at = time.time()
    client.select("INBOX")
    client.store("1:3", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    async with stack.client(Role.ADMIN) as admin, open_client(stack.data_dir, Role.IMAP) as imap:
        (step,) = (await admin.undo.plan(gina, at, "", b"")).steps
        assert unpack_u32(step.back).tolist() == [1, 2, 3]
        for when in (at + 3600, 5.0):
            with pytest.raises(BadRequest):
                await admin.undo.plan(gina, when, "", b"")
        with pytest.raises(BadRequest):
            await admin.undo.plan(gina, at, "Nowhere", b"")
        with pytest.raises(NotFound):
            await admin.undo.plan("nobody@example.test", at, "", b"")
        with pytest.raises(NotFound):
            # nothing of one account ever comes into another
            await admin.undo.apply(hugo, step)
        much = attrs.evolve(step, back=pack_u32(range(1, PIECE + 2)), back_flags=pack_u64([0] * (PIECE + 1)))
        for wrong in (much, attrs.evolve(step, back_flags=b""), attrs.evolve(step, gone=b"123")):
            with pytest.raises(BadRequest):
                await admin.undo.apply(gina, wrong)
        with pytest.raises(Forbidden):
            await imap.undo.plan(gina, at, "", b"")
        assert (await admin.undo.apply(gina, step)).counts == UndoCounts(back=3)
        assert (await admin.undo.apply(gina, step)).counts == UndoCounts()
