"""A restore on trial: it says yes to a good backup, and no to one of which anything is wrong."""

import hashlib
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from services.store.backup.keep import Keep
from services.store.backup.make import LOCK, Job, make_backup
from services.store.backup.manifest import DATABASE, BackupError, Entry, Manifest, encode, read_manifest
from services.store.backup.rehearse import SCRATCH, Rehearsed, rehearse
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.mail.index import build_index
from shared.model.packed import pack_u32
from shared.testing.process import ROOT, clean_environment
from shared.testing.stack import PASSWORD, Stack

ALICE, BOB = "alice@example.test", "bob@example.test"
NOON = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


async def fill(stack: Stack) -> None:
    """Alice has mail of all sizes, flags, a copy, and the same octets twice; Bob has none."""
    async with stack.client(Role.SMTP_IN) as smtp_in, stack.client(Role.IMAP) as imap:
        login = await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")
        for number in (*range(20), 3):
            octets = 600_000 if number == 7 else 1000
            content = b"Subject: n %d\r\n\r\n%s\r\n" % (number, random.Random(number).randbytes(octets).hex().encode())

            async def use(source: ContentSource, content: bytes = content) -> None:
                recipients = (LocalRecipient(login.account_id, ALICE),)
                await smtp_in.messages.deliver(Delivery("t", "s@x.test", recipients, (), source, build_index(content)))

            await smtp_in.with_content(content, use)
        inbox = (await imap.mailboxes.status(login.grant, "INBOX")).mailbox_id
        box = (await imap.mailboxes.create(login.grant, "A/B", "")).mailbox_id
        await imap.messages.store_flags(
            login.grant, inbox, pack_u32([1, 3]), FlagOperation.ADD, ("\\Seen", "$Work"), None
        )
        await imap.messages.copy(login.grant, inbox, pack_u32([1, 3]), box)
        await imap.messages.expunge(login.grant, inbox, pack_u32([2]), False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a store that is stopped."""
    place = tmp_path_factory.mktemp("rehearse") / "data"
    with Stack(place, services=(), settings={"PILLARBOX_STORE__PACK_OCTETS": str(64 * 1024)}) as stack:
        stack.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        trio.run(fill, stack)
    return place


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Iterator[Path]:
    made = make_backup(Job(data, tmp_path / "backups", None, Keep(0, 0, 0)), NOON, lambda *_: None)
    yield tmp_path / "backups" / made.name
    # whatever came of it, nothing is left behind
    assert {path.name for path in (tmp_path / "backups").iterdir()} == {LOCK, made.name}


def attempt(folder: Path, address: str = "") -> Rehearsed:
    return rehearse(folder, lambda *_: None, random.Random(1), address)


def test_a_good_backup(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (folder.parent / SCRATCH / "packs").mkdir(parents=True)  # left by one that was killed
    done = attempt(folder)
    assert (done.address, done.messages, done.files) == (ALICE, 22, len(read_manifest(folder).files))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert attempt(folder, BOB).messages == 0
    with pytest.raises(BackupError, match="no account"):
        attempt(folder, "carol@example.test")


@pytest.mark.parametrize("seed", range(6))
def test_any_octet_of_any_file(folder: Path, seed: int) -> None:
    draw = random.Random(seed)
    victim = folder / draw.choice(read_manifest(folder).files).path
    bad = bytearray(victim.read_bytes())
    bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
    victim.unlink()
    victim.write_bytes(bad)
    with pytest.raises(BackupError, match=victim.name):
        attempt(folder)


def signed_anew(folder: Path, change: Callable[[Path], None]) -> None:
    """What no digest can see: the store was wrong already when it was backed up."""
    change(folder / DATABASE)
    manifest = read_manifest(folder)
    content = (folder / DATABASE).read_bytes()
    entry = Entry(DATABASE, len(content), hashlib.blake2b(content, digest_size=32).hexdigest())
    files = tuple(entry if each.path == DATABASE else each for each in manifest.files)
    changed = Manifest(manifest.name, manifest.version, manifest.revision, files, manifest.damages)
    (folder / "manifest.json").write_bytes(encode(changed))


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE content SET "offset" = "offset" + 1 WHERE id = 4',
        "UPDATE content SET pack = 77 WHERE id = 4",
        "UPDATE content SET digest = zeroblob(32) WHERE id = 4",
    ],
)
def test_a_backup_that_says_what_it_cannot_give(folder: Path, statement: str) -> None:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()

    signed_anew(folder, change)
    with pytest.raises(BackupError):
        attempt(folder)


def test_the_command(folder: Path) -> None:
    def cli(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "shared.cli.main", *words]
        environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    root = str(folder.parent)
    done = cli("backup", "test", root, "--json")
    assert (done.returncode, json.loads(done.stdout)["messages"]) == (0, 22), done
    assert "every octet as it was" in cli("backup", "test", root, "--account", ALICE).stdout
    assert cli("backup", root, "--account", ALICE).returncode == 2
    assert cli("backup", "try", root).returncode == 2
    (folder / DATABASE).unlink()
    wrong = cli("backup", "test", root)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
