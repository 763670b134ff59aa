"""Daily limits: the rules with a clock of their own, and the counters against a second bookkeeping whatever is sent."""

import email
import email.policy
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.store.domain.queue import QueueTimes
from services.store.domain.sending import (
    Account,
    DailyLimits,
    Sent,
    allowance,
    charge,
    chosen_recipients,
    day_of,
    state,
)
from services.store.forwarding import Forwarding
from services.store.notice import build_notice
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor
from services.store.reads.directory import Rules
from services.store.reads.sending import account_of, known_days
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writer import Command
from services.store.writes import directory, filing, sending
from services.store.writes.filing import Incoming
from services.store.writes.telling import tell_owner
from shared.contract.sending_types import SendingAllowance, SendingLimit
from shared.contract.types import AccountInfo, ContentSource, Delivery, DeliveryResult, LocalRecipient, RemoteRecipient
from shared.errors import BadRequest, GrantExpired, MessagesReached, NewRecipientsReached, NotFound, SendingLimitReached
from shared.mail.index import build_index
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex

INDEX: Final = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
DAY: Final = 86400.0
LIMITS: Final = DailyLimits(6, 3)
CONDITIONS: Final = filing.Conditions(Rules("+", 10, Forwarding(b"k" * 32)), QueueTimes(10.0, 5.0))


# --- rules ---


def test_a_day_is_one_of_utc() -> None:
    assert [day_of(seconds) for seconds in (0.0, 86399.9, 86400.0, 1_800_000_000.0)] == [0, 0, 1, 20833]
    sent = Sent(5, 7, 2)
    assert sent.on(5) is sent
    # also an earlier day begins anew: a clock that was in the future for a while locks nobody out
    assert sent.on(6) == Sent(6)
    assert sent.on(4) == Sent(4)


@pytest.mark.parametrize(
    ("sent", "limits", "messages", "new", "refusal"),
    [
        (Sent(1), LIMITS, 6, 3, None),
        (Sent(1), LIMITS, 7, 0, MessagesReached),
        (Sent(1), LIMITS, 4, 4, NewRecipientsReached),
        (Sent(1, 6, 0), LIMITS, 1, 0, MessagesReached),
        (Sent(1, 3, 3), LIMITS, 3, 0, None),
        (Sent(1, 3, 3), LIMITS, 1, 1, NewRecipientsReached),
        # lowered below what was sent: known recipients may still be written to
        (Sent(1, 5, 5), LIMITS, 1, 0, None),
        (Sent(1, 10**6, 10**6), DailyLimits(), 1000, 1000, None),
        (Sent(1), DailyLimits(0, 1), 1000, 2, NewRecipientsReached),
        (Sent(1), DailyLimits(1, 0), 2, 2, MessagesReached),
    ],
)
def test_charges(sent: Sent, limits: DailyLimits, messages: int, new: int, refusal: type[Exception] | None) -> None:
    if refusal is None:
        after = Sent(1, sent.messages + messages, sent.new_recipients + new)
        assert charge(sent, limits, messages, new) == after
    else:
        with pytest.raises(refusal):
            charge(sent, limits, messages, new)


def test_what_is_left_and_whose_limit_it_is() -> None:
    account = Account("a@b.test", Sent(9, 4, 3))
    assert allowance(account, LIMITS, 9) == SendingAllowance(2, 0)
    assert allowance(account, LIMITS, 10) == SendingAllowance(6, 3)
    assert allowance(account, DailyLimits(), 9) == SendingAllowance(None, None)
    own = attrs.evolve(account, own_messages=0, own_new_recipients=5)
    assert allowance(own, LIMITS, 9) == SendingAllowance(None, 2)
    assert attrs.astuple(state(own, LIMITS, 9)) == ("a@b.test", 4, None, 3, 5, 0, 5)
    assert allowance(attrs.evolve(account, own_messages=1), LIMITS, 9).messages == 0


def test_chosen_recipients_are_compared_and_aliases_left_out() -> None:
    remote = [RemoteRecipient("A@X.test"), RemoteRecipient("a@x.TEST"), RemoteRecipient("b@x.test", "team@here.test")]
    assert chosen_recipients(remote) == ["a@x.test"]


@pytest.mark.parametrize("address", ["alice@example.test", "a b@example.test", "김@example.test"])
@pytest.mark.parametrize("limit", list(SendingLimit))
def test_the_notice_is_plain_in_both_languages(address: str, limit: SendingLimit) -> None:
    raw = build_notice(address, limit, 200, hostname="mx.example.test", seconds=1e9, unique="abc")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = email.message_from_string(raw.decode(), policy=email.policy.default)
    (to,) = message["To"].addresses
    assert f"{to.username}@{to.domain}" == address
    assert message["From"].addresses[0].addr_spec == "postmaster@mx.example.test"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == 1e9
    text = message.get_content()
    assert [word for word in ("200", "change it now", "비밀번호를 바꾸고", address) if word not in text] == []
    assert "한도" in message["Subject"]
    assert build_index(raw).header_octets == raw.index(b"\r\n\r\n") + 4


# --- counters ---


class Books:
    """A database of the test's own, written to by one transaction per step as the writer does."""

    def __init__(self, place: Path) -> None:
        migrate(place / "db")
        (place / "packs").mkdir()
        self.connection: sqlite3.Connection = connect(place / "db", read_only=False, cache_kib=1024)
        self.connection.execute("PRAGMA synchronous=OFF")  # what the disk promises is not asked here
        self.cursor = self.connection.cursor()
        self.appender = PackAppender(place / "packs", number=1, end=0, seal_octets=1 << 26)
        self.compressor = Compressor(level=1)
        self.ids = Ids(self.cursor)
        self.now = 1000 * DAY
        self.numbers = itertools.count()
        self.run(directory.domain_add, "example.test")

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.cursor.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self.cursor, self.appender, self.ids, self.now)
        try:
            if arguments and isinstance(arguments[0], tuple):
                filing.prepare_contents(transaction, self.compressor, [Command("", None, function, arguments)])
            return function(transaction, *arguments)
        finally:
            # as in a batch: whatever a refused write has changed would stay
            transaction.flush()
            self.cursor.execute("COMMIT")

    def account(self) -> AccountId:
        added: AccountInfo = self.run(directory.account_add, f"u{next(self.numbers)}@example.test", "hash")
        return added.account_id

    def submit(
        self, account: AccountId, *remote: str | RemoteRecipient, limits: DailyLimits = LIMITS, local: bool = False
    ) -> DeliveryResult:
        targets = tuple(RemoteRecipient(to) if isinstance(to, str) else to for to in remote)
        copies = (LocalRecipient(account, "me"),) if local else ()
        content = b"message %d" % next(self.numbers)
        delivery = Delivery(
            "t", "s", copies, targets, ContentSource(len(content), inline=content), INDEX, account_id=account
        )
        conditions = attrs.evolve(CONDITIONS, daily=limits)
        result: DeliveryResult = self.run(filing.deliver, (Incoming(None, content),), delivery, conditions)
        return result

    def sent(self, account: AccountId) -> tuple[int, int]:
        sent = account_of(self.cursor, account).sent.on(day_of(self.now))
        return sent.messages, sent.new_recipients

    def known(self, account: AccountId) -> dict[str, int]:
        """By address; what the counter says is checked besides."""
        rows = dict(
            self.cursor.execute("SELECT address, used_day FROM known_recipient WHERE account_id = ?", (account,))
        )
        counted = self.cursor.execute("SELECT known FROM sending WHERE account_id = ?", (account,)).fetchone()
        assert (counted[0] if counted else 0) == len(rows)
        return rows

    def queued(self) -> int:
        return int(self.cursor.execute("SELECT count(*) FROM queue_entry").fetchone()[0])


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    made = Books(tmp_path_factory.mktemp("books"))
    yield made
    made.connection.close()


PEOPLE: Final = [f"p{number}@elsewhere.test" for number in range(8)]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),  # who
        st.lists(st.tuples(st.sampled_from(PEOPLE), st.booleans()), min_size=1, max_size=5, unique_by=lambda t: t[0]),
        st.booleans(),  # with a copy here
        st.sampled_from([0, 0, 0, 1, -1]),  # days that pass first
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_counters_equal_the_truth(books: Books, steps: list[Any]) -> None:
    accounts = [books.account(), books.account()]
    known: list[set[str]] = [set(), set()]
    truth = [(day_of(books.now), 0, 0)] * 2
    for who, named, local, days in steps:
        books.now += days * DAY
        today = day_of(books.now)
        stands = [entry if entry[0] == today else (today, 0, 0) for entry in truth]
        remote = [RemoteRecipient(to.upper() if aliased else to, "x@y" if aliased else "") for to, aliased in named]
        new = {to for to, aliased in named if not aliased} - known[who]
        after = (today, stands[who][1] + len(remote), stands[who][2] + len(new))
        fits = after[1] <= LIMITS.messages and (after[2] <= LIMITS.new_recipients or not new)
        queued = books.queued()
        try:
            books.submit(accounts[who], *remote, local=local)
        except SendingLimitReached:
            assert not fits
            assert books.queued() == queued
        else:
            assert fits
            # the last day that was counted stays until there is something to count on another
            truth[who] = stands[who] = after
            known[who] |= new
        for account, entry, people in zip(accounts, stands, known, strict=True):
            assert books.sent(account) == entry[1:]
            assert set(books.known(account)) == people


def test_what_does_not_count(books: Books) -> None:
    account = books.account()
    for _ in range(10):
        books.submit(account, local=True)
    assert books.sent(account) == (0, 0)
    books.submit(account, *PEOPLE[:3], limits=DailyLimits())
    assert books.sent(account) == (3, 3)
    with pytest.raises(NewRecipientsReached):
        books.submit(account, PEOPLE[3])
    # refused whole: not a copy here either
    before = books.queued()
    with pytest.raises(MessagesReached):
        books.submit(account, *PEOPLE[:4], local=True)
    assert books.queued() == before
    books.submit(account, PEOPLE[0].upper())
    books.submit(account, RemoteRecipient(PEOPLE[5], "team@example.test"))
    assert books.sent(account) == (5, 3)
    gone = AccountId(10**6)
    with pytest.raises(GrantExpired):
        books.submit(gone, PEOPLE[0])


def test_limits_of_ones_own(books: Books) -> None:
    account = books.account()
    address = account_of(books.cursor, account).address
    assert books.run(sending.set_limits, address, 1, None, LIMITS).most_messages == 1
    books.submit(account, PEOPLE[0])
    with pytest.raises(MessagesReached):
        books.submit(account, PEOPLE[0])
    state = books.run(sending.set_limits, address, 0, 0, LIMITS)
    assert (state.most_messages, state.most_new_recipients, state.messages) == (None, None, 1)
    books.submit(account, *PEOPLE)
    books.submit(account, *(f"q{number}@elsewhere.test" for number in range(1200)))
    assert len(books.known(account)) == 1208
    for wrong in (-1, 10**9):
        with pytest.raises(BadRequest):
            books.run(sending.set_limits, address, wrong, None, LIMITS)
    with pytest.raises(NotFound):
        books.run(sending.set_limits, "nobody@example.test", 1, 1, LIMITS)
    books.run(directory.account_remove, address)
    assert books.cursor.execute("SELECT count(*) FROM sending WHERE account_id = ?", (account,)).fetchone() == (0,)
    assert books.known(account) == {}


def test_known_recipients_are_forgotten_by_age_and_number(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.now += 100 * DAY
    books.run(sending.forget_unused, 1)  # what other tests left
    account, other = books.account(), books.account()
    unlimited = DailyLimits()
    books.submit(account, *PEOPLE[:4], limits=unlimited)
    books.submit(other, PEOPLE[0], limits=unlimited)
    books.now += 10 * DAY
    books.submit(account, PEOPLE[0], limits=unlimited)  # used again: as young as today
    assert books.run(sending.forget_unused, 10) == 0
    books.now += DAY
    assert books.run(sending.forget_unused, 10) == 4
    assert list(books.known(account)) == [PEOPLE[0]]
    assert books.known(other) == {}
    books.submit(account, *PEOPLE[4:], limits=unlimited)
    assert books.run(sending.forget_beyond, account, 5) == 0
    assert books.run(sending.forget_beyond, account, 4) == 1
    assert set(books.known(account)) == set(PEOPLE[4:])
    # bounded pieces
    monkeypatch.setattr(sending, "PIECE", 3)
    assert [books.run(sending.forget_beyond, account, 0) for _ in range(3)] == [3, 1, 0]
    assert known_days(books.cursor, account, PEOPLE) == {}


def test_an_owner_is_told_once_a_day(books: Books) -> None:
    account = books.account()

    def tell() -> bool:
        content = b"Subject: limit\r\n\r\n%d" % next(books.numbers)
        told: bool = books.run(tell_owner, (Incoming(None, content),), INDEX, account, "trace")
        return told

    def inbox() -> int:
        query = "SELECT messages FROM mailbox WHERE account_id = ? AND name = 'INBOX'"
        return int(books.cursor.execute(query, (account,)).fetchone()[0])

    assert [tell(), tell()] == [True, False]
    assert inbox() == 1
    books.submit(account, PEOPLE[0])  # that it was told is not forgotten by what is counted
    assert not tell()
    books.now += DAY
    assert [tell(), tell(), inbox()] == [True, False, 2]
