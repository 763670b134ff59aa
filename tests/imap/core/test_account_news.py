"""What is known of an account, and what is told of its changes: coalesced, by interest, never what a client did itself."""

import attrs
import pytest

from services.imap.account import MAX_LOG_ENTRIES, Account
from services.imap.interest import Interest, canonical_name
from services.imap.news import MAX_DENIED, Listener, Own, render_denied, render_news, render_states
from services.imap.protocol.notify_arguments import MESSAGE_EVENTS, EventGroup, NotifyEvent, NotifyFilter
from shared.contract.types import AccountChanges, MailboxCounters
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.rights import Rights

NAMES = frozenset({NotifyEvent.MAILBOX_NAME, NotifyEvent.SUBSCRIPTION_CHANGE})
ALL = NAMES | MESSAGE_EVENTS


def box(number: int, name: str, messages: int = 0, **more: object) -> MailboxCounters:
    row = MailboxCounters(
        MailboxId(number), name, "", False, 100 + number, Uid(messages + 1), ModSeq(messages + 1), messages, messages
    )
    return attrs.evolve(row, **more)


def whole(number: int, *rows: MailboxCounters, only: tuple[str, ...] = ()) -> list[AccountChanges]:
    return [AccountChanges(number, True, rows, only)]


def some(number: int, *rows: MailboxCounters) -> list[AccountChanges]:
    return [AccountChanges(number, False, rows)]


def listener(*groups: EventGroup, selected: int | None = None, condstore: bool = False) -> Listener:
    chosen = None if selected is None else MailboxId(selected)
    return Listener(Interest(groups), chosen, condstore, utf8=False)


PERSONAL = listener(EventGroup(NotifyFilter.PERSONAL, events=ALL))


def told(account: Account, since: int, whom: Listener = PERSONAL, own: Own | None = None) -> list[bytes]:
    entries = account.changes_since(since)
    assert entries is not None
    return render_news(account, entries, whom, own or Own()).splitlines()


@pytest.fixture
def account() -> Account:
    account = Account()
    assert not account.apply(whole(5, box(1, "INBOX"), box(2, "a", 3), box(3, "a/b"), only=("gone",)))
    return account


def test_the_first_answer_is_no_news(account: Account) -> None:
    assert account.generation == 0
    assert account.has_children("a")
    assert not account.has_children("a/b")
    assert told(account, 0) == []


def test_many_changes_are_told_as_one(account: Account) -> None:
    for messages in (1, 2, 3):
        assert account.apply(some(5 + messages, box(1, "INBOX", messages)))
    assert not account.apply(some(9, box(1, "INBOX", 3)))
    assert told(account, 0) == [b"* STATUS INBOX (UIDNEXT 4 MESSAGES 3 UNSEEN 3)"]
    assert told(account, 2) == [b"* STATUS INBOX (UIDNEXT 4 MESSAGES 3 UNSEEN 3)"]
    assert told(account, 3) == []
    assert told(account, 0, listener(EventGroup(NotifyFilter.PERSONAL, events=ALL), selected=1)) == []


def test_what_came_and_went_is_not_told(account: Account) -> None:
    rows = list(account.mailboxes.values())
    account.apply(whole(6, *rows, box(9, "new"), only=("gone",)))
    account.apply(whole(7, *rows, only=("gone",)))
    assert told(account, 0) == []
    assert told(account, 1) == [b'* LIST (\\NonExistent \\HasNoChildren) "/" new']


def test_a_mailbox_made_again_has_another_uidvalidity(account: Account) -> None:
    account.apply(whole(6, box(1, "INBOX"), box(3, "a/b"), box(8, "a", 1), only=("gone",)))
    assert told(account, 0) == [
        b'* LIST (\\HasChildren) "/" a',
        b"* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 108)",
    ]


def test_a_renamed_tree_is_told_by_its_root(account: Account) -> None:
    account.apply(whole(6, box(1, "INBOX"), box(2, "z", 3), box(3, "z/b"), box(4, "y"), only=("gone",)))
    assert told(account, 0) == [
        b'* LIST (\\HasChildren) "/" z ("OLDNAME" (a))',
        b'* LIST (\\HasNoChildren) "/" y',
        b"* STATUS y (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 104)",
    ]
    # a child that went elsewhere is told itself
    account.apply(whole(7, box(1, "INBOX"), box(2, "x", 3), box(3, "y/c"), box(4, "y"), only=("gone",)))
    assert told(account, 3)[:2] == [
        b'* LIST (\\HasNoChildren) "/" x ("OLDNAME" (z))',
        b'* LIST (\\HasNoChildren) "/" y/c ("OLDNAME" (z/b))',
    ]


def test_subscriptions_that_are_left_behind_are_no_change(account: Account) -> None:
    account.apply(whole(6, box(1, "INBOX"), box(2, "a", 3, subscribed=True), box(3, "a/b"), only=("gone",)))
    assert told(account, 0) == [b'* LIST (\\HasChildren \\Subscribed) "/" a']
    account.apply(whole(7, box(1, "INBOX"), box(3, "a/b"), only=("a", "gone")))
    subscriptions = listener(EventGroup(NotifyFilter.PERSONAL, events=frozenset({NotifyEvent.SUBSCRIPTION_CHANGE})))
    assert told(account, 1, subscriptions) == []
    account.apply(whole(8, box(1, "INBOX"), box(3, "a/b")))
    assert told(account, 3, subscriptions) == [
        b'* LIST (\\NonExistent \\HasChildren) "/" a',
        b'* LIST (\\NonExistent \\HasNoChildren) "/" gone',
    ]


def test_own_changes_are_left_out_and_others_are_not(account: Account) -> None:
    rows = list(account.mailboxes.values())
    account.apply(whole(6, *rows, box(8, "mine"), box(9, "theirs"), only=("gone",)))
    assert [line for line in told(account, 0, own=Own(frozenset({"mine"}))) if b"mine" in line] == []
    assert any(b"theirs" in line for line in told(account, 0, own=Own(frozenset({"mine"}))))
    account.apply(some(7, box(1, "INBOX", 2)))
    assert told(account, 2, own=Own(filed=("INBOX", 2, 3))) == []
    # one more came at the same time: told
    assert told(account, 2, own=Own(filed=("INBOX", 1, 2))) != []


def test_flags_need_condstore_or_a_change_of_unseen(account: Account) -> None:
    account.apply(some(6, box(2, "a", 3, highest_modseq=ModSeq(9))))
    condstore = listener(EventGroup(NotifyFilter.PERSONAL, events=ALL), condstore=True)
    assert told(account, 0) == []
    assert told(account, 0, condstore) == [b"* STATUS a (HIGHESTMODSEQ 9 UIDVALIDITY 102)"]
    account.apply(some(7, box(2, "a", 3, highest_modseq=ModSeq(10), unseen=2)))
    assert told(account, 1) == [b"* STATUS a (UIDVALIDITY 102 UNSEEN 2)"]
    assert told(account, 1, condstore) == [b"* STATUS a (HIGHESTMODSEQ 10 UIDVALIDITY 102 UNSEEN 2)"]
    messages = MESSAGE_EVENTS - {NotifyEvent.FLAG_CHANGE}
    assert told(account, 0, listener(EventGroup(NotifyFilter.PERSONAL, events=messages), condstore=True)) == []


def test_states_of_what_is_of_interest(account: Account) -> None:
    group = EventGroup(NotifyFilter.SUBTREE, ("a",), MESSAGE_EVENTS)
    assert render_states(account, listener(group, selected=3)) == [
        b"* STATUS a (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 102 HIGHESTMODSEQ 4)\r\n"
    ]
    assert render_states(account, listener(EventGroup(NotifyFilter.PERSONAL, events=NAMES))) == []


def test_the_log_is_bounded(account: Account) -> None:
    for number in range(MAX_LOG_ENTRIES + 5):
        account.apply(some(10 + number, box(1, "INBOX", number + 1)))
    assert account.changes_since(4) is None
    assert len(account.changes_since(5) or ()) == MAX_LOG_ENTRIES


def test_pages_are_one_answer() -> None:
    account = Account()
    account.apply([AccountChanges(5, True, (box(1, "a"),), next_name="a"), AccountChanges(6, True, (box(2, "b"),))])
    assert account.number == 5
    account.apply([AccountChanges(7, True, (box(1, "a"),), next_name="a"), AccountChanges(8, True, (box(3, "c"),))])
    assert {row.name for row in account.mailboxes.values()} == {"a", "c"}


@pytest.mark.parametrize(
    ("group", "yes", "no"),
    [
        (EventGroup(NotifyFilter.PERSONAL, events=NAMES), ["INBOX", "a/b", "sharedness"], ["shared/bob@example.test/INBOX"]),
        (EventGroup(NotifyFilter.INBOXES, events=NAMES), ["INBOX", "a"], ["shared/bob@example.test/INBOX"]),
        (EventGroup(NotifyFilter.MAILBOXES, ("a", "*"), NAMES), ["a", "*"], ["INBOX", "a/b", "b"]),
        (EventGroup(NotifyFilter.SUBTREE, ("a",), NAMES), ["a", "a/b", "a/b/c"], ["ab", "b/a", "INBOX"]),
        (EventGroup(NotifyFilter.SUBSCRIBED, events=NAMES), [], ["INBOX", "a"]),
    ],
)  # fmt: skip
def test_which_mailboxes_a_group_means(group: EventGroup, yes: list[str], no: list[str]) -> None:
    interest = Interest([group])
    assert all(interest.events_of(name, subscribed=False) == NAMES for name in yes)
    assert not any(interest.events_of(name, subscribed=False) for name in no)
    if group.filter is NotifyFilter.SUBSCRIBED:
        assert interest.events_of("INBOX", subscribed=True) == NAMES


TEAM = "shared/ann@example.test/Team"
SEEN_ONLY = {"rights": int(Rights.LOOKUP), "uidvalidity": 0, "uid_next": Uid(0), "highest_modseq": ModSeq(0)}
OTHERS = EventGroup(NotifyFilter.SUBTREE, ("shared/Ann@Example.test/Team",), MESSAGE_EVENTS)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a/Inbox", "a/Inbox"),
        ("inbox/a", "INBOX/a"),
        ("cafe\u0301", "caf\u00e9"),
        ("shared", "shared"),
        ("shared/Ann@Example.test", "shared/ann@example.test"),
        ("shared/Ann@Example.test/Team", TEAM),
        ("shared/ann@example.test/inbox", "shared/ann@example.test/INBOX"),
    ],
)
def test_names_as_the_store_tells_them(given: str, kept: str) -> None:
    assert canonical_name(given) == kept


def test_another_accounts_mailbox_comes_and_goes(account: Account) -> None:
    group = EventGroup(NotifyFilter.SUBTREE, ("shared",), MESSAGE_EVENTS)
    whom = listener(group)
    rows = list(account.mailboxes.values())
    account.apply(whole(6, *rows, box(9, TEAM, 1), only=("gone",)))
    # names are not asked for: only how it is
    assert told(account, 0, whom) == [b"* STATUS shared/ann@example.test/Team (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 109)"]
    since = account.generation
    account.apply(whole(7, *rows, only=("gone",)))
    lost = b'* LIST (\\NonExistent \\NoAccess \\HasNoChildren) "/" shared/ann@example.test/Team'
    assert told(account, since, whom) == [lost]
    since = account.generation
    account.apply(whole(8, *rows, box(9, TEAM, 1), only=("gone",)))
    # it was told as not to be had: now it is told that it is
    assert told(account, since, whom)[0] == b'* LIST (\\HasNoChildren) "/" shared/ann@example.test/Team'
    assert whom.denied == set()
    # who asked for nothing there hears nothing
    assert told(account, 0) == []


def test_a_mailbox_that_may_be_seen_and_not_read(account: Account) -> None:
    whom = listener(EventGroup(NotifyFilter.MAILBOXES, (TEAM,), MESSAGE_EVENTS), condstore=True)
    rows = list(account.mailboxes.values())
    denied = b'* LIST (\\NoAccess \\HasNoChildren) "/" shared/ann@example.test/Team'
    account.apply(whole(6, *rows, box(9, TEAM, **SEEN_ONLY), only=("gone",)))
    assert b"".join(render_denied(account, whom)).splitlines() == [denied]
    assert render_states(account, whom) == []
    assert render_denied(account, PERSONAL) == []
    since = account.generation
    account.apply(some(7, box(9, TEAM, 4)))
    assert told(account, since, whom) == [
        b'* LIST (\\HasNoChildren) "/" shared/ann@example.test/Team',
        b"* STATUS shared/ann@example.test/Team (MESSAGES 4 UIDNEXT 5 UIDVALIDITY 109 HIGHESTMODSEQ 5)",
    ]
    since = account.generation
    account.apply(some(8, box(9, TEAM, **SEEN_ONLY)))
    assert told(account, since, whom) == [denied]
    assert told(account, since, listener(OTHERS)) == [denied]


def test_a_subscribed_mailbox_of_another_account(account: Account) -> None:
    rows = list(account.mailboxes.values())
    account.apply(whole(6, *rows, only=("gone", TEAM)))
    since = account.generation
    # the store tells it as a subscription without a mailbox of one's own too
    account.apply(whole(7, *rows, box(9, TEAM, subscribed=True), only=("gone", TEAM)))
    everything = listener(EventGroup(NotifyFilter.SUBSCRIBED, events=ALL))
    assert told(account, since, everything) == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" shared/ann@example.test/Team',
        b"* STATUS shared/ann@example.test/Team (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 109)",
    ]
    assert account.subscribed_only == {"gone"}
    since = account.generation
    account.apply(whole(8, *rows, only=("gone", TEAM)))
    assert told(account, since, everything) == [
        b'* LIST (\\NonExistent \\NoAccess \\HasNoChildren \\Subscribed) "/" shared/ann@example.test/Team'
    ]


def test_what_is_remembered_as_not_to_be_had_is_bounded(account: Account) -> None:
    whom = listener(EventGroup(NotifyFilter.SUBTREE, ("shared",), MESSAGE_EVENTS))
    account.apply(whole(6, *(box(10 + number, f"{TEAM}/{number}", **SEEN_ONLY) for number in range(MAX_DENIED + 5))))
    assert len(render_denied(account, whom)) == MAX_DENIED + 5
    assert len(whom.denied) == MAX_DENIED
