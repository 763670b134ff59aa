"""How relevant a message is to a fuzzy search, RFC 6203 §4: simple and explainable.

A message that has every fuzzy text as it was typed, in its subject, is in the upper third; that has it elsewhere, in the
middle third; that has only the words, in the lower third. Within a third the later arrival is the more relevant one, over its full range.
"""

from array import array
from collections.abc import Sequence
from typing import Final

from services.imap.protocol.search_keys import KeyAnd, KeyHeader, SearchKey
from services.imap.reading import Place
from services.imap.search_columns import Snapshot
from services.imap.search_prepare import fuzzy_texts
from services.imap.searching import Found, find
from shared.model.packed import U32

LOWEST: Final = 1
HIGHEST: Final = 100


async def score(place: Place, snapshot: Snapshot, key: SearchKey, found: Found) -> list[int]:
    """1 to 100 for each of what was found; ``key`` as the client gave it. Raises StoreError."""
    texts = list(fuzzy_texts(key))
    tiers = [0] * len(found)
    if texts and len(found):
        some = _only(snapshot, found)
        exact: list[SearchKey] = list(texts)
        in_subject: list[SearchKey] = [KeyHeader("SUBJECT", each.text) for each in texts]
        for tier, keys in ((1, exact), (2, in_subject)):
            for at in await find(place, some, KeyAnd(tuple(keys))):
                tiers[at] = tier
    return scores(tiers, [snapshot.dates[index] for index in found])


def _only(snapshot: Snapshot, found: Found) -> Snapshot:
    """The found messages alone."""
    return Snapshot(
        (),
        array(U32, [snapshot.uids[index] for index in found]),
        [snapshot.flags[index] for index in found],
        [snapshot.modseqs[index] for index in found],
        [snapshot.sizes[index] for index in found],
        [snapshot.dates[index] for index in found],
        snapshot.keywords,
        snapshot.first_recent_uid,
    )


def scores(tiers: Sequence[int], dates: Sequence[int]) -> list[int]:
    """Of messages by their third (0 to 2) and date; the best one there is has 100."""
    order = sorted(range(len(tiers)), key=lambda at: (tiers[at], dates[at], at))
    marks = [0] * len(tiers)
    highest = max(tiers, default=0)
    for tier in range(highest + 1):
        members = [at for at in order if tiers[at] == tier]
        low = LOWEST + (HIGHEST - LOWEST) * tier // (highest + 1)
        high = LOWEST + (HIGHEST - LOWEST) * (tier + 1) // (highest + 1)
        for rank, at in enumerate(members, 1):
            marks[at] = low + (high - low) * rank // len(members)
    return marks
