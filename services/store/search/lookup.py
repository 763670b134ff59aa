"""A search in one mailbox: exact for the messages that are indexed, and which ones are not.

Runs in a thread of its own (``Readers`` with one thread), so that a long search holds up other searches only. What is kept between
searches (open partitions, columns of mailboxes) is given back by ``forget``.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import attrs

from services.store.readers import Snapshot
from services.store.reads.mailboxes import readable_row
from services.store.search.columns import ColumnsCache, MailboxColumns, Range
from services.store.search.files import SearchDamageError
from services.store.search.grams import DOCUMENTS, encode_text, rows_of
from services.store.search.partition import Partition, bits
from shared.contract.search_types import MAX_TERM_CHARACTERS, SearchAnswer, SearchScope, SearchTerm
from shared.errors import BadRequest
from shared.model.ids import Uid
from shared.model.packed import pack_u32

ANSWER_UIDS: Final = 200_000
"""In one answer, of both kinds together: they stay below MAX_REPLY_OCTETS."""
OPEN_PARTITIONS: Final = 64
"""Kept open, 70 KB each: contents of 262,144 messages."""
# RFC 5322 §3.6.8, in lower case
_FIELD_NAME: Final = re.compile(r"[!-9;-@\[-~]{1,200}", re.ASCII)

Test = Callable[[bytes, int, int, int], bool]
"""Whether a document matches: the block that it is in, its beginning, its header's end, its end."""


@attrs.define
class _Found:
    matched: list[int] = attrs.field(factory=list)
    unindexed: list[int] = attrs.field(factory=list)


class Searcher:
    """Searches below one directory.

    ``damaged`` is told of partitions that cannot be read, and whether they are not there, from the thread that searches.
    """

    def __init__(self, directory: Path, damaged: Callable[[int, bool], None]) -> None:
        self._directory = directory
        self._damaged = damaged
        self._columns = ColumnsCache()
        self._open: OrderedDict[int, Partition] = OrderedDict()
        self._bad: set[int] = set()
        self._seen = 0
        self.generation = 0
        """Raised by whoever knows that files were replaced."""

    def find(
        self, snapshot: Snapshot, account_id: int, mailbox_id: int, term: SearchTerm, first: int, last: int
    ) -> SearchAnswer:
        """Messages with UIDs from ``first`` to ``last``. Raises NoSuchMailbox, NoPermission, BadRequest."""
        check_term(term)
        row = readable_row(snapshot.cursor, account_id, mailbox_id)
        if self._seen != self.generation:
            self._seen = self.generation
            self._close()
            self._bad.clear()
        columns = self._columns.columns(snapshot.cursor, mailbox_id, row.messages)
        needle = encode_text(term.text)
        rows = rows_of(needle)
        test = _test(term, needle)
        found = _Found()
        for within in columns.ranges():
            self._find_within(columns, within, rows, test, (first, last), found)
        return _answer(found, last)

    def forget(self, snapshot: Snapshot | None = None) -> None:
        """Give everything back."""
        self._close()
        self._columns.clear()

    def _close(self) -> None:
        for partition in self._open.values():
            partition.close()
        self._open.clear()

    def _partition(self, number: int) -> Partition | None:
        """None where there is none."""
        partition = self._open.get(number)
        if partition is not None:
            self._open.move_to_end(number)
            return partition
        if number in self._bad:
            return None
        try:
            partition = self._open_partition(number)
        except FileNotFoundError:
            self._damaged(number, True)
            return None
        self._open[number] = partition
        if len(self._open) > OPEN_PARTITIONS:
            self._open.popitem(last=False)[1].close()
        return partition

    def _open_partition(self, number: int) -> Partition:
        try:
            return Partition(self._directory, number)
        except FileNotFoundError:
            # one of its two files may have been replaced between the two
            return Partition(self._directory, number)

    def _find_within(
        self,
        columns: MailboxColumns,
        within: Range,
        rows: list[int],
        test: Test,
        span: tuple[int, int],
        found: _Found,
    ) -> None:
        first, last = span
        matched: list[int] = []
        known = 0
        try:
            partition = self._partition(within.partition)
            if partition is not None:
                known = partition.directory.known
                for document in bits(partition.candidates(rows, within.documents)):
                    content = within.partition * DOCUMENTS + document
                    uids = [uid for uid in columns.uids_of(content, within) if first <= uid <= last]
                    if uids and test(*partition.document(document)):
                        matched.extend(uids)
                partition.forget_text()
        except (SearchDamageError, OSError):
            matched, known = [], 0
            self._bad.add(within.partition)
            bad = self._open.pop(within.partition, None)
            if bad is not None:
                bad.close()
            self._damaged(within.partition, False)
        found.matched.extend(matched)
        for document in bits(within.documents & ~known):
            content = within.partition * DOCUMENTS + document
            found.unindexed.extend(uid for uid in columns.uids_of(content, within) if first <= uid <= last)


def check_term(term: SearchTerm) -> None:
    """Raises BadRequest."""
    if len(term.text) > MAX_TERM_CHARACTERS:
        raise BadRequest("search term")
    if term.scope is SearchScope.FIELD and not _FIELD_NAME.fullmatch(term.field):
        raise BadRequest("field name")


def _test(term: SearchTerm, needle: bytes) -> Test:
    match term.scope:
        case SearchScope.TEXT:
            return lambda block, start, header_end, end: block.find(needle, start, end) >= 0
        case SearchScope.BODY:
            return lambda block, start, header_end, end: block.find(needle, header_end + 1, end) >= 0
        case SearchScope.FIELD:
            return _field_test(encode_text(term.field) + b": ", needle)


def _field_test(name: bytes, needle: bytes) -> Test:
    """A header is a line for each field."""
    begun = b"\n" + name

    def test(block: bytes, start: int, header_end: int, end: int) -> bool:
        at = start
        if not block.startswith(name, start, header_end):
            at = block.find(begun, start, header_end) + 1
            if not at:
                return False
        while True:
            value = at + len(name)
            stop = block.find(b"\n", value, header_end)
            stop = header_end if stop < 0 else stop
            if block.find(needle, value, stop) >= 0:
                return True
            at = block.find(begun, stop, header_end) + 1
            if not at:
                return False

    return test


def _answer(found: _Found, last: int) -> SearchAnswer:
    """Cut where it is too long for one reply."""
    matched, unindexed = sorted(found.matched), sorted(found.unindexed)
    through = last
    if len(matched) + len(unindexed) > ANSWER_UIDS:
        through = sorted(matched + unindexed)[ANSWER_UIDS - 1]
        matched, unindexed = _up_to(matched, through), _up_to(unindexed, through)
    return SearchAnswer(pack_u32(matched), pack_u32(unindexed), Uid(through))


def _up_to(uids: Iterable[int], through: int) -> list[int]:
    return [uid for uid in uids if uid <= through]
