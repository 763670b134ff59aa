"""The allowance at RCPT: asked once per transaction, and about recipients only when more have come than may be new."""

from collections.abc import Iterable

import pytest

from services.smtp_in.policy import daily
from services.smtp_in.policy.daily import DailyAllowance
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account, Client, Transaction
from shared.contract.sending_types import SendingAllowance, SendingLimit, SendingState
from shared.contract.types import RemoteRecipient
from shared.model.ids import AccountId, Grant
from shared.testing.runner import trio_test

GRANT = Grant(b"grant")


class Sending:
    """A store's answers, and what it was asked."""

    def __init__(self, messages: int | None, new: int | None, known: Iterable[str] = ()) -> None:
        self._allowance, self._known = SendingAllowance(messages, new), set(known)
        self.asked: list[object] = []

    async def allowance(self, grant: Grant) -> SendingAllowance:
        self.asked.append("allowance")
        return self._allowance

    async def known(self, grant: Grant, addresses: tuple[str, ...]) -> tuple[str, ...]:
        self.asked.append(addresses)
        return tuple(address for address in addresses if address in self._known)

    async def refused(self, grant: Grant, limit: SendingLimit) -> None:
        self.asked.append(limit)

    async def show(self, address: str) -> SendingState:
        raise NotImplementedError  # of the interface, never called by what is tested here

    async def set(self, address: str, messages: int | None, new_recipients: int | None) -> SendingState:
        raise NotImplementedError  # of the interface, never called by what is tested here


def submission(account: bool = True) -> Transaction:
    client = Client("192.0.2.1", submission=account)
    if account:
        client.account = Account(AccountId(1), "a@b.test", GRANT)
    return Transaction("t", client, Mail(Mailbox("a", "b.test")))


async def say(policy: DailyAllowance, transaction: Transaction, *names: str) -> list[Reply | None]:
    """The objections to recipients one after the other; those that are taken are."""
    said = []
    for name in names:
        recipient = Mailbox(name, "x.test")
        objection = await policy.objection(transaction, (RemoteRecipient(recipient.address),))
        if objection is None:
            transaction.accept_remote(recipient)
        said.append(objection)
    return said


@trio_test
async def test_nobody_is_asked_about_recipients_that_may_all_be_new() -> None:
    sending = Sending(10, 3)
    assert await say(DailyAllowance(sending), submission(), "a", "b", "b", "c") == [None] * 4
    assert sending.asked == ["allowance"]
    # who did not log in sends in somebody else's name, through an alias
    assert await say(DailyAllowance(sending), submission(account=False), "a") == [None]
    assert sending.asked == ["allowance"]


@trio_test
async def test_beyond_that_the_store_is_asked_once_about_all() -> None:
    new = replies.NEW_RECIPIENTS_REACHED
    sending = Sending(10, 3, ["b@x.test", "f@x.test"])
    transaction = submission()
    assert await say(DailyAllowance(sending), transaction, *"abcdefgc") == [None, None, None, None, new, None, new, None]
    assert sending.asked == [
        "allowance",
        ("a@x.test", "b@x.test", "c@x.test", "d@x.test"),
        ("e@x.test",),
        SendingLimit.NEW_RECIPIENTS,
        ("f@x.test",),
        ("g@x.test",),
    ]


@trio_test
async def test_messages_are_counted_without_asking() -> None:
    sending = Sending(2, None)
    policy, transaction, reached = DailyAllowance(sending), submission(), replies.MESSAGES_REACHED
    assert await say(policy, transaction, *"abcab") == [None, None, reached, None, None]
    two = (RemoteRecipient("p@x.test", "team@b.test"), RemoteRecipient("q@x.test", "team@b.test"))
    assert await policy.objection(transaction, two) is reached
    assert await policy.objection(transaction, (RemoteRecipient("a@X.TEST", "team@b.test"),)) is None
    assert sending.asked == ["allowance", SendingLimit.MESSAGES]
    assert await say(DailyAllowance(Sending(0, None)), submission(), "a") == [reached]
    assert await say(DailyAllowance(Sending(None, None)), submission(), *map(str, range(50))) == [None] * 50


@trio_test
async def test_where_an_alias_leads_to_is_not_new() -> None:
    sending = Sending(None, 0)
    remotes = (RemoteRecipient("p@x.test", "team@b.test"), RemoteRecipient("q@x.test", "team@b.test"))
    assert await DailyAllowance(sending).objection(submission(), remotes) is None
    assert sending.asked == ["allowance"]


@trio_test
async def test_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "KNOWN_AT_ONCE", 2)
    sending = Sending(None, 4)
    said = await say(DailyAllowance(sending), submission(), *"abcde")
    assert said == [None] * 4 + [replies.NEW_RECIPIENTS_REACHED]
    assert sending.asked[1:4] == [("a@x.test", "b@x.test"), ("c@x.test", "d@x.test"), ("e@x.test",)]
