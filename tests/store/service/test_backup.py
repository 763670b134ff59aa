"""Backups of a real store while mail flows, restored on empty directories: every octet, UID, flag, UIDVALIDITY and UIDL comes back."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from services.store.backup import database
from services.store.backup.keep import Keep
from services.store.backup.make import LOCK, Job, Made, make_backup
from services.store.backup.manifest import INCOMING, MANIFEST, BackupError, backups, choose, read_manifest
from services.store.backup.restore import STEP, restore
from services.store.pace import Pace
from services.store.packs.read import PackReader
from services.store.packs.record import Location
from services.store.verify.checker import verify_files
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.mail.index import build_index
from shared.model.packed import pack_u32
from shared.testing.process import ROOT, ProcessFailed, clean_environment
from shared.testing.runner import missing
from shared.testing.stack import PASSWORD, Stack

ALICE, BOB = "alice@example.test", "bob@example.test"
SMALL_PACKS = {"PILLARBOX_STORE__PACK_OCTETS": str(64 * 1024)}
KEEP_ALL = Keep(0, 0, 0)
NOON = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def mail(number: int, octets: int = 3000) -> bytes:
    noise = random.Random(number).randbytes(octets // 2).hex().encode()
    return b"Subject: letter %d\r\n\r\n%s\r\n" % (number, noise)


class Post:
    """Delivers to Alice, one after the other; ``acknowledged`` are the numbers that the store answered for."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.acknowledged: list[int] = []

    async def deliver(self, numbers: range, enough: trio.Event | None = None, octets: int = 3000) -> None:
        async with self.stack.client(Role.SMTP_IN) as smtp_in, self.stack.client(Role.IMAP) as imap:
            account = (await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")).account_id
            for number in numbers:
                content = mail(number, octets)
                source = ContentSource(len(content), inline=content)
                recipients = (LocalRecipient(account, ALICE),)
                await smtp_in.messages.deliver(Delivery("t", "s@x.test", recipients, (), source, build_index(content)))
                self.acknowledged.append(number)
                if enough is not None and len(self.acknowledged) >= 50:
                    enough.set()

    async def arrange(self) -> None:
        """Flags, keywords, copies, expunges: things that a backup has to keep."""
        async with self.stack.client(Role.IMAP) as imap:
            grant = (await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")).grant
            inbox = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
            box = (await imap.mailboxes.create(grant, "Projekte/Größe", "")).mailbox_id
            await imap.messages.store_flags(
                grant, inbox, pack_u32([1, 3]), FlagOperation.ADD, ("\\Seen", "$Work", "\\Flagged"), None
            )
            await imap.messages.copy(grant, inbox, pack_u32([1, 2, 3]), box)
            await imap.messages.expunge(grant, inbox, pack_u32([2]), False)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data", services=(), settings=SMALL_PACKS) as running:
        running.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        post = Post(running)
        trio.run(post.deliver, range(80))
        trio.run(post.arrange)
        yield running


def back_up(data: Path, root: Path, at: datetime = NOON, keep: Keep = KEEP_ALL, settings: Path | None = None) -> Made:
    return make_backup(Job(data, root, settings, keep), at, lambda *_: None)


def bring_back(folder: Path, data: Path, *, force: bool = False, at: datetime = NOON) -> Any:
    return restore(folder, data, at, lambda *_: None, force=force)


MESSAGES = (
    "SELECT a.address, b.name, b.uidvalidity, m.uid, m.flags, m.internal_date, m.email_id, m.thread_id, m.uidl, m.modseq, "
    'c.pack, c."offset", c.length, c.octets FROM message m JOIN mailbox b ON b.id = m.mailbox_id '
    "JOIN account a ON a.id = b.account_id JOIN content c ON c.id = m.content_id ORDER BY m.mailbox_id, m.uid"
)
OTHERS = (
    "SELECT id, name, special_use, uidvalidity, messages, unseen, octets FROM mailbox ORDER BY id",
    "SELECT mailbox_id, slot, name FROM keyword ORDER BY 1, 2",
    "SELECT address, password_hash, messages, octets FROM account ORDER BY 1",
    "SELECT address, target FROM alias ORDER BY 1, 2",
    "SELECT selector, private_key, public_key FROM dkim_key ORDER BY 1",
    "SELECT content_id, envelope, bodystructure, body, parts, summary FROM content_index ORDER BY 1",
)


def everything(data: Path) -> list[Any]:
    """Each message with all its octets, and what else a person would miss."""
    packs = PackReader(data / "store" / "packs", cache_octets=0)
    with closing(sqlite3.connect(data / "store" / "pillarbox.db")) as connection:
        found: list[Any] = [
            (*row[:10], packs.read(Location(*row[10:]))) for row in connection.execute(MESSAGES).fetchall()
        ]
        for query in OTHERS:
            found += connection.execute(query).fetchall()
    packs.close()
    return found


def subjects(data: Path) -> list[int]:
    return [int(row[10].split(b"\r\n")[0].split()[-1]) for row in everything(data) if len(row) == 11 and row[1] == "INBOX"]


def sound(data: Path) -> bool:
    return verify_files(data / "store" / "pillarbox.db", data / "store" / "packs", Pace(0), lambda _: None).findings.named == []


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_everything_comes_back_on_an_empty_machine(stack: Stack, tmp_path: Path) -> None:
    stack["store"].stop()
    data, root, new = stack.data_dir, tmp_path / "backups", tmp_path / "new"
    (data / "pillarbox.toml").write_text('[server]\nhostname = "mail.example.test"\n')
    made = back_up(data, root)
    assert made.name == "2026-11-28T120000Z"
    assert made.damages == ()
    done = bring_back(root / made.name, new)
    assert everything(new) == everything(data)
    assert sound(new)
    for name in ("keys/admin/key", "keys/store/grants", "keys/imap/key", "tls/key.pem", "tls/cert.pem", "pillarbox.toml"):
        assert (new / name).read_bytes() == (data / name).read_bytes()
    for path in [*new.rglob("*"), *root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert done.files == made.files
    assert not list(new.rglob("*restor*"))
    # UIDs that were given out after the backup are not given out again
    with closing(sqlite3.connect(new / "store" / "pillarbox.db")) as connection:
        highest = connection.execute("SELECT min(uid_next) FROM mailbox").fetchone()[0]
    assert highest > STEP
    with Stack(new, services=(), settings=SMALL_PACKS) as again:
        trio.run(Post(again).deliver, range(200, 210))
    assert subjects(new)[-10:] == list(range(200, 210))
    assert sound(new)


def test_a_backup_under_concurrent_deliveries(stack: Stack, tmp_path: Path) -> None:
    """All that was acknowledged before it began is in it, and whatever else is in it is whole."""
    root = tmp_path / "backups"
    post = Post(stack)

    async def scenario() -> list[tuple[Made, int, int]]:
        found = []
        enough = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post.deliver, range(1000, 1_000_000), enough)
            await enough.wait()
            for number in range(4):
                before = len(post.acknowledged)
                made = await trio.to_thread.run_sync(
                    back_up, stack.data_dir, root, NOON + timedelta(minutes=number)
                )
                found.append((made, before, len(post.acknowledged)))
            nursery.cancel_scope.cancel()
        return found

    for number, (made, before, after) in enumerate(trio.run(scenario)):
        assert made.damages == ()
        assert after > before
        new = tmp_path / f"new{number}"
        bring_back(root / made.name, new)
        assert sound(new)
        there = [subject for subject in subjects(new) if subject >= 1000]
        assert there[:before] == post.acknowledged[:before]
        assert there == list(range(1000, 1000 + len(there)))


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder / "data" / "store" / "packs").iterdir()}


def test_the_second_backup_shares_packs_with_the_first(stack: Stack, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    first = back_up(stack.data_dir, root)
    trio.run(Post(stack).deliver, range(100, 150))
    second = back_up(stack.data_dir, root, NOON + timedelta(days=1))
    one, two = inodes(root / first.name), inodes(root / second.name)
    shared = {name for name in one if one[name] == two[name]}
    assert shared == set(sorted(one)[:-1])
    assert len(two) > len(one)
    live = inodes_of_live(stack.data_dir)
    assert all(live[name] == two[name] for name in sorted(two)[:-1])
    # the newest is written to: never one file with the store's
    assert two[max(two)] != live[max(two)]
    third = back_up(stack.data_dir, root, NOON + timedelta(days=2))
    assert inodes(root / third.name) == two
    assert third.new_octets < second.new_octets


def inodes_of_live(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (data / "store" / "packs").iterdir()}


def test_without_links_each_pack_is_copied(stack: Stack, tmp_path: Path, other_file_system: Path) -> None:
    """Onto another file system: copied once, linked from then on."""
    root = other_file_system / "backups"
    first = back_up(stack.data_dir, root)
    second = back_up(stack.data_dir, root, NOON + timedelta(days=1))
    assert inodes(root / first.name) == inodes(root / second.name)
    bring_back(root / second.name, tmp_path / "new")
    assert sound(tmp_path / "new")


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev or not os.access(memory, os.W_OK):
        missing("there is one file system only")
    place = memory / f"pillarbox-test-{os.getpid()}-{random.randrange(1 << 40)}"
    place.mkdir()
    yield place
    shutil.rmtree(place)


def test_a_store_restored_to_an_older_state_shares_no_pack_that_is_another(stack: Stack, tmp_path: Path) -> None:
    """Packs of one number and one length that went different ways."""
    root, new = tmp_path / "backups", tmp_path / "new"
    early = back_up(stack.data_dir, root)
    # too small to be compressed; UIDs behind the restore take four octets more in a record
    trio.run(Post(stack).deliver, range(300, 301), None, 24)
    middle = back_up(stack.data_dir, root, NOON + timedelta(hours=1))
    stack["store"].stop()
    bring_back(root / early.name, new)
    with Stack(new, services=(), settings=SMALL_PACKS) as again:
        trio.run(Post(again).deliver, range(400, 401), None, 20)
    late = back_up(new, root, NOON + timedelta(hours=2))
    sizes = [{e.path: e.octets for e in read_manifest(root / made.name).files if "/packs/" in e.path} for made in (middle, late)]
    assert sizes[0] == sizes[1]
    bring_back(root / late.name, tmp_path / "newer")
    assert everything(tmp_path / "newer") == everything(new)


def job_words(data: Path, root: Path, *more: str) -> list[str]:
    keep = ["--keep-daily", "0", "--keep-weekly", "0", "--keep-monthly", "0"]
    return [sys.executable, "-m", "services.store.backup", "make", *keep, *more, str(data), str(root)]


@pytest.mark.parametrize("stage", ["database", "packs", "comparing"])
def test_a_backup_that_is_killed_leaves_the_older_ones_and_nothing_that_counts(
    stack: Stack, tmp_path: Path, stage: str
) -> None:
    root = tmp_path / "backups"
    first = back_up(stack.data_dir, root)
    before = files_of(root / first.name)
    trio.run(Post(stack).deliver, range(100, 160))
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    words = job_words(stack.data_dir, root, "--limit", "200000")
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == stage:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert backups(root) == [first.name]
    assert files_of(root / first.name) == before
    assert [path for path in root.iterdir() if path.name.startswith(INCOMING)]
    again = back_up(stack.data_dir, root, NOON + timedelta(days=1))
    assert sorted(path.name for path in root.iterdir()) == [LOCK, first.name, again.name]
    bring_back(root / again.name, tmp_path / "new")
    assert len(subjects(tmp_path / "new")) == 80 - 1 + 60


def test_retention_removes_only_what_is_a_backup_of_ours(stack: Stack, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    keep = Keep(2, 0, 0)
    first = back_up(stack.data_dir, root, NOON - timedelta(days=3), keep)
    strange = {
        "holiday": "picture", "2020-01-01T000000Z": "no manifest", "2021-01-01T000000Z/deep": "x", "notes.txt": "y",
        ".incoming-notes": "z",
    }  # fmt: skip
    for name, text in strange.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    # somebody's copy under another date
    shutil.copytree(root / first.name, root / "2019-05-05T000000Z")
    for day in (2, 1, 0):
        made = back_up(stack.data_dir, root, NOON - timedelta(days=day), keep)
    assert made.removed == (backup_name(2),)
    assert backups(root) == ["2019-05-05T000000Z", backup_name(1), backup_name(0)]
    for name, text in strange.items():
        assert (root / name).read_text() == text


def backup_name(days: int) -> str:
    return (NOON - timedelta(days=days)).strftime("%Y-%m-%dT%H%M%SZ")


def test_a_pack_that_is_compacted_away_meanwhile(stack: Stack, tmp_path: Path) -> None:
    """The database is copied, then a pack goes and its contents live on in a new one: the backup begins again."""
    stack["store"].stop()
    data, root = stack.data_dir, tmp_path / "backups"
    compacted = []

    def compact(stage: str, done: int, total: int) -> None:
        """What compaction of pack 2 does: its octets in a new pack, the rows moved in one transaction, the file removed."""
        if stage != "packs" or done or compacted:
            return
        with closing(sqlite3.connect(data / "store" / "pillarbox.db")) as connection:
            number = connection.execute("SELECT max(number) + 1, max(CASE number WHEN 2 THEN octets END) FROM pack").fetchone()
            new, octets = number
            packs = data / "store" / "packs"
            moved = bytearray((packs / "00000002.pack").read_bytes())
            moved[8:16] = new.to_bytes(8, "little")
            (packs / f"{new:08d}.pack").write_bytes(moved)
            connection.execute("INSERT INTO pack VALUES (?, ?, 0, NULL)", (new, octets))
            connection.execute("UPDATE content SET pack = ? WHERE pack = 2", (new,))
            connection.execute("DELETE FROM pack WHERE number = 2")
            connection.commit()
            (packs / "00000002.pack").unlink()
        compacted.append(new)

    made = make_backup(Job(data, root, None, KEEP_ALL), NOON, compact)
    assert compacted
    assert made.damages == ()
    paths = read_manifest(root / made.name).by_path()
    assert "data/store/packs/00000002.pack" not in paths
    bring_back(root / made.name, tmp_path / "new")
    assert everything(tmp_path / "new") == everything(data)
    assert sound(tmp_path / "new")


def test_a_store_with_a_lost_pack_is_backed_up_and_said_to_be_damaged(stack: Stack, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    back_up(stack.data_dir, root, NOON - timedelta(days=9), Keep(1, 0, 0))
    (stack.data_dir / "store" / "packs" / "00000002.pack").unlink()
    made = back_up(stack.data_dir, root, NOON, Keep(1, 0, 0))
    assert made.damages == ("pack 2 is missing",)
    assert made.removed == ()
    assert len(backups(root)) == 2


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_backup_is_not_restored(stack: Stack, tmp_path: Path, seed: int) -> None:
    stack["store"].stop()
    root, new = tmp_path / "backups", tmp_path / "new"
    made = back_up(stack.data_dir, root)
    draw = random.Random(seed)
    victim = root / made.name / draw.choice(read_manifest(root / made.name).files).path
    bad = bytearray(victim.read_bytes())
    bad[draw.randrange(len(bad))] ^= 4
    victim.unlink()
    victim.write_bytes(bad)
    with pytest.raises(BackupError, match=victim.name):
        bring_back(root / made.name, new)
    assert not (new / "store" / "pillarbox.db").exists()
    with pytest.raises(ProcessFailed, match="restore"), Stack(new, services=()):
        pass
    # another backup may be restored over it
    (victim.parent / victim.name).unlink()
    good = back_up(stack.data_dir, root, NOON + timedelta(days=1))
    bring_back(root / good.name, new)
    assert everything(new) == everything(stack.data_dir)


def test_a_directory_that_is_not_empty(stack: Stack, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    made = back_up(stack.data_dir, root)
    with pytest.raises(BackupError, match="not empty"):
        bring_back(root / made.name, stack.data_dir)
    with pytest.raises(OSError, match="another store"):
        bring_back(root / made.name, stack.data_dir, force=True)
    trio.run(Post(stack).deliver, range(500, 520))
    stack["store"].stop()
    later = everything(stack.data_dir)
    done = bring_back(root / made.name, stack.data_dir, force=True)
    assert len(subjects(stack.data_dir)) == 79
    assert sound(stack.data_dir)
    assert any("pillarbox.db" in path for path in done.aside)
    # nothing is lost: what was there is beside it, and is no part of the next backup
    aside = stack.data_dir / "store"
    old = tmp_path / "old"
    (old / "store").mkdir(parents=True)
    for path in aside.glob("*.before-restore-*"):
        path.rename(old / "store" / path.name.split(".before-restore-")[0])
    assert everything(old) == later
    again = back_up(stack.data_dir, root, NOON + timedelta(days=1))
    assert not [path for path in read_manifest(root / again.name).by_path() if "before" in path]


def test_what_is_refused(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no store"):
        back_up(tmp_path / "nowhere", tmp_path / "backups")
    with pytest.raises(BackupError, match="elsewhere"):
        back_up(stack.data_dir, stack.data_dir / "backups")
    with pytest.raises(BackupError, match="no backup"):
        choose(tmp_path, None)
    root = tmp_path / "backups"
    made = back_up(stack.data_dir, root)
    with pytest.raises(BackupError, match="from 2020"):
        choose(root, "2020")
    assert choose(root, "2026-11-28") == choose(root, None) == choose(root / made.name, None) == root / made.name
    manifest = root / made.name / MANIFEST
    manifest.write_text(manifest.read_text().replace('"revision": "', '"revision": "9'))
    with pytest.raises(BackupError, match="newer"):
        bring_back(root / made.name, tmp_path / "new")


def cli(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(data), *words]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands(stack: Stack, tmp_path: Path) -> None:
    root, settings = str(tmp_path / "backups"), tmp_path / "elsewhere.toml"
    settings.write_text("[backup]\nkeep_daily = 1\nkeep_weekly = 0\nkeep_monthly = 0\n")
    first = json.loads(cli(stack.data_dir, "backup", root, "--json", "--config", str(settings)).stdout)
    shown = cli(stack.data_dir, "backup", root, "--config", str(settings))
    assert shown.returncode == 0, shown
    assert f"removed: {first['name']}" in shown.stdout
    assert cli(stack.data_dir, "restore", root).returncode == 1
    done = cli(tmp_path / "new", "restore", root)
    assert done.returncode == 0, done
    assert (tmp_path / "new" / "pillarbox.toml").read_text() == settings.read_text()
    stack["store"].stop()
    assert everything(tmp_path / "new") == everything(stack.data_dir)
    assert cli(stack.data_dir, "backup", root, "--keep-daily", "-1").returncode == 2
    wrong = cli(tmp_path / "newer", "restore", root, "--at", "yesterday")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_a_database_is_copied_as_it_was_however_slowly(stack: Stack, tmp_path: Path) -> None:
    """Commits between the steps of the copy neither get into it nor make it begin again."""
    source, target = stack.data_dir / "store" / "pillarbox.db", tmp_path / "copy.db"
    post = Post(stack)
    steps = 0

    def deliver_meanwhile(_: int) -> None:
        nonlocal steps
        steps += 1
        trio.run(post.deliver, range(2000 + 10 * steps, 2010 + 10 * steps))

    database.copy_database(source, target, Pace(0), deliver_meanwhile, pages=16)
    assert 2 <= steps < 100
    with database.open_copy(target) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone()[0] == 80 + 3 - 1
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("copy.db-")]
