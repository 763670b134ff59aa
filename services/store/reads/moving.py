"""By which the messages of a mailbox are known again."""

from typing import Final

from services.store.readers import Snapshot
from services.store.reads.mailboxes import readable_row
from services.store.sql.statements import messages
from shared.contract.moving_types import DIGEST_OCTETS, Identities
from shared.contract.types import MAX_REPLY_OCTETS
from shared.errors import BadRequest, NoSuchMailbox
from shared.model.ids import UID_MAX
from shared.model.packed import pack_u32

_MAX_VANISHED: Final = 100_000
_ROW_OCTETS: Final = 4 + DIGEST_OCTETS + 76
"""With the longest UIDL."""


def identities(snapshot: Snapshot, account_id: int, mailbox_id: int, after_uid: int) -> Identities:
    """A page. Raises NoSuchMailbox, BadRequest."""
    if after_uid < 0:
        raise BadRequest("identities")
    row = readable_row(snapshot.cursor, account_id, mailbox_id)
    if row.account_id != account_id:
        raise NoSuchMailbox
    vanished = []
    if not after_uid:
        vanished = [uid for (uid,) in messages.VANISHED_BETWEEN.all(snapshot.cursor, row.id, 0, 1, UID_MAX, _MAX_VANISHED)]
    limit = (MAX_REPLY_OCTETS - 4 * len(vanished)) // _ROW_OCTETS
    found = messages.IDENTITIES.all(snapshot.cursor, row.id, after_uid, limit + 1)
    page = found[:limit]
    return Identities(
        uids=pack_u32([uid for uid, _, _ in page]),
        digests=b"".join([digest for _, digest, _ in page]),
        uidls=tuple(uidl for _, _, uidl in page),
        vanished=pack_u32(vanished),
        more=len(found) > limit,
    )
