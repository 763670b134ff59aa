"""Rules of sharing that need no process: entries of annotations, and who may set a quota."""

from pathlib import Path

import pytest

from services.store.domain.annotations import EntryName, matches, parse_entry
from services.store.packs.append import PackAppender
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import directory
from services.store.writes import quota as quota_writes
from shared.contract.sharing_types import AnnotationDepth
from shared.errors import BadRequest, NoPermission, NoSuchMailbox


def test_entry_names() -> None:
    # RFC 5464 §3.1: without case
    assert parse_entry("/Private/Comment") == EntryName(True, "/comment")
    assert parse_entry("/shared/vendor/x/y").full == "/shared/vendor/x/y"
    assert parse_entry("/shared", may_be_root=True) == EntryName(False, "")
    for wrong in (
        "", "/", "comment", "/other/x", "/private", "/private/", "/privatex/y", "/private//x", "/private/x/", "/private/a*", "/shared/%",
        "/private/\u00e9", "/private/a\0", "/private/" + "x" * 257, "/private" + "/x" * 17,
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            parse_entry(wrong)


def test_depths() -> None:
    # RFC 5464 §4.2.2: depth 1 of /a is /a and /a/b, not /a/b/c
    names = ["/a", "/a/b", "/a/b/c", "/ab"]
    assert [name for name in names if matches(name, ["/a"], AnnotationDepth.ZERO)] == ["/a"]
    assert [name for name in names if matches(name, ["/a"], AnnotationDepth.ONE)] == ["/a", "/a/b"]
    assert [name for name in names if matches(name, ["/a"], AnnotationDepth.INFINITY)] == ["/a", "/a/b", "/a/b/c"]
    assert [name for name in names if matches(name, [""], AnnotationDepth.ONE)] == ["/a", "/ab"]
    assert [name for name in names if matches(name, [""], AnnotationDepth.INFINITY)] == names


def test_an_administrator_sets_quotas(tmp_path: Path) -> None:
    migrate(tmp_path / "db")
    connection = connect(tmp_path / "db", read_only=False, cache_kib=100)
    (tmp_path / "packs").mkdir()
    appender = PackAppender(tmp_path / "packs", number=1, end=0, seal_octets=1 << 20)
    transaction = Transaction(connection.cursor(), appender, Ids(connection.cursor()), 1.0)
    directory.domain_add(transaction, "x.test")
    boss = directory.account_add(transaction, "boss@x.test", "hash").account_id
    user = directory.account_add(transaction, "user@x.test", "hash").account_id
    administrators = frozenset({"boss@x.test"})
    quota = quota_writes.set_quota(transaction, boss, "User@X.test", 10, 4096, administrators)
    assert (quota.address, quota.most_messages, quota.most_octets) == ("user@x.test", 10, 4096)
    assert transaction.changes.quotas == {user: quota}
    with pytest.raises(NoPermission):
        quota_writes.set_quota(transaction, user, "user@x.test", None, None, administrators)
    for nobody in ("nobody@x.test", "", "x"):
        with pytest.raises(NoSuchMailbox):
            quota_writes.set_quota(transaction, boss, nobody, None, None, administrators)
    connection.close()
    appender.close()
