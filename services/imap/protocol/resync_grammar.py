"""The parameters of SELECT and EXAMINE, and what a client says it knows.

RFC 4466 §2.4 (select-param), RFC 7162 §3.1.8 (CONDSTORE), §3.2.5 and §7 (QRESYNC).
"""

import attrs

from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.sequence_set import STAR, InvalidSet, SequenceSet
from services.imap.protocol.sequence_set import parse as parse_set
from services.imap.protocol.tokens import MAX_NUMBER64, Scanner, SyntaxFault


@attrs.frozen
class KnownPairs:
    """RFC 7162 §3.2.5.2: message sequence numbers of which the client knows the UIDs; both ascend and are as many."""

    numbers: SequenceSet
    uids: SequenceSet

    @property
    def count(self) -> int:
        return _count(self.numbers)

    def pair(self, index: int) -> tuple[int, int]:
        """The index-th number and its UID, from 0."""
        return _at(self.numbers, index), _at(self.uids, index)


@attrs.frozen
class Resync:
    """RFC 7162 §3.2.5: what the client knew when it was last here."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    """Only these are of interest; None: all."""
    known_pairs: KnownPairs | None = None


def _count(numbers: SequenceSet) -> int:
    return sum(high - low + 1 for low, high in numbers.ranges)


def _at(numbers: SequenceSet, index: int) -> int:
    for low, high in numbers.ranges:
        if index <= high - low:
            return low + index
        index -= high - low + 1
    raise IndexError(index)


def _plain_set(scanner: Scanner, limits: GrammarLimits) -> SequenceSet:
    """A set without ``*``, which RFC 7162 §7 excludes from known-uids."""
    try:
        numbers = parse_set(scanner.sequence_text(), limits.set_ranges)
    except InvalidSet as error:
        raise SyntaxFault(str(error)) from error
    if any(STAR in pair for pair in numbers.ranges):
        raise SyntaxFault("* is not allowed here")
    return numbers


def _ascending_set(scanner: Scanner, limits: GrammarLimits) -> SequenceSet:
    """RFC 7162 §3.2.5.2: in ascending order."""
    numbers = _plain_set(scanner, limits)
    last = 0
    for low, high in numbers.ranges:
        if low <= last or high < low:
            raise SyntaxFault("message sequence match data must ascend")
        last = high
    return numbers


def _known_pairs(scanner: Scanner, limits: GrammarLimits) -> KnownPairs:
    """RFC 7162 §7: seq-match-data = "(" known-sequence-set SP known-uid-set ")"; after the parenthesis."""
    numbers = _ascending_set(scanner, limits)
    scanner.space()
    pairs = KnownPairs(numbers, _ascending_set(scanner, limits))
    scanner.expect(b")")
    if _count(pairs.numbers) != _count(pairs.uids):
        raise SyntaxFault("as many message numbers as UIDs")
    return pairs


def _resync(scanner: Scanner, limits: GrammarLimits) -> Resync:
    """RFC 7162 §7: "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"; after the word."""
    scanner.space()
    scanner.expect(b"(")
    uidvalidity = scanner.nz_number()
    scanner.space()
    # 0 is not in the grammar; clients that know nothing yet send it, and it means what it says
    modseq = scanner.number(MAX_NUMBER64)
    known: SequenceSet | None = None
    pairs: KnownPairs | None = None
    scanner.skip_spaces()
    if not scanner.looking_at(b"(") and not scanner.looking_at(b")"):
        known = _plain_set(scanner, limits)
        scanner.skip_spaces()
    if scanner.take(b"("):
        pairs = _known_pairs(scanner, limits)
    scanner.expect(b")")
    return Resync(uidvalidity, modseq, known, pairs)


def parse_select_parameters(scanner: Scanner, limits: GrammarLimits) -> tuple[bool, Resync | None]:
    """RFC 4466 §2.4: select-params = SP "(" select-param *(SP select-param) ")"; whether CONDSTORE was there, and QRESYNC."""
    condstore = False
    resync: Resync | None = None
    scanner.skip_spaces()
    if scanner.take(b"("):
        while True:
            match scanner.word():
                case "CONDSTORE":
                    condstore = True
                case "QRESYNC" if resync is None:
                    resync = _resync(scanner, limits)
                case _:
                    raise SyntaxFault("unknown SELECT parameter")
            if scanner.take(b")"):
                break
            scanner.space()
    scanner.end()
    return condstore, resync
