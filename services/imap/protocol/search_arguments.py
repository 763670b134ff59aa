"""The arguments of SEARCH, SORT, THREAD, ESEARCH and CANCELUPDATE.

RFC 4731 §3.1 and RFC 5267 §4 (return options), RFC 5256 §3 and RFC 5957 §4 (sort criteria, threading), RFC 7377 §2.2 (sources).
"""

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from services.imap.protocol.search_keys import SearchKey

if TYPE_CHECKING:
    from services.imap.protocol.arguments import FetchItem, Section


class ReturnOption(StrEnum):
    """RFC 4731 §3.1, RFC 5182 §2.4 (SAVE), RFC 5267 §4 (CONTEXT, UPDATE), RFC 9394 §3.1 (PARTIAL), RFC 6203 §4 (RELEVANCY)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"
    CONTEXT = "CONTEXT"
    UPDATE = "UPDATE"
    PARTIAL = "PARTIAL"
    RELEVANCY = "RELEVANCY"


@attrs.frozen
class PartialRange:
    """RFC 9394 §4: positions among the results, counted from 1; ``from_end``: from the last result backwards. As given."""

    first: int
    last: int
    from_end: bool = False

    def slice_of(self, count: int) -> tuple[int, int]:
        """Half-open positions among ``count`` results; empty where none are there."""
        low, high = min(self.first, self.last), max(self.first, self.last)
        if self.from_end:
            return max(count - high, 0), max(count - low + 1, 0)
        return min(low - 1, count), min(high, count)

    def render(self) -> str:
        sign = "-" if self.from_end else ""
        return f"{sign}{self.first}:{sign}{self.last}"


class SortField(StrEnum):
    """RFC 5256 §3, RFC 5957 §4 (DISPLAY...), RFC 6203 §6 (RELEVANCY)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    RELEVANCY = "RELEVANCY"


@attrs.frozen
class SortCriterion:
    field: SortField
    reverse: bool = False


class ThreadAlgorithm(StrEnum):
    """RFC 5256 §3; REFS: draft-ietf-morg-inthread."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


class SourceKind(StrEnum):
    """RFC 7377 §2.2, RFC 5465 §6."""

    SELECTED = "SELECTED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    SUBTREE_ONE = "SUBTREE-ONE"
    MAILBOXES = "MAILBOXES"


@attrs.frozen
class Source:
    """Which mailboxes to search. ``names``: of SUBTREE, SUBTREE-ONE and MAILBOXES."""

    kind: SourceKind
    names: tuple[str, ...] = ()


@attrs.frozen
class SearchArguments:
    """SEARCH, SORT (with ``sort``) and ESEARCH (with ``sources``)."""

    key: SearchKey
    uses_modseq: bool = False
    """Whether MODSEQ was among the keys: then the response carries the highest one (RFC 7162 §3.1.5)."""
    returns: frozenset[ReturnOption] | None = None
    """None: without RETURN. An empty list is ALL already (RFC 4731 §3.1)."""
    partial: PartialRange | None = None
    update_items: "tuple[FetchItem | Section, ...]" = ()
    """RFC 5465 §7: with UPDATE, what the client wants to be told of new messages among the results."""
    sort: tuple[SortCriterion, ...] = ()
    sources: tuple[Source, ...] = ()
    bad_charset: bool = False
    """The texts are in a character set that nobody knows: NO [BADCHARSET], which resets the saved result (RFC 5182 §2.1)."""

    def wants(self, option: ReturnOption) -> bool:
        return self.returns is not None and option in self.returns


@attrs.frozen
class ThreadArguments:
    """RFC 5256 §3."""

    algorithm: ThreadAlgorithm
    key: SearchKey
    uses_modseq: bool = False
    bad_charset: bool = False


@attrs.frozen
class CancelUpdateArguments:
    """RFC 5267 §4.3.5."""

    tags: tuple[bytes, ...]
