"""The chain of checks: order, first objection, only what is overridden is asked; errors of the store become replies."""

from services.smtp_in.failures import reply_for
from services.smtp_in.policy.chain import Chain, Policy, Received
from services.smtp_in.policy.content import HeaderLimits
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.data import HeaderFacts
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Client, Transaction
from shared import errors
from shared.contract.types import Resolution, ResolutionKind
from shared.model.ids import AccountId
from shared.testing.runner import trio_test

CLIENT = Client("192.0.2.1", submission=False)


def transaction() -> Transaction:
    return Transaction("t", CLIENT, Mail(Mailbox("a", "b.test")))


class Recorder(Policy):
    """Says what it was made with, and that it was asked."""

    def __init__(self, name: str, asked: list[str], says: Reply | None) -> None:
        self.name, self.asked, self.says = name, asked, says

    async def on_connect(self, client: Client) -> Reply | None:
        self.asked.append(f"{self.name} connect {client.ip}")
        return self.says

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        self.asked.append(f"{self.name} mail {transaction.sender}")
        return self.says

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        self.asked.append(f"{self.name} rcpt {recipient.address}")
        return self.says


@trio_test
async def test_the_first_objection_stands() -> None:
    asked: list[str] = []
    chain = Chain((Recorder("one", asked, None), Recorder("two", asked, replies.LOOP), Recorder("three", asked, None)))
    assert await chain.on_connect(CLIENT) is replies.LOOP
    assert await chain.on_mail(transaction()) is replies.LOOP
    assert await chain.on_rcpt(transaction(), Mailbox("c", "d.test")) is replies.LOOP
    # None of them looks at contents.
    assert await chain.on_content(Received(transaction(), HeaderFacts(0, True, 0), b"")) is None
    assert asked == [
        *["one connect 192.0.2.1", "two connect 192.0.2.1"],
        *["one mail a@b.test", "two mail a@b.test", "one rcpt c@d.test", "two rcpt c@d.test"],
    ]


@trio_test
async def test_an_empty_chain_has_no_objection() -> None:
    assert await Chain(()).on_connect(CLIENT) is None
    assert await Policy().on_mail(transaction()) is None
    assert await Policy().on_content(Received(transaction(), HeaderFacts(0, True, 0), b"")) is None


@trio_test
async def test_header_limits() -> None:
    check = HeaderLimits(hops=50, header_octets=1000)
    for facts, reply in (
        (HeaderFacts(1000, True, 50), None),
        (HeaderFacts(1001, True, 0), replies.HEADER_TOO_BIG),
        (HeaderFacts(1000, True, 51), replies.LOOP),
    ):
        assert await check.on_content(Received(transaction(), facts, b"")) is reply


def test_recipients_are_kept_once() -> None:
    one = transaction()
    deliverable = ResolutionKind.DELIVERABLE
    first = Mailbox("first", "ours.test")
    one.accept(first, Resolution(deliverable, (AccountId(1),), ("x@Elsewhere.test",)))
    assert one.only_recipient == "first@ours.test"
    one.accept(Mailbox("alias", "ours.test"), Resolution(deliverable, (AccountId(1), AccountId(2)), ("x@elsewhere.TEST",)))
    one.accept_remote(Mailbox("x", "ELSEWHERE.test"))
    one.accept_remote(Mailbox("X", "elsewhere.test"))
    assert [local.address for local in one.local.values()] == ["first@ours.test", "alias@ours.test"]
    # Domains compare without case, local parts elsewhere do not.
    assert [remote.address for remote in one.remote.values()] == ["x@Elsewhere.test", "X@elsewhere.test"]
    assert one.accepted == 4
    assert one.only_recipient == ""


def test_every_error_of_the_store_has_a_reply() -> None:
    for error in errors.ERRORS.values():
        reply = reply_for(error("secret detail"))
        assert "secret" not in str(reply)
        assert not reply.is_positive
        if error.temporary:
            assert reply.is_temporary
    assert reply_for(errors.TooLarge()) is replies.MESSAGE_TOO_BIG
    assert reply_for(errors.Unavailable()) is replies.STORE_UNAVAILABLE
    assert reply_for(errors.GrantExpired()).code == 421
