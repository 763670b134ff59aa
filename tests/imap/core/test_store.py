"""STORE .SILENT when the view hears of the change before the session does."""

from types import SimpleNamespace

import pytest

from services.imap.commands.store import _keep_quiet
from services.imap.protocol.arguments import StoreArguments, StoreMode
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.updates import Selected
from services.imap.view import Columns
from shared.contract.types import ChangesPage, StoreFlagsResult
from shared.model.flags import SystemFlag
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.packed import pack_i64, pack_u32, pack_u64

SEEN, FLAGGED = SystemFlag.SEEN.value, SystemFlag.FLAGGED.value


def page(rows, highest):
    uids, flags, modseqs = zip(*rows, strict=True)
    return ChangesPage(
        pack_u32(uids), pack_u64(modseqs), pack_u64(flags), pack_u32([1] * len(uids)), pack_i64([0] * len(uids)), b"", (),
        Uid(100), ModSeq(highest), False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "known", "told"),
    [
        (SEEN, {1: 0}, False),  # what the client computes itself
        (SEEN | FLAGGED, {1: 0}, True),  # somebody else changed it meanwhile
        (SEEN, {}, True),  # somebody else's change is still to be told
    ],
)
def test_own_changes_that_came_first_by_the_watch(now, known, told):
    columns = Columns(MailboxId(1), 1)
    columns.apply_page(page([(1, 0, 1), (2, 0, 1)], 1))
    selected = Selected(columns, read_only=False, first_recent_uid=1000)
    columns.apply_page(page([(1, now, 5)], 5))
    result = StoreFlagsResult(ModSeq(5), pack_u32([1]), pack_u64([now]), pack_u64([5]), b"", ())
    arguments = StoreArguments(SequenceSet(((1, 1),)), StoreMode.ADD, silent=True, flags=("\\Seen",))
    _keep_quiet(SimpleNamespace(view=columns, mailbox=selected), arguments, result, known)
    assert bool(selected.render(expunge=True)) is told
