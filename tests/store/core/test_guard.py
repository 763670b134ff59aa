"""The guard: who is not judged, how answers are held back, what it writes down."""

from pathlib import Path

import attrs
import trio
import trio.testing

from services.store.domain.judge import Door
from services.store.guard import DELAYED_MAX, Guard
from services.store.packs.append import PackAppender
from services.store.readers import Snapshot
from services.store.reads import bans as reads
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import bans as writes
from services.store.writes import directory
from services.store.writes.bans import Notes
from shared.config.schema import BansSettings, LimitSettings, Settings
from shared.contract.bans_types import Ban, BanKind
from shared.observe.log import Level, Logger
from shared.observe.metrics import Metrics

ALICE = "alice@example.test"
LONGEST = BansSettings().longest_delay_seconds


def guard(**changes: object) -> Guard:
    limits = LimitSettings(exempt_networks=("198.51.100.0/24",))
    settings = Settings(data_dir="", limits=limits, bans=attrs.evolve(BansSettings(), **changes))
    return Guard(settings, Logger("test", Level.ERROR), Metrics(), lambda: 1000.0)


def test_who_is_not_judged() -> None:
    judging = guard()
    for client in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "198.51.100.7", "", "x", "unix"):
        assert judging.place(client) is None, client
    assert judging.place("192.0.2.7") == judging.place("::ffff:192.0.2.7") is not None
    assert guard(never_networks=()).place("127.0.0.1") is not None
    assert judging.door(None, ALICE) is Door.OPEN


def test_answers_are_held_back_and_no_more_of_them_than_the_bound() -> None:
    judging = guard(failures=1000, network_failures=10_000, account_failures=1000)
    place = judging.place("192.0.2.7")
    at_once = 0

    async def fail(number: int) -> None:
        nonlocal at_once
        before = trio.current_time()
        await judging.failed(place, ALICE, "192.0.2.7", f"wrong {number}")
        at_once += trio.current_time() == before
        assert trio.current_time() - before <= LONGEST

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(DELAYED_MAX + 11):
                nursery.start_soon(fail, number)
            await trio.testing.wait_all_tasks_blocked()
            assert judging.statistics()["delayed"] == DELAYED_MAX
        assert judging.statistics()["delayed"] == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    # the first failure, and those beyond the bound
    assert at_once == 11


def test_what_is_written_down_is_what_is_read(tmp_path: Path) -> None:
    database = tmp_path / "db"
    migrate(database)
    connection = connect(database, read_only=False, cache_kib=1000)
    cursor = connection.cursor()
    packs = tmp_path / "packs"
    packs.mkdir()
    cursor.execute("BEGIN")
    transaction = Transaction(cursor, PackAppender(packs, number=1, end=0, seal_octets=1 << 20), Ids(cursor), 0.0)
    directory.domain_add(transaction, "example.test")
    account = directory.account_add(transaction, ALICE, "hash").account_id

    first = Ban(BanKind.ADDRESS, "192.0.2.7", 1.0, 2.0, 10, 1, ("a@b.test", "c"))
    longer = attrs.evolve(first, until=3.0, times=2)
    other = Ban(BanKind.ACCOUNT, ALICE, 1.0, 9.0, 20, 1, ("10.0.0.1",))
    manual = Ban(BanKind.NETWORK, "192.0.2.0/24", 1.0, 9.0, 0, 0, manual=True)

    def write(notes: Notes) -> None:
        writes.keep(transaction, notes)

    notes = Notes()
    for ban in (first, longer, other):
        notes.ban(ban)
    notes.note(account, ALICE, "192.0.2.7", 5.0)
    notes.note(account, ALICE, "192.0.2.8", 6.0)
    notes.note(account + 1, "gone@example.test", "192.0.2.9", 6.0)
    write(notes)
    assert writes.add(transaction, manual) == manual
    snapshot = Snapshot(cursor, None)  # type: ignore[arg-type]  # no contents are read
    assert sorted(reads.all_bans(snapshot), key=lambda ban: ban.key) == [other, longer, manual]
    assert sorted(reads.known_addresses(snapshot)) == [(ALICE, "192.0.2.7", 5.0), (ALICE, "192.0.2.8", 6.0)]

    notes = Notes()
    notes.drop(other)
    notes.note(account, ALICE, "192.0.2.7", None)
    notes.note(account, ALICE, "192.0.2.8", 7.0)
    write(notes)
    assert writes.lift(transaction, [("network", manual.subject)], 1) == 1
    assert reads.all_bans(snapshot) == [longer]
    assert reads.known_addresses(snapshot) == [(ALICE, "192.0.2.8", 7.0)]
    write(Notes(forget_before=8.0))
    assert reads.known_addresses(snapshot) == []
    connection.close()


def test_notes_of_a_removed_account_are_void() -> None:
    notes = Notes()
    assert not notes
    notes.note(1, ALICE, "192.0.2.7", 5.0)
    notes.note(2, "bob@example.test", "192.0.2.7", 5.0)
    notes.forget(ALICE)
    assert list(notes.known) == [(2, "192.0.2.7")]
