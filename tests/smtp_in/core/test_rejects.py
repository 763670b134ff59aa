"""Which refusals are those after which a message is kept."""

import pytest

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.rejects import is_kept
from services.smtp_in.transaction import Account, Client, Transaction
from shared.contract.types import LocalRecipient
from shared.model.ids import AccountId, Grant


def transaction() -> Transaction:
    one = AccountId(1)
    return Transaction("t", Client("192.0.2.1", submission=False), Mail(None), local={one: LocalRecipient(one, "a@b.test")})


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (replies.DISOWNED, True), (replies.SEVERAL_AUTHORS, True), (replies.AUTHENTICITY_UNKNOWN, False), (replies.LOOP, False),
        (replies.HEADER_TOO_BIG, False), (replies.MESSAGE_TOO_BIG, False), (replies.BARE_NEWLINE, False), (replies.MAILBOX_FULL, False),
        (replies.MAILBOX_FULL_FOR_GOOD, False), (replies.LOCAL_ERROR, False),
    ],
)  # fmt: skip
def test_what_checks_refuse_for_good(reply: Reply, kept: bool) -> None:
    assert is_kept(transaction(), reply) is kept


def test_never_of_accounts_for_groups_or_for_nobody_here() -> None:
    submitted, to_group, elsewhere = transaction(), transaction(), transaction()
    submitted.client.account = Account(AccountId(2), "c@b.test", Grant(b"g"))
    to_group.groups.append("team@b.test")
    elsewhere.local.clear()
    for each in (submitted, to_group, elsewhere):
        assert not is_kept(each, replies.DISOWNED)
