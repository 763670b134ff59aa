"""Whose message a damaged content is: account, mailbox, UID, subject and date, as far as the database still knows."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from services.store.sql import plain_verify as sql
from shared.contract.verify_types import Damage, DamageKind
from shared.mail.summary import unpack_summary

IN_MAX: Final = 500
"""Contents of one statement; each statement looks through all messages once."""
OWNERS_MAX: Final = 1000
"""Copies that are named of one such group."""


def name_owners(connection: sqlite3.Connection, reasons: Mapping[int, str]) -> list[Damage]:
    """One damage per copy of each content (what is wrong by content id); one without an owner where nobody refers to it."""
    damages: list[Damage] = []
    ids = sorted(reasons)
    for start in range(0, len(ids), IN_MAX):
        piece = ids[start : start + IN_MAX]
        owned = set()
        for content, address, mailbox, uid, date, summary in connection.execute(sql.owners(len(piece)), piece):
            owned.add(content)
            if len(damages) < OWNERS_MAX + start:
                subject = subject_of(summary)
                damages.append(
                    Damage(DamageKind.MESSAGE, reasons[content], address, mailbox, int(uid), subject, int(date))
                )
        for content, sender, queued_at, summary in connection.execute(sql.queued(len(piece)), piece):
            owned.add(content)
            what = f"in the queue, from {sender or '<>'}: {reasons[content]}"
            damages.append(Damage(DamageKind.MESSAGE, what, subject=subject_of(summary), date=int(queued_at)))
        damages += [
            Damage(DamageKind.PACK, f"content {content}, which nobody refers to: {reasons[content]}")
            for content in piece
            if content not in owned
        ]
    return damages


def subject_of(summary: Any) -> str:
    """Empty where it is not known."""
    try:
        return unpack_summary(summary).subject
    except (ValueError, TypeError):
        return ""
