"""How mailboxes and messages are named in a Maildir that we write."""

import pytest

from shared.moving.account import Stored
from shared.moving.leave import LeaveError, folder_names, maildir_file, make_place
from shared.moving.names import parse_file_name


def test_folders():
    names = ["INBOX", "a", "a.b", "a_b", "a/b", "보낸"]
    assert folder_names(names) == {
        "INBOX": b"", "a": b".a", "a.b": b".a_b", "a_b": b".a_b_", "a/b": b".a.b", "보낸": b".&vPSwuA-",
    }  # fmt: skip


def test_files():
    stored = Stored(7, ("\\Seen", "k", "\\Flagged", "beyond"), 12, 1_500_000_000, "uidl", b"")
    file = maildir_file(stored, b"a\r\nb\r\n\r\nc\nd", 3, {"k": "a"})
    assert file.name == b"1500000000.M7P3.pillarbox,S=8,W=12:2,FSa"
    assert file.data == b"a\nb\n\nc\nd"
    assert (file.record.uid, file.record.uidl, file.record.octets) == (7, "uidl", 12)
    parsed = parse_file_name(file.name)
    assert parsed is not None
    assert (parsed.base, parsed.octets) == (file.record.name, 12)
    # a time before 1970 is none that names are sorted by
    assert maildir_file(Stored(1, (), 0, -5, "", b""), b"", 3, {}).name.startswith(b"0.M1P3.")


def test_only_into_an_empty_place(tmp_path):
    make_place(tmp_path / "a" / "b")
    with pytest.raises(LeaveError, match="is not empty"):
        make_place(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(LeaveError, match="exists"):
        make_place(tmp_path / "file")
