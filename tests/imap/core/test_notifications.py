"""A session that cannot be told any more what it missed is told that (RFC 5465 §5.8)."""

from types import SimpleNamespace

from services.imap.account import MAX_LOG_ENTRIES
from services.imap.accounts import WatchedAccount
from services.imap.notifications import Notifications
from services.imap.protocol.notify_arguments import EventGroup, NotifyArguments, NotifyEvent, NotifyFilter
from shared.contract.types import AccountChanges, MailboxCounters
from shared.errors import GrantExpired
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.testing import trio_test

BOTH = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE})
OVERFLOW = b"* OK [NOTIFICATIONOVERFLOW] "


def inbox(messages: int) -> MailboxCounters:
    return MailboxCounters(
        MailboxId(1), "INBOX", "", True, 7, Uid(messages + 1), ModSeq(messages + 1), messages, messages
    )


class Session:
    """Stands in for a context: what is written, and an account without a store."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.account = WatchedAccount(None, Grant(b""))  # type: ignore[arg-type]
        self.account.apply([AccountChanges(1, True, (inbox(0),))])
        self.shared = SimpleNamespace(watched=self)
        self.login = SimpleNamespace(account=1)
        self.grant = Grant(b"")
        self.client = self
        self.selected = None
        self.condstore = self.utf8_names = False

    async def acquire(self, account_id: int, grant: Grant, wake: object) -> WatchedAccount:
        return self.account

    def release(self, *_: object) -> None:
        self.written.append(b"released")

    def wake(self) -> None:
        return

    def write(self, data: bytes) -> None:
        self.written.append(data)

    async def drain(self) -> None:
        return

    def change(self, messages: int) -> None:
        self.account.apply([AccountChanges(messages + 1, False, (inbox(messages),))])


async def listening(session: Session) -> Notifications:
    groups = (EventGroup(NotifyFilter.PERSONAL, events=BOTH),)
    notifications = Notifications(session, NotifyArguments(groups))  # type: ignore[arg-type]
    await notifications.start()
    return notifications


@trio_test
async def test_a_log_that_does_not_reach_back() -> None:
    session = Session()
    notifications = await listening(session)
    for number in range(MAX_LOG_ENTRIES):
        session.change(number + 1)
    await notifications.write_news()
    assert session.written == [b"* STATUS INBOX (UIDNEXT %d MESSAGES %d)\r\n" % (MAX_LOG_ENTRIES + 1, MAX_LOG_ENTRIES)]
    session.written.clear()
    for number in range(MAX_LOG_ENTRIES + 1):
        session.change(10_000 + number)
    await notifications.write_news()
    assert session.written[0] == b"released"
    assert session.written[1].startswith(OVERFLOW)
    session.change(20_000)
    await notifications.write_news()
    assert len(session.written) == 2


@trio_test
async def test_an_account_that_can_be_watched_no_longer() -> None:
    session = Session()
    notifications = await listening(session)
    session.account.lost = GrantExpired()
    await notifications.write_news()
    assert session.written[-1].startswith(OVERFLOW)
