"""Which pack is worth being written anew. Pure."""

from collections.abc import Collection, Sequence
from typing import Final

import attrs

PACK_HEADER_OCTETS: Final = 16
RESERVE_OCTETS: Final = 64 * 1024 * 1024
"""Stays free for mail that comes in meanwhile: space is given back only after it was taken twice."""


@attrs.frozen
class PackState:
    """One row of the packs. ``dead_octets``: of records that nothing names."""

    number: int
    octets: int
    dead_octets: int
    retired: bool = False

    @property
    def live_octets(self) -> int:
        return max(0, self.octets - self.dead_octets)


def choose(packs: Sequence[PackState], live_percent: int, skip: Collection[int], free_octets: int) -> PackState | None:
    """The pack that gives back the most, of those that are sealed (all but the newest) and live to less than ``live_percent``.

    None too large for the disk's free octets: there would be no room for mail.
    """
    newest = max((pack.number for pack in packs), default=0)
    worth = [
        pack
        for pack in packs
        if pack.number < newest
        and not pack.retired
        and pack.number not in skip
        and pack.live_octets * 100 < pack.octets * live_percent
        and (pack.live_octets <= PACK_HEADER_OCTETS or free_octets >= 2 * pack.live_octets + RESERVE_OCTETS)
    ]
    return max(worth, key=lambda pack: (pack.dead_octets, -pack.number), default=None)
