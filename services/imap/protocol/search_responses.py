"""What searches answer: SEARCH, ESEARCH, SORT and THREAD responses.

RFC 3501 §7.2.5, RFC 7162 §3.1.5 (MODSEQ), RFC 4731 §3.1 (ESEARCH), RFC 5256 §4, RFC 5267 §4.3 (ADDTO, REMOVEFROM), RFC 9394 §3.1
(PARTIAL), RFC 6203 §4 (RELEVANCY), RFC 7377 §2.1 (correlators), RFC 9585 §3 (INPROGRESS). Sets are as short as ranges make them.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Final

import attrs

from services.imap.protocol.encode import build_mailbox, build_quoted
from services.imap.protocol.search_arguments import PartialRange, ReturnOption
from services.imap.protocol.sequence_set import ranges_of

_TEXTS: Final = 20_000
"""Numbers below it are looked up, not written anew: a long SEARCH response in a third of the time for 1 MiB."""


def compact_in_order(numbers: Iterable[int]) -> bytes:
    """A set that keeps the order of its numbers: only what ascends by one becomes a range (RFC 5267 §3.2)."""
    pieces: list[bytes] = []
    start = previous = -1
    for number in numbers:
        if start >= 0 and number == previous + 1:
            previous = number
            continue
        if start >= 0:
            pieces.append(b"%d" % start if start == previous else b"%d:%d" % (start, previous))
        start = previous = number
    if start >= 0:
        pieces.append(b"%d" % start if start == previous else b"%d:%d" % (start, previous))
    return b",".join(pieces)


def compact_ascending(numbers: Iterable[int]) -> bytes:
    """A set of ascending numbers."""
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges_of(numbers))


@attrs.frozen
class Correlator:
    """RFC 4466 §2.6.2, RFC 7377 §2.1: which command a response belongs to, and which mailbox."""

    tag: bytes
    by_uid: bool
    mailbox: str | None = None
    uidvalidity: int = 0
    utf8: bool = False

    def render(self) -> bytes:
        text = b"(TAG " + build_quoted(self.tag)
        if self.mailbox is not None:
            text += b" MAILBOX %b UIDVALIDITY %d" % (build_mailbox(self.mailbox, utf8=self.utf8), self.uidvalidity)
        return text + (b") UID" if self.by_uid else b")")


@attrs.frozen(eq=False)
class Results:
    """What was found. ``numbers`` in the order of the result; ``lowest`` and ``highest``: by that order too (RFC 5267 §3.1)."""

    numbers: Sequence[int]
    options: frozenset[ReturnOption]
    partial: PartialRange | None = None
    modseq: int | None = None
    scores: Sequence[int] | None = None
    """RFC 6203 §4: of each number."""


def build_esearch(correlator: Correlator, results: Results) -> bytes:
    """RFC 4731 §3.1: without matches neither MIN, MAX nor ALL is there."""
    numbers, options = results.numbers, results.options
    pieces = [b"* ESEARCH ", correlator.render()]
    if numbers and ReturnOption.MIN in options:
        pieces.append(b" MIN %d" % numbers[0])
    if numbers and ReturnOption.MAX in options:
        pieces.append(b" MAX %d" % numbers[-1])
    if ReturnOption.COUNT in options:
        pieces.append(b" COUNT %d" % len(numbers))
    if numbers and ReturnOption.ALL in options:
        pieces.append(b" ALL " + compact_in_order(numbers))
    scores = results.scores
    if results.partial is not None:
        start, stop = results.partial.slice_of(len(numbers))
        found = compact_in_order(numbers[start:stop]) or b"NIL"
        pieces.append(b" PARTIAL (%b %b)" % (results.partial.render().encode(), found))
        scores = None if scores is None else scores[start:stop]
    if scores is not None and ReturnOption.RELEVANCY in options:
        pieces.append(b" RELEVANCY (%b)" % b" ".join(b"%d" % score for score in scores))
    if results.modseq is not None and numbers:
        # RFC 4731 §3.2
        pieces.append(b" MODSEQ %d" % results.modseq)
    pieces.append(b"\r\n")
    return b"".join(pieces)


def build_search(numbers: Sequence[int], modseq: int | None) -> bytes:
    """RFC 3501 §7.2.5; MODSEQ: RFC 7162 §3.1.5."""
    return _build_numbers("SEARCH", numbers, modseq)


def build_sort(numbers: Sequence[int], modseq: int | None) -> bytes:
    """RFC 5256 §4; MODSEQ: RFC 7162 §3.1.5."""
    return _build_numbers("SORT", numbers, modseq)


def _build_numbers(word: str, numbers: Sequence[int], modseq: int | None) -> bytes:
    listed = " ".join(_texts_of(numbers))
    text = f"* {word} {listed}" if listed else f"* {word}"
    if modseq is not None and listed:
        text += f" (MODSEQ {modseq})"
    return text.encode() + b"\r\n"


def _texts_of(numbers: Sequence[int]) -> Iterable[str]:
    if len(numbers) > 1 and numbers[-1] < _TEXTS:
        try:
            texts: tuple[str, ...] = itemgetter(*numbers)(_decimal_texts())
        except IndexError:
            pass
        else:
            return texts
    return map(str, numbers)


@cache
def _decimal_texts() -> tuple[str, ...]:
    return tuple(map(str, range(_TEXTS)))


def build_progress(tag: bytes, done: int, total: int) -> bytes:
    """RFC 9585 §3: an untagged OK that says how far a command is."""
    return b"* OK [INPROGRESS (%b %d %d)] Still searching\r\n" % (build_quoted(tag), done, total)


def build_no_update(tag: bytes) -> bytes:
    """RFC 5267 §4.3.1."""
    return b"* NO [NOUPDATE %b] Too many contexts, or too large\r\n" % build_quoted(tag)


def build_changes(correlator: Correlator, word: bytes, pairs: Iterable[tuple[int, Sequence[int]]]) -> bytes:
    """RFC 5267 §4.3.3, §4.3.4: ADDTO or REMOVEFROM, with pairs of context position and numbers."""
    listed = b" ".join(b"%d %b" % (position, compact_in_order(numbers)) for position, numbers in pairs)
    return b"* ESEARCH %b %b (%b)\r\n" % (correlator.render(), word, listed)


@attrs.define(eq=False)
class Node:
    """A member of a thread. ``number`` 0: a message that is not there (RFC 5256 §4, the last example)."""

    number: int
    children: "list[Node]" = attrs.field(factory=list)


def build_thread(roots: Sequence[Node]) -> bytes:
    """RFC 5256 §4: THREAD. Iterative: the depth of a thread is its sender's choice."""
    pieces: list[bytes] = [b"* THREAD"]
    if roots:
        pieces.append(b" ")
    # what is still to be written, the next on top: octets, or a node that begins a list
    waiting: list[Node | bytes] = list(reversed(roots))
    while waiting:
        one = waiting.pop()
        if isinstance(one, bytes):
            pieces.append(one)
            continue
        members: list[bytes] = []
        node = one
        while True:
            if node.number:
                members.append(b"%d" % node.number)
            if len(node.children) != 1:
                break
            node = node.children[0]
        pieces.append(b"(" + b" ".join(members))
        waiting.append(b")")
        if node.children:
            if members:
                pieces.append(b" ")
            waiting.extend(reversed(node.children))
    pieces.append(b"\r\n")
    return b"".join(pieces)
