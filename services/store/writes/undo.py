"""Steps of an undo: messages come back under new UIDs, with their dates, ids, UIDLs and the flags that they had.

Every step looks again at what it finds: what came back meanwhile, or was done by the step that a killed store did not answer, is passed
over. Quotas do not hold it up: what comes back was there before.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from services.store.domain.flags import translate
from services.store.domain.names import NameLimits
from services.store.domain.runs import encode_uids
from services.store.reads.fates import follow
from services.store.reads.undo import keywords_then
from services.store.sql.prepared import Row
from services.store.sql.statements import contents, directory, messages, undo
from services.store.transaction import MailboxRow, Transaction
from services.store.writes import mailboxes
from services.store.writes.flags import set_flags
from services.store.writes.restoring import mailbox_again
from services.store.writes.sharing import account_named
from services.store.writes.transfer import enter, leave, let_go, slot_table
from shared.contract.undo_types import PIECE, UndoCounts, UndoDone, UndoStep
from shared.errors import (
    BadRequest,
    CannotChangeMailbox,
    InvalidMailboxName,
    LimitExceeded,
    MailboxExists,
    NoSuchMailbox,
    NotFound,
)
from shared.model.flags import FIRST_KEYWORD_BIT
from shared.model.packed import pack_u32, unpack_u32, unpack_u64

ACTOR: Final = "undo"
_SYSTEM: Final = (1 << FIRST_KEYWORD_BIT) - 1


@attrs.frozen
class _Step:
    """A step, unpacked."""

    back: dict[int, int]
    changed: dict[int, int]
    gone: tuple[int, ...]

    @property
    def messages(self) -> int:
        return len(self.back) + len(self.changed) + len(self.gone)


def _unpacked(step: UndoStep) -> _Step:
    """Raises BadRequest."""
    try:
        unpacked = _Step(
            dict(zip(unpack_u32(step.back), unpack_u64(step.back_flags), strict=True)),
            dict(zip(unpack_u32(step.changed), unpack_u64(step.changed_flags), strict=True)),
            tuple(unpack_u32(step.gone)),
        )
    except ValueError:
        raise BadRequest("not packed") from None
    if unpacked.messages > PIECE:
        raise BadRequest(f"more than {PIECE} messages")
    return unpacked


def apply(transaction: Transaction, address: str, step: UndoStep, limits: NameLimits) -> UndoDone:
    """Raises NotFound, BadRequest, LimitExceeded, InvalidMailboxName."""
    unpacked = _unpacked(step)
    account_id = account_named(transaction, address)
    row, done = _home(transaction, account_id, step, limits)
    counts = done.counts
    if row is not None:
        counts += _bring_back(transaction, step.mailbox_id, row, unpacked.back)
        if row.id == step.mailbox_id:
            counts += UndoCounts(flags=set_flags(transaction, row, unpacked.changed))
            counts += UndoCounts(gone=_take_away(transaction, row, unpacked.gone))
    return UndoDone(counts, done.left_out)


def _home(
    transaction: Transaction, account_id: int, step: UndoStep, limits: NameLimits
) -> tuple[MailboxRow | None, UndoDone]:
    """Where the messages belong, made or renamed where it is wanted. Raises NotFound."""
    try:
        row = transaction.mailbox(step.mailbox_id)
    except NoSuchMailbox:
        return _made_again(transaction, account_id, step, limits)
    if row.account_id != account_id:
        raise NotFound("mailbox")
    if not step.renamed or row.name != step.renamed:
        return row, UndoDone(UndoCounts())
    try:
        mailboxes.rename(transaction, account_id, row.name, step.name, limits)
    except (MailboxExists, CannotChangeMailbox, InvalidMailboxName, LimitExceeded) as error:
        reason = error.detail or "there is another mailbox with that name"
        return row, UndoDone(UndoCounts(), f"{step.renamed} is not renamed to {step.name}: {reason}")
    return transaction.mailbox(step.mailbox_id), UndoDone(UndoCounts(renamed=1))


def _made_again(
    transaction: Transaction, account_id: int, step: UndoStep, limits: NameLimits
) -> tuple[MailboxRow | None, UndoDone]:
    """A mailbox of the name that a deleted one had: with another UIDVALIDITY (RFC 3501 §2.3.1.1), without its rights and annotations."""
    gone = undo.GONE_MAILBOX.one(transaction.cursor, step.mailbox_id)
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, account_id)
    if gone is None or (gone[0] != account_id and gone[4] != address):
        raise NotFound("mailbox")
    if not step.make and not step.back:
        return None, UndoDone(UndoCounts())
    there = transaction.mailbox_named(account_id, step.name)
    if there is not None:
        return there, UndoDone(UndoCounts())
    row = mailbox_again(transaction, account_id, step.name, gone[2], limits)
    return row, UndoDone(UndoCounts(made=1))


def _bring_back(transaction: Transaction, mailbox_id: int, home: MailboxRow, back: dict[int, int]) -> UndoCounts:
    """``back``: flags by UID, of then."""
    transaction.flush()
    cursor = transaction.cursor
    known = {row[0] for row in undo.BURIED_OF.all(cursor, list(back), mailbox_id)}
    fates = follow(cursor, [(mailbox_id, uid) for uid in sorted(back) if uid in known])
    here: dict[int, int] = {}
    elsewhere: dict[int, dict[int, int]] = {}
    dead: dict[int, dict[int, int]] = {}
    for (_, uid), fate in fates.items():
        if fate.live is not None and fate.live[0] == home.id:
            here[fate.live[1]] = back[uid]
        elif fate.live is not None and transaction.mailbox(fate.live[0]).account_id == home.account_id:
            elsewhere.setdefault(fate.live[0], {})[fate.live[1]] = back[uid]
        else:
            # what went to another account's mailbox stays there; another copy of it comes back
            dead.setdefault(fate.buried[0], {})[fate.buried[1]] = back[uid]
    names = keywords_then(cursor, mailbox_id)
    counts = UndoCounts(flags=_set_translated(transaction, names, home, here))
    for source_id, flags in elsewhere.items():
        counts += UndoCounts(moved=_move_back(transaction, names, transaction.mailbox(source_id), home, flags))
    for dead_in, flags in dead.items():
        counts += UndoCounts(back=_revive(transaction, names, home, dead_in, flags))
    return counts


def _set_translated(transaction: Transaction, names: list[str], home: MailboxRow, wanted: dict[int, int]) -> int:
    used = 0
    for flags in wanted.values():
        used |= flags
    slots = slot_table(transaction, lambda: names, home, used)
    if slots is not None:
        wanted = {uid: translate(flags, slots) for uid, flags in wanted.items()}
    return set_flags(transaction, home, wanted)


def _entered(transaction: Transaction, names: list[str], home: MailboxRow, rows: Sequence[Row]) -> list[int]:
    """Where there is no room for their keywords, with system flags alone. Raises LimitExceeded."""
    try:
        return enter(transaction, lambda: names, home, rows, keep_uidl=True)
    except LimitExceeded:
        system = [(*row[:2], row[2] & _SYSTEM, *row[3:]) for row in rows]
        return enter(transaction, lambda: names, home, system, keep_uidl=True)


def _move_back(
    transaction: Transaction, names: list[str], source: MailboxRow, home: MailboxRow, flags: dict[int, int]
) -> int:
    transaction.flush()
    found = sorted(set(messages.WHOLE_OF.all(transaction.cursor, list(flags), source.id)))
    if not found:
        return 0
    uids = _entered(transaction, names, home, [(*row[:2], flags[row[0]], *row[3:]) for row in found])
    leave(transaction, source, [row[:4] for row in found], (home.id, uids[0]))
    sources = encode_uids(row[0] for row in found)
    transaction.journal(ACTOR, "moved", home.id, uids, source.id, sources, owner=home.account_id)
    return len(found)


def _revive(
    transaction: Transaction, names: list[str], home: MailboxRow, buried_in: int, flags: dict[int, int]
) -> int:
    """Have buried messages live again; ``flags`` by the UID under which they are buried."""
    transaction.flush()
    cursor = transaction.cursor
    rows = sorted(set(undo.BURIED_OF.all(cursor, list(flags), buried_in)))
    there = {row[0] for row in contents.PLACES.all(cursor, [row[4] for row in rows])}
    rows = [row for row in rows if row[4] in there]
    if not rows:
        return 0
    found = [(uid, content, flags[uid], *kept[:3], 0, *kept[3:6]) for uid, _, _, _, content, *kept in rows]
    uids = _entered(transaction, names, home, found)
    transaction.add_references(dict(Counter(row[1] for row in found)))
    old = [row[0] for row in found]
    undo.CONTINUES.run_many(
        cursor, [(home.id, new_uid, buried_in, old_uid) for old_uid, new_uid in zip(old, uids, strict=True)]
    )
    transaction.journal(
        ACTOR, "brought back", home.id, uids, [(buried_in, pack_u32(old))], owner=home.account_id
    )
    return len(found)


def _take_away(transaction: Transaction, row: MailboxRow, uids: Sequence[int]) -> int:
    """What an undo has brought back, and another one does not want."""
    transaction.flush()
    gone = sorted(set(messages.EXPUNGE_OF.all(transaction.cursor, uids, row.id)))
    return len(let_go(transaction, ACTOR, row, gone)) if gone else 0
