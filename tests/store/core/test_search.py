"""The index finds what the evaluator of imap finds, whatever becomes of its files."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.imap.protocol.search_keys import KeyHeader, KeyText
from services.imap.search_eval import Message
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.readers import Snapshot
from services.store.search import builder as builder_module
from services.store.search.builder import PartitionBuilder
from services.store.search.files import SearchDamageError, grams_path, list_files, text_path
from services.store.search.grams import DOCUMENTS
from services.store.search.indexer import Indexer
from services.store.search.keeper import scan, tail_of
from services.store.search.lookup import Searcher
from services.store.search.partition import Partition, bits
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from shared.contract.search_types import MAX_TERM_CHARACTERS, SearchScope, SearchTerm
from shared.errors import BadRequest, NoSuchMailbox
from shared.mail.index import build_index, unpack_parts
from shared.mail.search_text import fold, plan_search
from shared.model.packed import unpack_u32
from shared.testing.corpus import messages, varied_messages
from shared.testing.mail_samples import korean_message

LAST = 2**32 - 1


class SmallStore:
    """A database with one mailbox, a pack, and an index of both."""

    def __init__(self, directory: Path) -> None:
        self.packs = directory / "packs"
        self.packs.mkdir()
        self.search = directory / "search"
        self.database = directory / "db"
        migrate(self.database)
        self.connection = sqlite3.connect(self.database, isolation_level=None)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.appender = PackAppender(self.packs, number=1, end=0, seal_octets=1 << 26)
        self.compressor = Compressor(level=1)
        self.contents: dict[int, bytes] = {}
        self.damaged: list[tuple[int, bool]] = []
        self.searcher = Searcher(self.search, lambda partition, missing: self.damaged.append((partition, missing)))
        self.reports: list[dict[str, int]] = []
        self.insert("mailbox", id=1, account_id=1, name="INBOX", uidvalidity=1)
        self.reader = connect(self.database, read_only=True, cache_kib=1024)
        self.snapshot = Snapshot(self.reader.cursor(), PackReader(self.packs, cache_octets=0))

    def close(self) -> None:
        self.searcher.forget()
        self.snapshot.packs.close()
        self.appender.close()
        self.reader.close()
        self.connection.close()

    def insert(self, table: str, **values: object) -> None:
        """A row whose other columns are zero or empty."""
        filled = []
        for _, name, kind, required, *_ in self.connection.execute(f"PRAGMA table_info({table})").fetchall():
            empty = {"BLOB": b"", "TEXT": ""}.get(kind, 0) if required else None
            filled.append(values.pop(name, empty))
        assert not values
        self.connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(filled))})", filled)

    def add(self, content: bytes, content_id: int, uid: int | None = None) -> None:
        index = build_index(content)
        encoded = encode_content(content, self.compressor)
        place = self.appender.append(encoded, b"\x90")
        self.appender.sync()
        digest = content_id.to_bytes(32, "big")
        self.insert(
            "content", id=content_id, digest=digest, pack=place.pack, offset=place.offset, length=place.length,
            octets=place.raw_octets, refs=1,
        )  # fmt: skip
        self.insert("content_index", content_id=content_id, parts=index.parts)
        self.copy(content_id, content_id if uid is None else uid, index.header_octets)
        self.contents[content_id] = content

    def copy(self, content_id: int, uid: int, header_octets: int = 0) -> None:
        self.insert("message", mailbox_id=1, uid=uid, content_id=content_id, header_octets=header_octets)
        self.connection.execute("UPDATE mailbox SET messages = messages + 1")

    def remove(self, content_id: int) -> None:
        for table in ("message", "content_index"):
            self.connection.execute(f"DELETE FROM {table} WHERE content_id = ?", (content_id,))
        self.connection.execute("DELETE FROM content WHERE id = ?", (content_id,))

    def index(self, *, rebuild: bool = False, compact: bool = False, skip: tuple[int, ...] = ()) -> None:
        with closing(connect(self.database, read_only=True, cache_kib=1024)) as connection:
            packs = PackReader(self.packs, cache_octets=0)
            Indexer(connection, packs, self.search, self.reports.append, skip).run(rebuild=rebuild, compact=compact)
            packs.close()
        self.searcher.generation += 1

    def find(
        self, text: str, scope: SearchScope = SearchScope.TEXT, field: str = "", first: int = 1, last: int = LAST
    ) -> tuple[list[int], list[int]]:
        term = SearchTerm(scope, fold(text), field)
        answer = self.searcher.find(self.snapshot, 1, 1, term, first, last)
        assert answer.through_uid == last
        return unpack_u32(answer.uids).tolist(), unpack_u32(answer.unindexed).tolist()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SmallStore]:
    made = SmallStore(tmp_path)
    yield made
    made.close()


def mail(subject: str, body: str = "nothing") -> bytes:
    return f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()


def evaluated(content: bytes) -> Message:
    """As the edge reads a message."""
    index = build_index(content)
    plan = plan_search(index.header_octets, unpack_parts(index.parts))
    header = b"" if plan.header is None else content[slice(*plan.header)]
    more = b"".join(content[start:stop] for start, stop in plan.more_headers)
    return Message(header, [(part, content[start:stop]) for part, (start, stop) in plan.texts], more)


def matches(message: Message, key: KeyText | KeyHeader) -> bool:
    wanted = fold(key.text)
    if isinstance(key, KeyHeader):
        return any(wanted in value for value in message.values(key.field))
    return (key.header_too and wanted in message.header_text()) or wanted in message.body_text()


# --- equality ---


def test_the_index_finds_exactly_what_the_evaluator_finds(store: SmallStore) -> None:
    """Needles are taken out of the messages' own texts, and made up; each in all scopes."""
    dice = random.Random(7)
    for number, content in enumerate([*messages().values(), *varied_messages(60), korean_message("m@x")], 1):
        store.add(content, number)
    store.index()
    read = {uid: evaluated(content) for uid, content in store.contents.items()}
    needles = ["", "a", "\n", "x\ny", "zzzzzq", "회의", "견적서", "Ｍｉｎｕｔｅｓ", "MINUTES", "@", "=?utf-8", "ﬁ", "ß", "\x00"]
    for message in read.values():
        for text in (message.header_text(), message.body_text()):
            for length in (2, 4, 9, 30):
                at = dice.randrange(len(text) + 1)
                needles.append(text[at : at + length])
    fields = ["subject", "from", "content-type", "x-none", "received"]
    for needle in needles:
        keys: list[tuple[KeyText | KeyHeader, SearchScope, str]] = [
            (KeyText(needle, header_too=True), SearchScope.TEXT, ""),
            (KeyText(needle, header_too=False), SearchScope.BODY, ""),
        ]
        field = dice.choice(fields)
        keys.append((KeyHeader(field.title(), needle), SearchScope.FIELD, field))
        for key, scope, name in keys:
            expected = [uid for uid, message in read.items() if matches(message, key)]
            assert store.find(needle, scope, name) == (expected, []), key


def test_field_values_only(store: SmallStore) -> None:
    store.add(mail("needle"), 1)
    store.add(b"X-Subject: needle\r\nSubject: other\r\nTo: needle\r\n\r\nSubject: needle\r\n", 2)
    store.add(b"To: a\r\nSubject: one\r\nSubject: second needle\r\n\r\n", 3)
    store.add(b"Subjects: needle\r\n\r\n", 4)
    store.index()
    assert store.find("needle", SearchScope.FIELD, "subject") == ([1, 3], [])
    assert store.find("", SearchScope.FIELD, "subject") == ([1, 2, 3], [])
    assert store.find("subject: needle", SearchScope.FIELD, "subject") == ([], [])


@pytest.mark.parametrize("field", ["", "subject: a", "Subject", "a\nb", "ü", "x" * 201])
def test_what_is_no_field_name_is_refused(store: SmallStore, field: str) -> None:
    with pytest.raises(BadRequest):
        store.find("a", SearchScope.FIELD, field)


def test_a_term_has_a_longest(store: SmallStore) -> None:
    store.add(mail("a" * MAX_TERM_CHARACTERS), 1)
    store.index()
    assert store.find("a" * MAX_TERM_CHARACTERS) == ([1], [])
    with pytest.raises(BadRequest):
        store.find("a" * (MAX_TERM_CHARACTERS + 1))


def test_another_accounts_mailbox_is_not_there(store: SmallStore) -> None:
    with pytest.raises(NoSuchMailbox):
        store.searcher.find(store.snapshot, 2, 1, SearchTerm(SearchScope.TEXT, "a"), 1, LAST)


# --- what is not indexed ---


def test_what_came_later_is_told(store: SmallStore) -> None:
    store.add(mail("needle"), 1)
    store.index()
    store.add(mail("needle"), 2)
    store.add(mail("other"), 3)
    assert store.find("needle") == ([1], [2, 3])
    assert tail_of(scan(store.search), 3) == 2
    store.index()
    assert store.find("needle") == ([1, 2], [])
    assert tail_of(scan(store.search), 3) == 0


def test_without_an_index_everything_is_told(store: SmallStore) -> None:
    store.add(mail("needle"), 1)
    store.add(mail("needle"), 5000)
    assert store.find("needle") == ([], [1, 5000])
    assert tail_of({}, 5000) == 5000


def test_partitions_copies_and_spans(store: SmallStore) -> None:
    """Contents beyond one partition, copies with later UIDs, and answers for a range of UIDs."""
    for content_id, uid in ((1, 1), (DOCUMENTS - 1, 2), (DOCUMENTS, 3), (DOCUMENTS + 1, 4), (5 * DOCUMENTS, 5)):
        store.add(mail(f"needle {content_id}"), content_id, uid)
    store.index()
    assert sorted(list_files(store.search)) == [0, 1, 2, 3, 4, 5]
    assert store.find("needle") == ([1, 2, 3, 4, 5], [])
    assert store.find(f"needle {DOCUMENTS}") == ([3], [])
    store.copy(1, 6)
    store.copy(DOCUMENTS, 7)
    store.copy(1, 8)
    assert store.find("needle 1") == ([1, 6, 8], [])
    assert store.find("needle", first=3, last=6) == ([3, 4, 5, 6], [])
    store.add(mail("needle new"), 5 * DOCUMENTS + 1, 9)
    assert store.find("needle", first=8) == ([8], [9])


def test_long_answers_come_in_pieces(store: SmallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.store.search.lookup.ANSWER_UIDS", 3)
    for content_id in range(1, 6):
        store.add(mail("needle"), content_id)
    store.index()
    store.add(mail("needle"), 6)
    term = SearchTerm(SearchScope.TEXT, "needle")
    answers = []
    first = 1
    while first <= LAST:
        answer = store.searcher.find(store.snapshot, 1, 1, term, first, LAST)
        answers.append((unpack_u32(answer.uids).tolist(), unpack_u32(answer.unindexed).tolist(), answer.through_uid))
        first = answer.through_uid + 1
    assert answers == [([1, 2, 3], [], 3), ([4, 5], [6], LAST)]


def test_what_cannot_be_taken_apart_is_left_to_the_edge(store: SmallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(mail("needle"), 1)
    store.add(mail("needle"), 2)
    store.connection.execute("UPDATE content_index SET parts = x'00' WHERE content_id = 1")
    store.add(mail("needle", "x" * 5000), 3)
    store.add(mail("needle"), 4)
    monkeypatch.setattr(builder_module, "DOCUMENT_OCTETS", 5000)
    store.index(skip=(4,))
    assert store.find("needle") == ([2], [1, 3, 4])


def test_a_large_content_is_named_before_it_is_looked_into(store: SmallStore) -> None:
    store.add(mail("needle", "wort " * 300_000), 1)
    store.index()
    assert store.reports == [{"at": 1}, {"indexed": 1, "through": 1}]
    assert store.find("wort wort") == ([1], [])


# --- damage ---


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[SmallStore], None]] = {
    "header": lambda store: flip(grams_path(store.search, 0), 20),
    "directory": lambda store: flip(grams_path(store.search, 0), 80),
    "rows": lambda store: flip(grams_path(store.search, 0), -20),
    "texts": lambda store: flip(text_path(store.search, 0, 1), 30),
    "torn texts": lambda store: text_path(store.search, 0, 1).write_bytes(b""),
    "torn rows": lambda store: grams_path(store.search, 0).write_bytes(b"PBSEARCH"),
    "no rows": lambda store: grams_path(store.search, 0).unlink(),
    "no texts": lambda store: text_path(store.search, 0, 1).unlink(),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_never_a_wrong_answer(store: SmallStore, what: str) -> None:
    for content_id in range(1, 40):
        store.add(mail(f"needle {content_id}", "some words of text"), content_id)
    store.index()
    DAMAGE[what](store)
    store.searcher.generation += 1
    matched, unindexed = store.find("some words of")
    if what == "rows":
        # only where the damaged rows are looked at
        with closing(Partition(store.search, 0)) as partition, pytest.raises(SearchDamageError):
            partition.matrix()
    else:
        assert (matched, unindexed) == ([], list(range(1, 40)))
        assert store.damaged == [(0, what.startswith("no "))]
        assert store.find("some words of") == ([], list(range(1, 40)))
        assert len(store.damaged) == (2 if what.startswith("no ") else 1)
    grams_path(store.search, 0).unlink(missing_ok=True)
    store.index()
    assert store.find("some words of") == (list(range(1, 40)), [])


def test_the_indexer_builds_anew_what_it_cannot_use(store: SmallStore) -> None:
    for content_id in range(1, 40):
        store.add(mail("needle"), content_id)
    store.index()
    flip(grams_path(store.search, 0), -20)
    store.add(mail("needle"), 40)
    store.index()
    assert store.find("needle") == (list(range(1, 41)), [])


def test_an_unfinished_run_is_nothing(store: SmallStore) -> None:
    """Texts behind what the partition refers to, a new file that was not renamed: as after a kill."""
    store.add(mail("needle"), 1)
    store.index()
    with open(text_path(store.search, 0, 1), "ab") as file:
        file.write(b"half a block")
    (store.search / "00000000.new").write_bytes(b"half a file")
    assert store.find("needle") == ([1], [])
    store.add(mail("needle"), 2)
    store.index()
    assert store.find("needle") == ([1, 2], [])
    assert sorted(path.name for path in store.search.iterdir()) == ["00000000-00000001.text", "00000000.grams"]


# --- replacing ---


def test_a_searcher_keeps_what_it_has_open(store: SmallStore) -> None:
    """Files are replaced under a running search; it sees the old ones until it is told."""
    store.add(mail("needle"), 1)
    store.index()
    assert store.find("needle") == ([1], [])
    store.index(rebuild=True)
    store.searcher.generation -= 1
    assert not text_path(store.search, 0, 1).exists()
    assert store.find("needle") == ([1], [])
    store.searcher.generation += 1
    assert store.find("needle") == ([1], [])


def test_compaction_drops_what_is_gone(store: SmallStore) -> None:
    for content_id in range(1, 101):
        store.add(mail(f"needle {content_id}", random.Random(content_id).randbytes(3000).hex()), content_id)
    store.index()
    before = scan(store.search)[0]
    for content_id in range(1, 51):
        store.remove(content_id)
    store.index(compact=True)
    assert scan(store.search)[0].octets == before.octets
    store.remove(51)
    store.index(compact=True)
    after = scan(store.search)[0]
    assert (after.indexed, after.through) == (49, 100)
    assert after.octets < before.octets * 0.6
    assert store.find("needle") == (list(range(52, 101)), [])
    with closing(Partition(store.search, 0)) as partition:
        assert list(bits(partition.candidates([], -1))) == list(range(52, 101))
    assert list_files(store.search) == {0: [2]}


def test_expunged_messages_are_forgotten_when_they_are_most(store: SmallStore) -> None:
    for content_id in range(1, 1500):
        store.copy(content_id, content_id)
    assert len(store.find("x")[1]) == 1499
    store.connection.execute("DELETE FROM message WHERE uid > 10")
    store.connection.execute("UPDATE mailbox SET messages = 10")
    assert len(store.find("x")[1]) == 10


def test_what_was_added_is_there_after_every_write(store: SmallStore) -> None:
    """A builder goes on after a write: long runs write now and then."""
    store.search.mkdir()
    with closing(PartitionBuilder(store.search, 0, None)) as building:
        for document in range(1, 30):
            building.add(document, b"subject: %d" % document, b"body %d needle" % document)
            building.write(document)
            with closing(Partition(store.search, 0)) as partition:
                assert partition.header.through == partition.header.indexed == document
                block, start, header_end, end = partition.document(document)
                assert block[start:end] == b"subject: %d\xffbody %d needle" % (document, document)
                assert header_end - start == len(b"subject: %d" % document)
