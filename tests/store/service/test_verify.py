"""A verification of a real store: silent where all is sound, and damage is named in the owner's words."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from services.store.pace import Pace
from services.store.verify.checker import verify_files
from services.store.verify.keeper import FIRST_SECONDS, Result, read_result, seconds_until_due, write_result
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient, RemoteRecipient
from shared.contract.verify_types import Damage, DamageKind, VerifyStatus
from shared.errors import BadRequest
from shared.mail.index import build_index
from shared.model.packed import pack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.process import ROOT, clean_environment
from shared.testing.stack import PASSWORD, Stack

ALICE, BOB = "alice@example.test", "bob@example.test"
SMALL_PACKS = {"PILLARBOX_STORE__PACK_OCTETS": str(64 * 1024)}
MESSAGES = 60


def mail(number: int) -> bytes:
    noise = random.Random(number).randbytes(3000).hex().encode()
    return b"Subject: letter %d\r\nDate: Sat, 28 Nov 2026 11:00:00 +0000\r\n\r\n%s\r\n" % (number, noise)


async def fill(stack: Stack) -> None:
    """Messages in two accounts, some in both, some copied, some expunged, one in the queue, one large."""
    async with stack.client(Role.SMTP_IN) as smtp_in, stack.client(Role.IMAP) as imap:
        logins = [await imap.auth.login(address, PASSWORD, "127.0.0.1") for address in (ALICE, BOB)]

        async def deliver(content: bytes, people: list[int], remote: tuple[str, ...] = ()) -> None:
            local = tuple(LocalRecipient(logins[who].account_id, (ALICE, BOB)[who]) for who in people)
            far = tuple(RemoteRecipient(address) for address in remote)

            async def use(source: ContentSource) -> Any:
                return await smtp_in.messages.deliver(Delivery("t", "s@x.test", local, far, source, build_index(content)))

            await smtp_in.with_content(content, use)

        for number in range(MESSAGES):
            await deliver(mail(number), [0, 1] if number % 10 == 0 else [number % 2])
        await deliver(b"Subject: large\r\n\r\n" + random.Random(0).randbytes(700_000).hex().encode(), [0])
        await deliver(b"Subject: queued\r\n\r\nout\r\n", [], ("far@away.test",))
        grant = logins[0].grant
        inbox = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
        archive = (await imap.mailboxes.status(grant, "Archive")).mailbox_id
        await imap.messages.copy(grant, inbox, pack_u32([3, 4, 5]), archive)
        await imap.messages.store_flags(grant, inbox, pack_u32([1, 2]), FlagOperation.ADD, ("\\Seen", "\\Deleted"), None)
        await imap.messages.expunge(grant, inbox, pack_u32([2]), False)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a store with mail, stopped."""
    data = tmp_path_factory.mktemp("verify") / "data"
    with Stack(data, services=(), settings=SMALL_PACKS) as stack:
        stack.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        trio.run(fill, stack)
    return data


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return shutil.copytree(stopped, tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))


def find(data: Path) -> list[Damage]:
    """What a verification names."""
    verified = verify_files(data / "store" / "pillarbox.db", data / "store" / "packs", Pace(0), lambda _: None)
    assert verified.findings.count >= len(verified.findings.named)
    return verified.findings.named


def change(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "store" / "pillarbox.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "store" / "pillarbox.db")) as connection:
        return connection.execute(query).fetchall()


OWNERS = (
    'SELECT c.pack, c."offset", c.length, a.address, b.name, m.uid FROM message m JOIN content c ON c.id = m.content_id '
    "JOIN mailbox b ON b.id = m.mailbox_id JOIN account a ON a.id = b.account_id"
)


def test_a_sound_store_has_no_damage(data: Path) -> None:
    assert len(list((data / "store" / "packs").iterdir())) > 3
    assert find(data) == []


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_in_packs_names_its_owners(data: Path, seed: int) -> None:
    draw = random.Random(seed)
    number, octets = draw.choice(rows(data, "SELECT number, octets FROM pack"))
    path = data / "store" / "packs" / f"{number:08d}.pack"
    place, bad = draw.randrange(16, octets), bytearray(path.read_bytes())
    bad[place] ^= 1 << draw.randrange(8)
    path.write_bytes(bad)
    damages = find(data)
    owners = {row[3:] for row in rows(data, OWNERS) if row[0] == number and row[1] <= place < row[1] + row[2]}
    named = [d for d in damages if d.kind is DamageKind.MESSAGE]
    assert {(d.account, d.mailbox, d.uid) for d in named if d.account} == owners
    assert any(d.kind is DamageKind.PACK and f"pack {number}" in d.what for d in damages)
    assert all(d.subject and d.date for d in named)


def test_a_pack_that_is_gone(data: Path) -> None:
    (data / "store" / "packs" / "00000002.pack").unlink()
    damages = find(data)
    owners = {row[3:] for row in rows(data, OWNERS) if row[0] == 2}
    assert owners
    assert {(d.account, d.mailbox, d.uid) for d in damages if d.kind is DamageKind.MESSAGE and d.account} == owners
    assert any("pack 2 " in d.what and "missing" in d.what for d in damages)
    assert {d.subject for d in damages if d.account} <= {f"letter {n}" for n in range(MESSAGES)} | {"large"}


def test_a_pack_that_was_cut(data: Path) -> None:
    path = data / "store" / "packs" / "00000002.pack"
    path.write_bytes(path.read_bytes()[:-100])
    assert any("100 octets shorter" in d.what for d in find(data))


FIRST_INBOX = f"(SELECT b.id FROM mailbox b JOIN account a ON a.id = b.account_id WHERE a.address = '{ALICE}' AND b.name = 'INBOX')"
WRONGS: tuple[tuple[str, str, Callable[[Damage], bool]], ...] = (
    ("mailbox counter", f"UPDATE mailbox SET messages = messages + 1 WHERE id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.COUNTER and (d.account, d.mailbox) == (ALICE, "INBOX") and "messages" in d.what),
    ("unseen", f"UPDATE mailbox SET unseen = 0 WHERE id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.COUNTER and d.mailbox == "INBOX" and "unseen" in d.what),
    ("account counter", f"UPDATE account SET octets = 7 WHERE address = '{ALICE}'",
     lambda d: d.kind is DamageKind.COUNTER and d.account == ALICE and "recount" in d.what),
    ("domain counter", "UPDATE domain SET messages = messages + 2",
     lambda d: d.kind is DamageKind.COUNTER and "quota recount example.test" in d.what),
    ("references", "UPDATE content SET refs = refs + 1 WHERE id = 5",
     lambda d: d.kind is DamageKind.COUNTER and "content 5 " in d.what),
    ("uid_next", f"UPDATE mailbox SET uid_next = 2 WHERE id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.DATABASE and d.account == ALICE and "UIDs go on from 2" in d.what),
    ("modseq", f"UPDATE mailbox SET highest_modseq = 1 WHERE id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.DATABASE and "modseq" in d.what),
    ("a row that is lost", f"DELETE FROM message WHERE uid = 3 AND mailbox_id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.COUNTER and d.account == ALICE),
    ("a content that is lost", "DELETE FROM content WHERE id = 5", lambda d: "not there" in d.what or "not known" in d.what),
    ("a digest", "UPDATE content SET digest = zeroblob(32) WHERE id = 5",
     lambda d: d.kind is DamageKind.MESSAGE and d.subject == "letter 4" and "another record" in d.what),
    ("a place", 'UPDATE content SET "offset" = "offset" + 1 WHERE id = 5',
     lambda d: d.kind is DamageKind.MESSAGE and d.subject == "letter 4"),
    ("a place in no pack", "UPDATE content SET pack = 99 WHERE id = 5",
     lambda d: d.kind is DamageKind.MESSAGE and "pack 99 is missing" in d.what),
    ("a size", f"UPDATE message SET octets = 1 WHERE uid = 3 AND mailbox_id = {FIRST_INBOX}",
     lambda d: d.kind is DamageKind.MESSAGE and (d.account, d.mailbox, d.uid) == (ALICE, "INBOX", 3)),
    ("an index", "DELETE FROM content_index WHERE content_id = 5", lambda d: "header is gone" in d.what),
    ("an absurd content", f"UPDATE message SET content_id = 99999999999 WHERE uid = 3 AND mailbox_id = {FIRST_INBOX}",
     lambda d: d.uid == 3 and "not known" in d.what),
)  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), [wrong[1:] for wrong in WRONGS], ids=[wrong[0] for wrong in WRONGS])
def test_rows_that_contradict_each_other(data: Path, statement: str, expected: Callable[[Damage], bool]) -> None:
    change(data, statement)
    damages = find(data)
    assert any(map(expected, damages)), damages


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_in_the_database_is_noticed(data: Path, seed: int) -> None:
    """A page of the file that the disk lost; whatever it held, it is said and nothing else happens."""
    path = data / "store" / "pillarbox.db"
    change(data, "PRAGMA wal_checkpoint(TRUNCATE)")
    draw, bad = random.Random(seed), bytearray(path.read_bytes())
    page = draw.randrange(1, len(bad) // 4096)
    bad[page * 4096 : (page + 1) * 4096] = draw.randbytes(4096)
    path.write_bytes(bad)
    damages = find(data)
    assert damages


def test_the_checker_as_a_process(data: Path) -> None:
    path = data / "store" / "packs" / "00000002.pack"
    path.unlink()
    words = [sys.executable, "-m", "services.store.verify.checker", str(data / "store" / "pillarbox.db"), str(path.parent)]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(20) == 0
    assert lines[-1]["finished"]["damages"] == len([line for line in lines if "damage" in line])
    assert lines[0]["stage"] == "packs"


@pytest.fixture
def running(data: Path) -> Iterator[Stack]:
    with Stack(data, services=(), settings=SMALL_PACKS) as stack:
        yield stack


async def finished(admin: StoreClient, limit: int = 0) -> VerifyStatus:
    begun = status = await admin.admin.verify_start(limit)
    with trio.fail_after(60):
        while status.runs == begun.runs:
            await trio.sleep(0.02)
            status = await admin.admin.verify_status()
    return status


def test_a_running_store_verifies_itself_while_mail_comes(running: Stack) -> None:
    async def scenario() -> None:
        async with running.client() as admin, running.client(Role.SMTP_IN) as smtp_in, running.client(Role.IMAP) as imap:
            account = (await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")).account_id

            async def keep_delivering() -> None:
                for number in range(1000, 100_000):
                    content = mail(number)
                    source = ContentSource(len(content), inline=content)
                    recipients = (LocalRecipient(account, ALICE),)
                    await smtp_in.messages.deliver(Delivery("t", "s@x.test", recipients, (), source, build_index(content)))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_delivering)
                for _ in range(3):
                    status = await finished(admin)
                    assert (status.damages, status.failure, status.running) == (0, "", False), status
                nursery.cancel_scope.cancel()
            assert status.messages >= MESSAGES
            with pytest.raises(BadRequest):
                await admin.admin.verify_start(-1)
            assert (await admin.admin.status()).verified_at == status.finished_at > 0

    trio.run(scenario)


def test_damage_is_logged_kept_over_a_restart_and_shown(running: Stack) -> None:
    (running.data_dir / "store" / "packs" / "00000001.pack").unlink()
    found = running.administer(finished)
    assert found.damages > 1
    running["store"].wait_for_log("the store was verified")
    assert "letter" not in running["store"].log
    running["store"].stop()
    running["store"].restart()

    async def look(admin: StoreClient) -> None:
        status = await admin.admin.verify_status()
        with trio.fail_after(20):
            while not status.finished_at:
                status = await admin.admin.verify_status()
        assert (status.damages, status.named) == (found.damages, found.named)

    running.administer(look)


def cli(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(data), *words]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_with_a_stopped_store(data: Path) -> None:
    done = cli(data, "store", "verify", "--json", "--limit", "500M")
    assert (done.returncode, json.loads(done.stdout)["damages"]) == (0, 0), done
    change(data, 'UPDATE content SET "offset" = 17 WHERE id = 5')
    done = cli(data, "store", "verify")
    assert done.returncode == 4
    assert "letter 4" in done.stdout
    assert "alice@example.test" in done.stdout
    assert cli(data, "store", "verify", "--limit", "often").returncode == 2
    assert cli(data / "nowhere", "store", "verify").returncode == 3


def test_the_command_with_a_running_store(running: Stack) -> None:
    done = cli(running.data_dir, "store", "verify", "--json")
    assert (done.returncode, json.loads(done.stdout)["damages"]) == (0, 0), done
    assert "verified" in cli(running.data_dir, "status").stdout


def test_when_it_is_due() -> None:
    assert seconds_until_due(0.0, 1e9, 0.0, 30) == FIRST_SECONDS
    assert seconds_until_due(0.0, 1e9, FIRST_SECONDS, 30) == 0
    assert seconds_until_due(1e9, 1e9, 1e6, 30) == 30 * 86400
    assert seconds_until_due(1e9, 1e9, 1e6, 0) == float("inf")


def test_the_result_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert read_result(path) == Result()
    result = Result(5.0, 1, 2)
    result.findings.add(Damage(DamageKind.MESSAGE, "x" * 1000, ALICE, "INBOX", 3, "subject", 4))
    write_result(path, result)
    assert read_result(path) == result
    assert len(read_result(path).findings.named[0].what) == 200
    path.write_text('{"damages": "many"}')
    assert read_result(path) == Result()
