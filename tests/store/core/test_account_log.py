"""What changed in an account since when: the difference, or everything where that is not known."""

from services.store.account_log import MAX_ANNOTATIONS, MAX_MAILBOXES, AccountLog, AccountLogs
from services.store.news import Changes
from services.store.notify import Notifier


class FakePeer:
    """Stands in for a connection."""

    number = 1
    backlog_octets = 0

    def __init__(self) -> None:
        self.told: list[object] = []
        self.closing: list[object] = []

    def notify(self, method: str, params: object) -> None:
        self.told.append(params)

    def on_close(self, callback: object) -> None:
        self.closing.append(callback)


def test_the_difference_since_a_commit() -> None:
    log = AccountLog(10)
    log.mailbox_changed(1, 11)
    log.mailbox_changed(2, 12)
    log.mailbox_changed(1, 13)
    assert log.changed_since(10) == [1, 2]
    assert log.changed_since(12) == [1]
    assert log.changed_since(13) == []
    assert log.changed_since(9) is None
    log.names_changed(14)
    assert log.changed_since(13) is None
    assert log.changed_since(14) == []


def test_it_is_bounded() -> None:
    log = AccountLog(0)
    for mailbox_id in range(MAX_MAILBOXES):
        log.mailbox_changed(mailbox_id, mailbox_id + 1)
    log.mailbox_changed(5, MAX_MAILBOXES + 1)
    assert log.changed_since(MAX_MAILBOXES) == [5]
    log.mailbox_changed(MAX_MAILBOXES, MAX_MAILBOXES + 2)
    assert log.changed_since(MAX_MAILBOXES + 1) is None
    assert log.changed_since(MAX_MAILBOXES + 2) == []


def test_only_of_accounts_that_are_watched() -> None:
    logs = AccountLogs()
    logs.record(Changes(owners={1: 7}, names={7}), 5)
    assert logs.changed_since(7, 5) is None
    logs.begin(7, 5)
    logs.begin(7, 6)
    logs.record(Changes(owners={1: 7, 2: 8}), 6)
    assert logs.changed_since(7, 5) == [1]
    assert logs.changed_since(8, 5) is None
    logs.end(7)
    assert logs.changed_since(7, 5) is None


def test_the_notifier_keeps_one_for_each_watched_account() -> None:
    notifier, peer = Notifier(), FakePeer()
    notifier.watch(peer, 1, ("account", 7))  # type: ignore[arg-type]
    notifier.watch(peer, 2, ("account", 7))  # type: ignore[arg-type]
    before = notifier.commits
    notifier.committed(Changes({1: 3}, {7}, owners={1: 7}))
    assert peer.told == [[1, before + 1], [2, before + 1]]
    assert notifier.logs.changed_since(7, before) == [1]
    notifier.unwatch(peer, 1)  # type: ignore[arg-type]
    assert notifier.logs.changed_since(7, before) == [1]
    notifier.unwatch(peer, 2)  # type: ignore[arg-type]
    assert notifier.logs.changed_since(7, before) is None


def test_annotations_are_told_to_those_who_see_them() -> None:
    logs = AccountLogs()
    logs.begin(7, 5)
    logs.begin(8, 5)
    logs.record(Changes(annotations=[(7, 1, ("/private/a",)), (0, 0, ("/shared/b",))]), 6)
    assert logs.annotations_since(7, 5) == [(1, ("/private/a",)), (0, ("/shared/b",))]
    assert logs.annotations_since(8, 5) == [(0, ("/shared/b",))]
    assert logs.annotations_since(7, 6) == []
    assert logs.annotations_since(9, 0) == []
    for number in range(MAX_ANNOTATIONS):
        logs.record(Changes(annotations=[(7, number, ("/private/a",))]), 7)
    assert len(logs.annotations_since(7, 0)) == MAX_ANNOTATIONS


def test_guests_hear_of_what_is_shared_with_them() -> None:
    logs = AccountLogs()
    for account_id in (7, 8, 9):
        logs.begin(account_id, 5)
    logs.record(Changes(owners={1: 7, 2: 7}, guests={1: {8}}), 6)
    assert [logs.changed_since(account_id, 5) for account_id in (7, 8, 9)] == [[2, 1], [1], []]
    # 0: everybody
    logs.record(Changes(owners={2: 7}, guests={2: {0}}), 7)
    assert [logs.changed_since(account_id, 6) for account_id in (7, 8, 9)] == [[2], [2], [2]]
    logs.record(Changes(names={0}), 8)
    assert [logs.changed_since(account_id, 7) for account_id in (7, 8, 9)] == [None, None, None]


def test_everybody_who_watches_is_told() -> None:
    notifier, peer = Notifier(), FakePeer()
    notifier.watch(peer, 1, ("account", 7))  # type: ignore[arg-type]
    notifier.watch(peer, 2, ("account", 8))  # type: ignore[arg-type]
    notifier.committed(Changes(accounts={0, 7}, names={0}))
    assert sorted(peer.told) == [[1, notifier.commits], [2, notifier.commits]]
