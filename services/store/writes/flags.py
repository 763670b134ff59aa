"""STORE: change flags of many messages, each checked against ``unchanged_since`` (RFC 7162 §3.1.3).

Messages that are already so keep their modseq: nobody needs to hear of them again. All messages that one call changes get
the same new modseq.
"""

from collections.abc import Sequence

from services.store.domain.flags import apply_operation, permitted_mask
from services.store.sql.statements import mailboxes, messages
from services.store.transaction import Transaction
from services.store.writes.filing import flag_bits
from shared.contract.types import FlagOperation, StoreFlagsResult
from shared.errors import NoPermission
from shared.model.ids import ModSeq
from shared.model.packed import pack_u32, pack_u64
from shared.model.rights import FLAG_RIGHTS, Rights, permitted_names


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
    transaction.flush()
    cursor = transaction.cursor
    found = sorted(set(messages.FLAGS_OF.all(cursor, uids, mailbox_id)))
    passed: list[tuple[int, int, int]] = []
    failed: list[int] = []
    updates: list[tuple[int, int, int, int]] = []
    new_modseq = row.highest_modseq + 1
    for uid, old, modseq in found:
        if unchanged_since is not None and modseq > unchanged_since:
            failed.append(uid)
            continue
        new = apply_operation(old, operation, bits)
        if kept and operation is FlagOperation.REPLACE:
            new |= old & kept
        if new == old:
            passed.append((uid, old, modseq))
            continue
        passed.append((uid, new, new_modseq))
        updates.append((new, new_modseq, mailbox_id, uid))
        row.count(old, 0, -1)
        row.count(new, 0, 1)
    if updates:
        transaction.next_modseq(row)
        messages.UPDATE_FLAGS.run_many(cursor, updates)
        transaction.journal("imap", "flags", row.id, [update[3] for update in updates], str(operation), bits)
    keywords = tuple(name for (name,) in mailboxes.KEYWORDS.all(cursor, mailbox_id))
    return StoreFlagsResult(
        modseq=ModSeq(new_modseq if updates else 0),
        uids=pack_u32([uid for uid, _, _ in passed]),
        flags=pack_u64([flags for _, flags, _ in passed]),
        modseqs=pack_u64([modseq for _, _, modseq in passed]),
        failed=pack_u32(failed),
        keywords=keywords,
    )
