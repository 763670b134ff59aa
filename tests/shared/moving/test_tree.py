"""Maildirs on the disk: those of honest people, and the others. And what reads their messages."""

import gzip
import io
import os
from pathlib import Path

import msgpack
import pytest

from shared.moving import tree, worker
from shared.moving.names import Layout
from shared.moving.tree import Folder, TreeError, find_folders, read_folder, read_subscriptions
from shared.moving.worker import LENGTH, Kind, make_row, serve


def make(path: Path, *names: bytes) -> Path:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    for name in names:
        (path / "cur" / os.fsdecode(name)).write_bytes(b"Subject: x\n\ntext\n")
    return path


def names_of(root: Path, layout: Layout = Layout.MAILDIR) -> list[str]:
    return [folder.name for folder in find_folders(root, layout).folders]


def test_maildir_plus_plus(tmp_path):
    root = make(tmp_path / "m")
    make(root / ".b.c")
    make(root / ".a")
    (root / ".empty").mkdir()
    (root / "not").mkdir()
    assert names_of(root) == ["INBOX", "a", "b/c"]


def test_nested_folders(tmp_path):
    root = tmp_path / "m"
    make(root / "INBOX")
    make(root / "a" / "b.c")
    assert names_of(root, Layout.FS) == ["INBOX", "a/b.c"]
    deep = root.joinpath(*["d"] * 30)
    deep.mkdir(parents=True)
    assert "too many levels" in find_folders(root, Layout.FS).problems[0]


def test_nothing_there(tmp_path):
    with pytest.raises(TreeError):
        find_folders(tmp_path, Layout.MAILDIR)
    with pytest.raises(OSError, match="No such"):
        find_folders(tmp_path / "x", Layout.MAILDIR)


def test_names_of_all_kinds(tmp_path):
    root = make(tmp_path / "m")
    for name in (b".new\nline", b".caf\xe9", ".받은".encode(), b"..x", b".st*r"):
        make(root / os.fsdecode(name))
    found = find_folders(root, Layout.MAILDIR)
    assert [folder.name for folder in found.folders] == ["INBOX", "café", "new_line", "st_r", "받은"]
    assert found.problems == ["folder ..x is left out: an empty level"]
    assert len(found.notes) == 3


def test_nothing_outside_of_the_tree_is_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"Subject: secret\n\n")
    other = make(tmp_path / "other", b"1.other")
    root = make(tmp_path / "m", b"1.real:2,S", b"2.new\nline\xff:2,")
    (root / ".linked").symlink_to(other)
    make(root / ".half")
    (root / ".half" / "cur").rmdir()
    (root / ".half" / "cur").symlink_to(other / "cur")
    (root / "cur" / "3.linked:2,S").symlink_to(secret)
    os.mkfifo(root / "cur" / "4.fifo")
    (root / "cur" / "5.folder").mkdir()
    found = find_folders(root, Layout.MAILDIR)
    assert [folder.name for folder in found.folders] == ["INBOX", "half"]
    assert found.problems == ["folder .linked is left out: a symbolic link"]
    assert read_folder(found.folders[1], new_uids=False).files == {}
    content = read_folder(found.folders[0], new_uids=False)
    assert sorted(content.files) == [b"1.real", b"2.new\nline\xff"]
    assert content.problems == ("INBOX: 3 left out that are no files (symbolic links)",)
    # and if it becomes one after the look
    for name in (b"3.linked:2,S", b"4.fifo", b"5.folder"):
        assert isinstance(make_row(os.fsencode(root / "cur") + b"/" + name, 0, -1, Kind.MAILDIR, 100), str)


@pytest.mark.parametrize("name", ["dovecot-uidlist", "dovecot-keywords"])
def test_lists_that_are_none(tmp_path, name):
    root = make(tmp_path / "m", b"1.a")
    folder = Folder(os.fsencode(root), "INBOX")
    (root / name).write_bytes(b"nonsense")
    with pytest.raises(TreeError, match=name):
        read_folder(folder, new_uids=False)
    (root / name).unlink()
    # what it leads to is nobody's list
    (root / name).symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        read_folder(folder, new_uids=False)
    if name == "dovecot-uidlist":
        assert len(read_folder(folder, new_uids=True).files) == 1


def test_lists_elsewhere(tmp_path):
    root, control = make(tmp_path / "m"), tmp_path / "control"
    make(root / ".a", b"1.x")
    (control / ".a").mkdir(parents=True)
    (control / ".a" / "dovecot-uidlist").write_bytes(b"3 V7 N9\n5 :1.x\n")
    (control / "subscriptions").write_bytes(b"a\n")
    inbox, folder = find_folders(root, Layout.MAILDIR).folders
    assert tree.control_of(inbox, root, control, Layout.MAILDIR) == os.fsencode(control / ".INBOX")
    assert tree.control_of(inbox, root, control, Layout.FS) == os.fsencode(control / "INBOX")
    content = read_folder(folder, new_uids=False, control=tree.control_of(folder, root, control, Layout.MAILDIR))
    assert content.uidlist is not None
    assert content.uidlist.uidvalidity == 7
    assert read_folder(folder, new_uids=False).uidlist is None
    assert read_subscriptions(control, Layout.MAILDIR) == ("a",)


def test_compressed_messages(tmp_path):
    root = make(tmp_path / "m")
    (root / "cur" / "1.z").write_bytes(gzip.compress(b"Subject: z\n\n"))
    assert make_row(os.fsencode(root / "cur" / "1.z"), 0, -1, Kind.MAILDIR, 100)[3] == b"Subject: z\r\n\r\n"


def test_bounds(tmp_path, monkeypatch):
    root = make(tmp_path / "m", b"1.a", b"2.b")
    make(root / ".f")
    monkeypatch.setattr(tree, "MAX_FILES", 1)
    with pytest.raises(TreeError, match="more than 1 files"):
        read_folder(Folder(os.fsencode(root), "INBOX"), new_uids=False)
    monkeypatch.setattr(tree, "MAX_FOLDERS", 1)
    with pytest.raises(TreeError, match="more than 1 folders"):
        find_folders(root, Layout.MAILDIR)
    (root / "subscriptions").write_bytes(b"a\n" * 3_000_000)
    with pytest.raises(TreeError, match="subscriptions: too long"):
        read_subscriptions(root, Layout.MAILDIR)


def test_a_message_that_moves_meanwhile_is_found(tmp_path):
    root = make(tmp_path / "m", b"1.a:2,S")
    os.utime(root / "cur" / "1.a:2,S", (1_500_000_000, 1_500_000_000.9))
    row = make_row(os.fsencode(root / "new" / "1.a"), 0, -1, Kind.MAILDIR, 100)
    assert row[0] == 1_500_000_000
    assert row[3] == b"Subject: x\r\n\r\ntext\r\n"
    assert make_row(os.fsencode(root / "new" / "2.b"), 0, -1, Kind.MAILDIR, 100) == "gone meanwhile"
    assert make_row(os.fsencode(root / "cur" / "1.a:2,S"), 0, -1, Kind.MAILDIR, 10) == "1.a:2,S: larger than 10 octets"


def test_line_ends():
    assert worker.with_crlf(b"a\nb\r\nc\rd\r\n\n") == b"a\r\nb\r\nc\rd\r\n\r\n"


def test_the_worker_answers_until_the_input_ends(tmp_path):
    root = make(tmp_path / "m", b"1.a")
    path = os.fsencode(root / "cur" / "1.a")
    question = msgpack.packb(["maildir", 100, [[path, 9, 3], [path + b"x", 0, -1]]])
    target = io.BytesIO()
    serve(io.BytesIO(LENGTH.pack(len(question)) + question + b"\1"), target)
    (first, second) = msgpack.unpackb(target.getvalue()[LENGTH.size :])
    assert first[3] == b"x\r\n\r\n"
    assert second == "gone meanwhile"
