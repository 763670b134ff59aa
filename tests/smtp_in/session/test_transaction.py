"""Who is told at once, and what the targets of an address inherit (RFC 3461 §5.2.7)."""

import pytest

from services.smtp_in.protocol.commands import Mail, Rcpt
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.transaction import Client, Transaction
from shared.contract.types import Resolution, ResolutionKind
from shared.mail.dsn import DsnAction
from shared.model.ids import AccountId
from shared.model.notify import Notify

S, F, N = Notify.SUCCESS, Notify.FAILURE, Notify.NEVER
ADDRESS = Mailbox("list", "example.test")


def accepted(notify: int, accounts: tuple[int, ...], remotes: tuple[str, ...]) -> Transaction:
    transaction = Transaction("t", Client("192.0.2.1", submission=False), Mail(Mailbox("s", "x.test")))
    transaction.rcpt = Rcpt(ADDRESS, notify, "rfc822;o@x.test")
    found = Resolution(ResolutionKind.DELIVERABLE, tuple(AccountId(one) for one in accounts), remotes)
    transaction.accept(ADDRESS, found)
    return transaction


@pytest.mark.parametrize(
    ("notify", "accounts", "remotes", "told", "inherited"),
    [
        (S, (1,), (), [DsnAction.DELIVERED], []),
        (F, (1,), (), [], []),
        (0, (1,), (), [], []),
        (S | F, (), ("a@b.test",), [], [S | F]),
        (S | F, (1,), ("a@b.test",), [DsnAction.EXPANDED], [F]),
        (S, (1, 2), (), [DsnAction.EXPANDED], []),
        (S, (), ("a@b.test", "c@b.test"), [DsnAction.EXPANDED], [N, N]),
        (N, (), ("a@b.test", "c@b.test"), [], [N, N]),
    ],
)
def test_aliases(
    notify: int, accounts: tuple[int, ...], remotes: tuple[str, ...], told: list[DsnAction], inherited: list[int]
) -> None:
    transaction = accepted(notify, accounts, remotes)
    assert [one.action for one in transaction.receipts.values()] == told
    assert [one.notify for one in transaction.remote.values()] == inherited
    assert {one.orcpt for one in transaction.remote.values()} <= {"rfc822;o@x.test"}


def test_a_target_reached_twice_satisfies_both_requests() -> None:
    transaction = accepted(N, (), ("a@b.test",))
    transaction.rcpt = Rcpt(Mailbox("a", "b.test"), F)
    transaction.accept_remote(Mailbox("a", "b.test"))
    assert [one.notify for one in transaction.remote.values()] == [F]
