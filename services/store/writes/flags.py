"""STORE: change flags of many messages, each checked against ``unchanged_since`` (RFC 7162 §3.1.3).

Messages that are already so keep their modseq: nobody needs to hear of them again. All messages that one call changes get
the same new modseq.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Final

from services.store.domain.flags import FlagChange, flag_change, permitted_mask
from services.store.domain.runs import Runs, encode_uids, runs_of
from services.store.sql.prepared import Cursor
from services.store.sql.statements import mailboxes, messages
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.filing import flag_bits
from shared.contract.types import FlagOperation, StoreFlagsResult
from shared.errors import NoPermission
from shared.model.ids import ModSeq
from shared.model.packed import pack_u32, pack_u64
from shared.model.rights import FLAG_RIGHTS, Rights, permitted_names

MODSEQ_MAX: Final = 2**63 - 1


def store_flags(
    transaction: Transaction,
    account_id: int,
    mailbox_id: int,
    uids: Sequence[int],
    operation: FlagOperation,
    names: tuple[str, ...],
    unchanged_since: int | None,
) -> StoreFlagsResult:
    """Raises NoSuchMailbox, NoPermission, LimitExceeded, BadRequest."""
    row = transaction.mailbox_of(account_id, mailbox_id, Rights.READ)
    rights = transaction.rights(account_id, row)
    permitted = permitted_names(names, rights)
    # RFC 4314 §4: refused only where not one of the flags may be changed; replacing concerns all flags
    if not (rights & FLAG_RIGHTS if operation is FlagOperation.REPLACE else permitted or not names):
        raise NoPermission
    kept = ~permitted_mask(rights)
    bits = flag_bits(transaction, row, permitted, create=operation is not FlagOperation.REMOVE)
    change = flag_change(operation, bits, kept)
    transaction.flush()
    cursor = transaction.cursor
    runs = runs_of(uids)
    there, old, modseqs = _state(cursor, mailbox_id, runs, None if unchanged_since is not None else change)
    failed: list[int] = []
    if unchanged_since is not None:
        failed = [uid for uid, modseq in zip(there, modseqs, strict=True) if modseq > unchanged_since]
        passed = [each for each in zip(there, old, modseqs, strict=True) if each[2] <= unchanged_since]
        there, old, modseqs = [each[0] for each in passed], [each[1] for each in passed], [each[2] for each in passed]
    # messages have few different sets of flags
    becomes = {flags: change.of(flags) for flags in set(old)}
    new = [becomes[flags] for flags in old]
    new_modseq = 0
    if new != old:
        new_modseq = transaction.next_modseq(row)
        for flags, count in Counter(old).items():
            row.recount(flags, becomes[flags], count)
        limit = MODSEQ_MAX if unchanged_since is None else unchanged_since
        values = (change.keep, change.add, new_modseq, mailbox_id, limit)
        for low, high in runs.ranges:
            messages.CHANGE_FLAGS_BETWEEN.run(cursor, *values, low, high)
        messages.CHANGE_FLAGS_OF.execute(cursor, runs.singles, *values)
        if all(before != after for before, after in becomes.items()):
            changed, modseqs = there, [new_modseq] * len(there)
        else:
            changed = [uid for uid, before, after in zip(there, old, new, strict=True) if before != after]
            modseqs = [
                new_modseq if before != after else modseq
                for before, after, modseq in zip(old, new, modseqs, strict=True)
            ]
        transaction.changed(row, changed)
        before = by_flags(there, old, becomes)
        transaction.journal("imap", "flags", row.id, changed, str(operation), bits, before, owner=row.account_id)
    return StoreFlagsResult(
        modseq=ModSeq(new_modseq),
        uids=pack_u32(there),
        flags=pack_u64(new),
        modseqs=pack_u64(modseqs),
        failed=pack_u32(failed),
        keywords=tuple(name for (name,) in mailboxes.KEYWORDS.all(cursor, mailbox_id)),
    )


def by_flags(uids: Sequence[int], old: Sequence[int], becomes: Mapping[int, int]) -> list[tuple[int, bytes]]:
    """For the journal: the flags that messages had, and which. Those that stay as they are are left out."""
    grouped: dict[int, list[int]] = {flags: [] for flags, new in becomes.items() if flags != new}
    if len(becomes) == 1:
        return [(flags, encode_uids(uids)) for flags in grouped]
    for uid, flags in zip(uids, old, strict=True):
        if flags in grouped:
            grouped[flags].append(uid)
    return [(flags, encode_uids(group)) for flags, group in grouped.items()]


def set_flags(transaction: Transaction, row: MailboxRow, wanted: Mapping[int, int]) -> int:
    """Give messages these flags, by UID (its slots are in use already); how many changed. Those that are gone are passed over."""
    transaction.flush()
    cursor = transaction.cursor
    found = sorted(set(messages.FLAGS_OF.all(cursor, list(wanted), row.id)))
    changing = [(uid, old, wanted[uid]) for uid, old, _ in found if old != wanted[uid]]
    if not changing:
        return 0
    modseq = transaction.next_modseq(row)
    to: dict[int, list[int]] = {}
    before: dict[int, list[int]] = {}
    for uid, old, new in changing:
        to.setdefault(new, []).append(uid)
        before.setdefault(old, []).append(uid)
        row.recount(old, new, 1)
    for new, uids in to.items():
        messages.CHANGE_FLAGS_OF.execute(cursor, uids, 0, new, modseq, row.id, MODSEQ_MAX)
    changed = [uid for uid, _, _ in changing]
    transaction.changed(row, changed)
    groups = [(old, encode_uids(uids)) for old, uids in before.items()]
    transaction.journal("undo", "flags", row.id, changed, "replace", 0, groups, owner=row.account_id)
    return len(changing)


def _state(
    cursor: Cursor, mailbox_id: int, runs: Runs, change: FlagChange | None
) -> tuple[list[int], list[int], list[int]]:
    """UIDs (ascending), flags and modseqs of messages that are there.

    With a ``change`` the modseqs of those that it will change may be 0: they are about to be replaced.
    """
    columns: tuple[list[int], list[int], list[int]] = ([], [], [])
    for low, high in runs.ranges:
        if change is not None:
            count, least, most = messages.ALIKE_BETWEEN.one(cursor, mailbox_id, low, high) or (0, None, None)
            if count == high - low + 1 and least == most != change.of(least):
                for column, more in zip(columns, (range(low, high + 1), repeat(least, count), repeat(0, count)), strict=True):
                    column += more
                continue
        found = messages.FLAGS_BETWEEN.one(cursor, mailbox_id, low, high) or ()
        for column, values in zip(columns, found, strict=True):
            column += json.loads(values)
    rows = messages.FLAGS_OF.all(cursor, runs.singles, mailbox_id)
    if runs.ranges and not rows:
        return columns
    rows = sorted({*rows, *zip(*columns, strict=True)})
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
