"""Where refused messages are kept."""

from typing import Final

from services.store.domain.rejects import KEYWORD, REJECTS
from services.store.readers import Snapshot
from services.store.sql.statements import rejects
from shared.model.flags import FIRST_KEYWORD_BIT

PAGE: Final = 200


def with_old(snapshot: Snapshot, after: int, before: int) -> tuple[list[int], int]:
    """Of PAGE mailboxes those that hold some from before then (seconds since 1970), and the last one that was looked at; 0: no more."""
    rows = rejects.SLOTS.all(snapshot.cursor, REJECTS, KEYWORD.lower(), after, PAGE)
    found = [
        mailbox_id
        for mailbox_id, slot in rows
        if rejects.OLD.one(snapshot.cursor, mailbox_id, 1 << (FIRST_KEYWORD_BIT + slot), before, 1)
    ]
    return found, rows[-1][0] if len(rows) == PAGE else 0
