"""`pillarbox undo`: when, how it is cut into pieces, how the answer reads. What it does: tests/store/service/test_undo.py."""

import pytest

from shared.cli.invocation import WrongUse
from shared.cli.main import run_command
from shared.cli.undo import parse_when, pieces, words_for
from shared.contract.undo_types import PIECE, UndoCounts, UndoStep
from shared.model.ids import MailboxId
from shared.model.packed import pack_u32, pack_u64, unpack_u32, unpack_u64

NOW = 1_795_874_700.0
"""2026-11-28 14:05 in UTC."""


@pytest.mark.parametrize("text", ["2026-11-28 14:05Z", "2026-11-28T14:05:00+00:00", "2026-11-28 23:05+09:00", " 2026-11-28 14:05z "])
def test_a_time_with_its_zone(text: str) -> None:
    assert parse_when(text, 0.0) == NOW


def test_a_time_without_is_local() -> None:
    local = parse_when("2026-11-28 14:05", NOW)
    assert parse_when("14:05", local + 3000) == parse_when("14:05:00", local) == local
    assert parse_when("2026-11-28T14:05:30.5", NOW) == local + 30.5


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01 10:00", "2026-11-28 14:05 Seoul"])
def test_no_time(text: str) -> None:
    with pytest.raises(WrongUse, match="--to: a time like"):
        parse_when(text, NOW)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "yesterday"), '--to: a time like "2026-11-28 14:05", not yesterday'),
        (("--to", "14:05", "--message", "3"), "--message goes with --mailbox"),
        (("--to", "14:05", "--mailbox", "INBOX", "--message", "0"), "--message: UIDs from 1 to 4294967295"),
    ],
)
def test_wrong_use(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["undo", "alice@example.test", *words]) == 2
    assert capsys.readouterr() == ("", f"pillarbox: {said}\n")


def test_a_step_in_pieces() -> None:
    numbers = range(1, 2 * PIECE + 2)
    step = UndoStep(
        MailboxId(3), "Name", True, "Other", pack_u32(numbers), pack_u64(numbers), pack_u32([7]), pack_u64([8]), pack_u32([9])
    )
    found = list(pieces(step))
    assert all((piece.mailbox_id, piece.name, piece.make, piece.renamed) == (3, "Name", True, "Other") for piece in found)
    assert [len(piece.back) // 4 for piece in found] == [PIECE, PIECE, 1, 0, 0]
    assert [uid for piece in found for uid in unpack_u32(piece.back)] == list(numbers)
    assert [bits for piece in found for bits in unpack_u64(piece.back_flags)] == list(numbers)
    assert [(piece.changed, piece.changed_flags) for piece in found][3] == (pack_u32([7]), pack_u64([8]))
    assert found[4].gone == pack_u32([9])
    # a mailbox alone is a piece, too
    bare = UndoStep(MailboxId(3), "Name", make=True)
    assert list(pieces(bare)) == [bare]


def test_in_words() -> None:
    assert words_for(UndoCounts()) == ""
    assert words_for(UndoCounts(back=1, made=1)) == "1 message back, 1 mailbox made again"
    assert words_for(UndoCounts(3, 2, 4, 2, 2, 1)) == (
        "3 messages back, 2 messages moved back, flags of 4 messages, 2 messages that an undo had brought back taken away again, "
        "2 mailboxes made again, 1 mailbox renamed back"
    )
    assert UndoCounts(1, 2) + UndoCounts(3, 4, 5) == UndoCounts(4, 6, 5)
