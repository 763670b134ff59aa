"""SORT: messages in the order of some criteria. Pure.

RFC 5256 §3, RFC 5957 §4, RFC 6203 §6 (the highest relevancy first). One stable sort for each criterion, the least important first:
whatever is equal stays in the order of the mailbox, also where a criterion is reversed.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Final

from services.imap.cards import Card
from services.imap.protocol.search_arguments import SortCriterion, SortField

COLUMN_FIELDS: Final = frozenset({SortField.ARRIVAL, SortField.SIZE, SortField.RELEVANCY})
"""What needs no card."""

_TEXTS: Final[dict[SortField, Callable[[Card], str]]] = {
    SortField.CC: lambda card: card.cc,
    SortField.FROM: lambda card: card.from_,
    SortField.SUBJECT: lambda card: card.subject,
    SortField.TO: lambda card: card.to,
    SortField.DISPLAYFROM: lambda card: card.display_from,
    SortField.DISPLAYTO: lambda card: card.display_to,
}


def needs_cards(criteria: Sequence[SortCriterion]) -> bool:
    return any(criterion.field not in COLUMN_FIELDS for criterion in criteria)


def sort_value(field: SortField, card: Card, size: int, arrival: int, score: int) -> Any:
    """What a message is sorted by."""
    if field is SortField.ARRIVAL:
        return arrival
    if field is SortField.SIZE:
        return size
    if field is SortField.RELEVANCY:
        return -score
    if field is SortField.DATE:
        # RFC 5256 §2.2: the internal date where there is no sent date
        return arrival if card.sent is None else card.sent
    return _TEXTS[field](card)


CHUNK: Final = 5000
"""Sorted in one go, which no other thread can interrupt: a few milliseconds."""


def sort_rows(criteria: Sequence[SortCriterion], columns: Sequence[Sequence[Any]], count: int) -> list[int]:
    """Positions of ``count`` rows in order; ``columns``: the values of each criterion."""
    order = list(range(count))
    for criterion, values in zip(reversed(criteria), reversed(columns), strict=True):
        order = _stable_sort(order, values.__getitem__, reverse=criterion.reverse)
    return order


def _stable_sort(order: list[int], key: Callable[[int], Any], *, reverse: bool) -> list[int]:
    if len(order) <= CHUNK:
        return sorted(order, key=key, reverse=reverse)
    chunks = [sorted(order[start : start + CHUNK], key=key, reverse=reverse) for start in range(0, len(order), CHUNK)]
    return list(heapq.merge(*chunks, key=key, reverse=reverse))
