"""Lists in pages, on random trees: every name once, levels that are no mailboxes before what is below them, whatever the page size."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.store.domain.names import below, ceiling_of, check_name, floor_of, parents
from services.store.packs.read import PackReader
from services.store.readers import Snapshot
from services.store.reads import listing
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from shared.contract.mailbox_types import ListScope
from shared.errors import BadRequest, InvalidMailboxName

NAME = st.lists(st.text(st.sampled_from("ab-0 \U0001f600"), min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)
ME, OTHER = 1, 2


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("listing")
    migrate(root / "db")
    connection = connect(root / "db", read_only=False, cache_kib=1000)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO domain (id, name, created_at) VALUES (1, 'x.test', 1.0)")
    for number, address in ((ME, "me@x.test"), (OTHER, "other@x.test")):
        cursor.execute(
            "INSERT INTO account (id, domain_id, address, password_hash, created_at) VALUES (?, 1, ?, '', 1.0)",
            (number, address),
        )
    yield Snapshot(cursor, PackReader(root, cache_octets=0))
    connection.close()


def fill(snapshot, account, names):
    cursor = snapshot.cursor
    cursor.execute("DELETE FROM acl")
    cursor.execute("DELETE FROM mailbox")
    columns = "uidvalidity, uid_next, highest_modseq, first_recent_uid, messages, unseen, deleted, octets, tombstone_floor"
    cursor.executemany(
        f"INSERT INTO mailbox (account_id, name, special_use, {columns}) VALUES (?, ?, '', 1, 1, 1, 1, 0, 0, 0, 0, 0)",
        [(account, name) for name in names],
    )


def collect(source):
    infos, after = [], ""
    while True:
        page = source(after)
        infos += page.mailboxes
        after = page.next
        if not after:
            return infos


def check_order(infos):
    seen = set()
    for info in infos:
        assert info.name not in seen, "told twice"
        seen.add(info.name)
        # a level comes before what is below it
        assert not any(name.startswith(info.name + "/") for name in seen)


@given(st.sets(NAME, max_size=30), st.integers(0, 3), st.text(st.sampled_from("ab-/"), max_size=3), st.integers(1, 9))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_own_names(snapshot, names, levels, prefix, page):
    fill(snapshot, ME, names)
    scope = ListScope(prefix=prefix, levels=levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PAGE", page)
        patch.setattr(listing, "_CHUNK_MIN", 1)
        infos = collect(lambda after: listing.list_mailboxes(snapshot, ME, after, scope))
    told = {info.name: bool(info.mailbox_id) for info in infos}
    wanted = {name for name in names if name.startswith(prefix)}
    expected = {name: True for name in wanted if not levels or name.count("/") < levels}
    for name in wanted:
        for level in parents(name)[: levels or None]:
            expected.setdefault(level, level in names)
    # mailboxes above what the prefix asks for may be left out; levels that are none are told
    assert {name: exists for name, exists in expected.items() if name.startswith(prefix) or not exists} == told
    assert all(info.has_children == any(n.startswith(info.name + "/") for n in names) for info in infos)
    check_order(infos)


@given(st.sets(NAME, max_size=25), st.data(), st.integers(1, 9))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_of_others(snapshot, names, data, page):
    fill(snapshot, OTHER, names)
    cursor = snapshot.cursor
    ids = dict(cursor.execute("SELECT name, id FROM mailbox").fetchall())
    visible = set()
    for name in sorted(names):
        given_to, denied = data.draw(st.sampled_from([0, ME, None])), data.draw(st.booleans())
        if given_to is not None:
            cursor.execute("INSERT INTO acl VALUES (?, ?, 0, 3)", (ids[name], given_to))
            if denied:
                cursor.execute("INSERT INTO acl VALUES (?, ?, 1, 1)", (ids[name], ME))
            else:
                visible.add(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PAGE", page)
        infos = collect(lambda after: listing.list_shared(snapshot, ME, after))
    top = "shared/other@x.test"
    expected = {f"{top}/{name}": True for name in visible}
    for name in visible:
        for level in parents(name):
            expected.setdefault(f"{top}/{level}", False)
    if visible:
        expected |= {"shared": False, top: False}
    assert {info.name: bool(info.mailbox_id) for info in infos} == expected
    check_order(infos)
    # one's own mailboxes are not among them
    assert listing.list_shared(snapshot, OTHER, "").mailboxes == ()


def test_a_scope_that_cannot_be(snapshot):
    with pytest.raises(BadRequest):
        listing.list_mailboxes(snapshot, ME, "", ListScope(levels=-1))
    with pytest.raises(BadRequest):
        listing.infos(snapshot, ME, ("x",) * 401)


@given(st.text(min_size=1, max_size=5), st.text(max_size=5))
def test_where_names_with_a_prefix_begin(prefix, rest):
    def order(text):
        return text.encode("utf-8", "surrogatepass")

    if "\0" in prefix:
        return
    floor = floor_of(prefix)
    assert order(floor) < order(prefix) <= order(prefix + rest)


@given(NAME, NAME)
def test_where_names_below_a_name_end(name, other):
    span, ceiling = below(name), ceiling_of(name)
    assert (span.low < other < span.high) == other.startswith(name + "/")
    assert (other.startswith(name + "/") and other < ceiling) == other.startswith(name + "/")


@given(st.text(max_size=30))
def test_names_that_are_taken_are_safe(name):
    """RFC 9051 §5.1: whatever a client sends, what is kept is NFC without controls, empty levels or wildcards."""
    try:
        kept = check_name(name)
    except InvalidMailboxName:
        return
    assert kept
    assert all(kept.split("/"))
    assert not any(c in "*%" or ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in kept)
    assert check_name(kept) == kept
    assert kept.encode()
