"""Several devices of one account: each sees its own maildrop, in every interleaving; any mailbox by the user name; kills at QUIT."""

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from services.store import layout
from services.store.domain.pop3_view import decode
from shared.config.paths import DataPaths
from shared.contract.registry import Role
from shared.model.packed import pack_u32
from shared.model.pop3 import Dele
from shared.rpc.store_client import StoreClient
from shared.testing.mail_samples import plain_message
from shared.testing.pop3 import Pop3Stack, Wire
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD
from shared.wire import base64

MakeStack = Callable[..., Pop3Stack]


def messages(count: int) -> list[bytes]:
    return [plain_message(f"{n}@example.test") for n in range(1, count + 1)]


def uidls(wire: Wire) -> list[bytes]:
    return [line.split()[1] for line in wire.multi("UIDL").splitlines()]


def quit_after(wire: Wire, *commands: str) -> None:
    for command in (*commands, "QUIT"):
        assert wire.command(command).startswith(b"+OK")


def run_imap(stack: Pop3Stack, address: str, use: Callable[[StoreClient, Any], Any]) -> Any:
    async def run(store: StoreClient) -> Any:
        grant = (await store.auth.login(address, PASSWORD, "127.0.0.1")).grant
        return await use(store, grant)

    return stack.administer(run, Role.IMAP)


def make_mailbox(stack: Pop3Stack, address: str, name: str) -> None:
    run_imap(stack, address, lambda store, grant: store.mailboxes.create(grant, name, ""))


def fetched(stack: Pop3Stack, address: str) -> list[tuple[int, int]]:
    """Spans of UIDs that the main password has fetched of INBOX."""
    return _spans(stack, address, "fetched")


def _spans(stack: Pop3Stack, address: str, column: str) -> list[tuple[int, int]]:
    connection = sqlite3.connect(layout.database_path(DataPaths(stack.data_dir)), timeout=20)
    try:
        found = connection.execute(
            f"SELECT v.{column} FROM pop3_view v JOIN mailbox m ON m.id = v.mailbox_id JOIN account a ON a.id = m.account_id "
            "WHERE a.address = ? AND m.name = 'INBOX' AND v.device_id = 0",
            (address,),
        ).fetchone()
    finally:
        connection.close()
    return [] if found is None else [span[:2] for span in decode(found[0])]


@attrs.define(eq=False)
class Open:
    """A session, and what the model says that it sees."""

    wire: Wire
    device: str
    drop: list[bytes]
    marked: set[int] = attrs.field(factory=set)


class Devices(RuleBasedStateMachine):
    """Two app passwords and the main one, several sessions of each at once, mail that comes and goes by IMAP."""

    stack: ClassVar[Pop3Stack]
    dele: ClassVar[Dele]

    @initialize()
    def begin(self) -> None:
        stack = self.stack
        self.address = stack.account()
        stack.set_dele(self.address, self.dele)
        self.passwords = {"main": PASSWORD, **{name: stack.device(self.address, name) for name in ("phone", "laptop")}}
        self.living: list[bytes] = []
        self.uids: dict[bytes, int] = {}
        self.hidden: dict[str, set[bytes]] = {name: set() for name in self.passwords}
        self.open: list[Open] = []
        self.delivered = 0
        self.deliver(3)
        self.log_in_once_more("phone")
        self.log_in_once_more("laptop")
        self.use(0, 0, "DELE")
        self.use(1, 1, "DELE")

    def log_in(self, device: str) -> Wire:
        return self.stack.wire().log_in(self.address, self.passwords[device])

    def shown(self, device: str) -> list[bytes]:
        return [uidl for uidl in self.living if uidl not in self.hidden[device]]

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        self.stack.deliver(self.address, messages(count))

        async def maildrop(store: StoreClient) -> Any:
            found = await store.auth.login(self.address, PASSWORD, "127.0.0.1")
            return await store.messages.maildrop(found.grant, "INBOX", 0, 100)

        # the main password's view may hide older ones, never the new ones
        new = self.stack.administer(maildrop, Role.POP3).uidls[-count:]
        for uidl in new:
            self.delivered += 1
            self.living.append(uidl.encode())
            self.uids[uidl.encode()] = self.delivered

    @rule(which=st.integers(0, 20))
    def expunge_by_imap(self, which: int) -> None:
        if self.living:
            gone = self.living.pop(which % len(self.living))
            packed = pack_u32([self.uids[gone]])

            async def expunge(store: StoreClient, grant: Any) -> None:
                state = await store.mailboxes.status(grant, "INBOX")
                await store.messages.expunge(grant, state.mailbox_id, packed, False)

            run_imap(self.stack, self.address, expunge)

    @rule(device=st.sampled_from(["main", "phone", "laptop"]))
    def log_in_once_more(self, device: str) -> None:
        if len(self.open) < 4:
            wire = self.log_in(device)
            assert uidls(wire) == self.shown(device)
            self.open.append(Open(wire, device, self.shown(device)))

    @precondition(lambda self: self.open)
    @rule(session=st.integers(0, 3), number=st.integers(0, 12), verb=st.sampled_from(["DELE", "DELE", "RETR"]))
    def use(self, session: int, number: int, verb: str) -> None:
        at = self.open[session % len(self.open)]
        number = number % (len(at.drop) + 1) + 1
        answer = at.wire.command(f"{verb} {number}")
        if number > len(at.drop) or number in at.marked:
            assert answer.startswith(b"-ERR")
        elif verb == "DELE":
            assert answer.startswith(b"+OK")
            at.marked.add(number)
        elif answer.startswith(b"+OK"):
            at.wire.body()
        else:
            # -ERR only for what is really gone
            assert at.drop[number - 1] not in self.living

    @precondition(lambda self: self.open)
    @rule(session=st.integers(0, 3), how=st.sampled_from(["QUIT", "QUIT", "QUIT", "RSET", "lost"]))
    def end(self, session: int, how: str) -> None:
        at = self.open[session % len(self.open)]
        if how == "RSET":
            assert at.wire.command("RSET").startswith(b"+OK")
            at.marked.clear()
            return
        self.open.remove(at)
        if how == "QUIT":
            self.quit(at)
        at.wire.close()

    def quit(self, at: Open) -> None:
        assert at.wire.command("QUIT") == b"+OK signing off (%d messages left)" % (len(at.drop) - len(at.marked))
        deleted = {at.drop[number - 1] for number in at.marked}
        if self.dele is Dele.HIDE:
            self.hidden[at.device] |= deleted
        else:
            self.living = [uidl for uidl in self.living if uidl not in deleted]

    def teardown(self) -> None:
        for at in self.open:
            self.quit(at)
            at.wire.close()
        for device in self.passwords:
            with self.log_in(device) as wire:
                assert uidls(wire) == self.shown(device)


@pytest.mark.parametrize("dele", list(Dele))
def test_every_device_sees_its_own_in_every_interleaving(stack: Pop3Stack, dele: Dele) -> None:
    Devices.stack, Devices.dele = stack, dele
    run_state_machine_as_test(
        Devices,
        settings=settings(
            max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None,
            phases=(Phase.generate,),  # to make a failure short would take minutes
        ),
    )  # fmt: skip


def test_trash_is_a_maildrop_like_any(stack: Pop3Stack) -> None:
    sent = messages(3)
    address = stack.account(*sent)
    stack.set_dele(address, Dele.TRASH)
    with stack.logged_in(address) as wire:
        unique_ids = uidls(wire)
        quit_after(wire, "DELE 2")
    with stack.wire().log_in(f"{address}+Trash") as wire:
        assert uidls(wire) == [unique_ids[1]]
        assert wire.multi("RETR 1") == sent[1]
        quit_after(wire, "DELE 1")
    with stack.wire().log_in(f"{address}+Trash") as wire:
        assert uidls(wire) == []


def test_any_mailbox_by_the_user_name(stack: Pop3Stack) -> None:
    address = stack.account(*messages(1))
    local, _, domain = address.partition("@")
    make_mailbox(stack, address, "Work/2024 & größer")
    for username in (f"{local}+Work/2024 & größer@{domain}", f"{address}+Work/2024 & größer"):
        with stack.wire().log_in(username) as wire:
            assert wire.command("STAT") == b"+OK 0 0"
    with stack.wire().log_in(f"{local}+inbox@{domain}") as wire:
        assert wire.command("STAT").startswith(b"+OK 1 ")
    stack["pop3"].wait_for_log('"mailbox": "Work/2024', count=2)


def test_whoever_has_not_the_password_learns_nothing_of_mailboxes(stack: Pop3Stack) -> None:
    address = stack.account()
    local, _, domain = address.partition("@")
    answers = set()
    for username in (f"{address}+Work", f"{address}+Trash", f"{local}+Trash@{domain}", f"nobody@{domain}+Trash"):
        with stack.wire() as wire:
            assert wire.command(f"USER {username}") == b"+OK send PASS"
            answers.add(wire.command("PASS wrong"))
    assert answers == {b"-ERR [AUTH] user name or password is wrong"}
    with stack.wire() as wire:
        wire.command(f"USER {address}+Work")
        assert wire.command(f"PASS {PASSWORD}") == b"-ERR [SYS/PERM] there is no such mailbox"
        wire.log_in(f"{address}+Trash")


@pytest.mark.parametrize("mailbox", ["Work/2024", "Größe"])
def test_scram_with_a_mailbox(stack: Pop3Stack, mailbox: str) -> None:
    address = stack.account()
    local, _, domain = address.partition("@")
    make_mailbox(stack, address, mailbox)
    phone = stack.device(address, "phone")
    for username, password, answer in (
        (f"{address}+{mailbox}", PASSWORD, b"+OK maildrop has 0 messages (0 octets)"),
        (f"{local}+{mailbox}@{domain}", PASSWORD, b"+OK maildrop has 0 messages (0 octets)"),
        (f"{local}+{mailbox}@{domain}/phone", phone, b"+OK maildrop has 0 messages (0 octets)"),
        (f"{address}/phone+{mailbox}", phone, b"+OK maildrop has 0 messages (0 octets)"),
        (f"{address}+no such", PASSWORD, b"-ERR [SYS/PERM] there is no such mailbox"),
        (f"{address}+{mailbox}", phone, b"-ERR [AUTH] user name or password is wrong"),
    ):
        who = ScramClient(username, password)
        with stack.wire() as wire:
            first = wire.command("AUTH SCRAM-SHA-256 " + base64.encode(who.first()).decode())
            final = wire.command(base64.encode(who.final(base64.decode(first[2:], 1000))).decode())
            if final.startswith(b"+ "):
                assert who.check(base64.decode(final[2:], 1000))
                final = wire.command("")
            assert final == answer


def test_what_was_fetched_is_remembered_however_a_session_ends(stack: Pop3Stack) -> None:
    address = stack.account(*messages(6))
    with stack.logged_in(address) as wire:
        wire.multi("RETR 1")
        wire.multi("TOP 2 1")
        wire.multi("TOP 3 1000000")
        quit_after(wire)
    assert fetched(stack, address) == [(1, 1), (3, 3)]
    with stack.logged_in(address) as wire:
        wire.multi("RETR 5")
        wire.command("DELE 6")
    ended = rf'"session ended".*"account": "{address}"'
    stack["pop3"].wait_for_log(ended, count=2)
    assert fetched(stack, address) == [(1, 1), (3, 3), (5, 5)]
    assert stack.count(address) == 6
    with stack.logged_in(address) as wire:
        wire.multi("RETR 6")
        quit_after(wire, "DELE 6")
    assert fetched(stack, address) == [(1, 1), (3, 3), (5, 6)]
    # a look costs no write
    before = fetched(stack, address)
    assert stack.count(address) == 5
    assert fetched(stack, address) == before


def test_who_downloads_everything_each_time_is_told_of(stack: Pop3Stack) -> None:
    address = stack.account()
    stack.deliver_many(address, plain_message("x@example.test"), 50)
    hint = "downloads everything again"
    for _ in range(3):
        lines = [line for line in stack["pop3"].log.splitlines() if hint in line and address in line]
        assert lines == []
        with stack.logged_in(address) as wire:
            for number in range(1, 51):
                wire.multi(f"RETR {number}")
            quit_after(wire)
    (line,) = stack["pop3"].wait_for_log(hint)
    assert f'"account": "{address}"' in line
    assert '"level": "warning"' in line
    assert "UIDL" in line


def test_a_maildrop_is_exclusive_by_mailbox(make_stack: MakeStack) -> None:
    stack = make_stack(pop3__maildrop_lock="exclusive")
    address = stack.account(*messages(1))
    with stack.logged_in(address), stack.wire() as second:
        second.command(f"USER {address}+INBOX")
        assert second.command(f"PASS {PASSWORD}") == b"-ERR [IN-USE] the maildrop is open in another session"
        second.command(f"USER {address}+Trash")
        assert second.command(f"PASS {PASSWORD}").startswith(b"+OK")


def test_the_separator_is_that_of_subaddresses(make_stack: MakeStack) -> None:
    stack = make_stack(store__subaddress_separator="-")
    address = stack.account()
    with stack.wire().log_in(f"{address}-Trash") as wire:
        assert wire.command("STAT") == b"+OK 0 0"
        quit_after(wire)
    with stack.wire() as wire:
        wire.command(f"USER {address}+Trash")
        assert wire.command(f"PASS {PASSWORD}").startswith(b"-ERR [AUTH]")


@pytest.mark.parametrize("dele", [Dele.HIDE, Dele.TRASH, Dele.DELETE])
def test_kill_around_quit_leaves_all_or_nothing(make_stack: MakeStack, dele: Dele) -> None:
    """What was deleted and what was fetched stand or fall together, and what was acknowledged stands."""
    stack = make_stack()
    address = stack.account()
    stack.set_dele(address, dele)
    rng = random.Random()

    def kill() -> None:
        stack["store"].kill()
        stack["pop3"].kill()  # or it would ask the store again when that is back

    for _ in range(3):
        stack.deliver_many(address, plain_message("x@example.test"), 40)
        with stack.logged_in(address) as wire:
            before = uidls(wire)
            highest = max([last for _, last in fetched(stack, address)], default=0)
            wire.multi(f"RETR {len(before)}")
            odd = range(1, len(before), 2)
            wire.send(b"".join(b"DELE %d\r\n" % number for number in odd))
            assert all(wire.line().startswith(b"+OK") for _ in odd)
            killer = threading.Timer(rng.uniform(0.0, 0.02), kill)
            killer.start()
            with suppress(ConnectionError):
                answer = b""
                answer = wire.command("QUIT")
            killer.join()
        stack["store"].restart()
        stack["pop3"].restart()
        with stack.logged_in(address) as wire:
            now = uidls(wire)
        happened = now != before
        assert now == [uidl for number, uidl in enumerate(before, 1) if not (happened and number in odd)]
        assert (max([last for _, last in fetched(stack, address)], default=0) > highest) == happened
        assert happened or not answer.startswith(b"+OK")
