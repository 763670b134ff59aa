"""What goes is kept for a while as it was: message rows are copied, no octets are.

A content whose messages are buried is not referred to by them: it stays because of ``content.buried_at``, which is never before the
time of any message that was buried with it. So nothing is counted twice, and what is held for the history is what has no reference.
"""

from collections.abc import Sequence

from services.store.sql.prepared import IN_MAX
from services.store.sql.statements import directory, mailboxes, undo
from services.store.transaction import MailboxRow, Transaction


def bury(
    transaction: Transaction, mailbox_id: int, uids: Sequence[int], moved_to: tuple[int, int] | None = None
) -> None:
    """Before they are deleted. ``moved_to``: mailbox and UID of the first; ``uids`` ascend then, and so do those there."""
    if not transaction.keeps_history:
        return
    cursor, now = transaction.cursor, transaction.now
    if moved_to is None:
        undo.BURY.execute(cursor, uids, now, mailbox_id)
        return
    target, first = moved_to
    for start in range(0, len(uids), IN_MAX):
        undo.BURY_MOVED.execute(cursor, uids[start : start + IN_MAX], now, target, first + start - 1, mailbox_id)


def bury_mailbox(transaction: Transaction, row: MailboxRow, actor: str) -> None:
    """With all that is in it, before it is deleted."""
    cursor = transaction.cursor
    if transaction.keeps_history:
        keywords = " ".join(name for (name,) in mailboxes.KEYWORDS.all(cursor, row.id))
        address = directory.ACCOUNT_ADDRESS.scalar(cursor, row.account_id)
        undo.BURY_ALL.run(cursor, transaction.now, row.id)
        undo.BURY_MAILBOX.run(
            cursor, row.id, row.account_id, address, row.name, row.special_use, keywords, transaction.now
        )
    transaction.journal(actor, "mailbox deleted", row.id, (), row.name, owner=row.account_id)
