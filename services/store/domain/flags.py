"""Flag bits and keyword slots: what a STORE makes of a message, and what that does to the mailbox's counters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from shared.contract.types import FlagOperation
from shared.errors import BadRequest, LimitExceeded
from shared.model.flags import FIRST_KEYWORD_BIT, MAX_KEYWORD_OCTETS, MAX_KEYWORDS, SystemFlag, split_flag_names
from shared.model.rights import Rights

SEEN: Final = SystemFlag.SEEN.value
DELETED: Final = SystemFlag.DELETED.value
# RFC 9051 §9 (flag-keyword = "$..." / atom): no specials, no controls, no spaces
_ATOM_SPECIALS: Final = frozenset('(){ %*"\\]')


@attrs.frozen
class FlagBits:
    """Bits of a list of flag names, and the keywords that need a new slot for it (in slot order)."""

    bits: int
    new_keywords: tuple[str, ...]


def keyword_slots(names: Sequence[str]) -> dict[str, int]:
    """Slots by folded name. RFC 9051 §2.3.2: keywords are compared without case."""
    return {name.lower(): slot for slot, name in enumerate(names)}


def bits_of(names: Iterable[str], slots: Mapping[str, int], *, create: bool) -> FlagBits:
    """Bits of flag names in a mailbox. Without ``create`` unknown keywords have no bit. Raises LimitExceeded, BadRequest."""
    bits, keywords = split_flag_names(names)
    new: list[str] = []
    for name in keywords:
        slot = slots.get(name.lower())
        if slot is None:
            if not create:
                continue
            check_keyword(name)
            slot = len(slots) + len(new)
            if slot >= MAX_KEYWORDS:
                raise LimitExceeded(f"{MAX_KEYWORDS} keywords per mailbox")
            new.append(name)
        bits |= 1 << (FIRST_KEYWORD_BIT + slot)
    return FlagBits(bits, tuple(new))


def check_keyword(name: str) -> None:
    """Raises BadRequest, LimitExceeded."""
    if len(name) > MAX_KEYWORD_OCTETS:
        raise LimitExceeded("keyword is too long")
    if not name or not name.isascii() or any(c in _ATOM_SPECIALS or not 32 < ord(c) < 127 for c in name):
        raise BadRequest("not a keyword")


@attrs.frozen
class FlagChange:
    """What becomes of flags: those of ``keep`` stay, those of ``add`` are set."""

    keep: int
    add: int

    def of(self, flags: int) -> int:
        return (flags & self.keep) | self.add


def flag_change(operation: FlagOperation, bits: int, kept: int = 0) -> FlagChange:
    """RFC 9051 §6.4.6. ``kept``: the bits that REPLACE must leave as they are (RFC 4314 §4)."""
    if operation is FlagOperation.ADD:
        return FlagChange(-1, bits)
    return FlagChange(~bits, 0) if operation is FlagOperation.REMOVE else FlagChange(kept, bits)


def permitted_mask(rights: Rights) -> int:
    """The bits that rights let an account change: RFC 4314 §4, "Changing flags"."""
    mask = 0
    if rights & Rights.SEEN:
        mask |= SEEN
    if rights & Rights.DELETE_MESSAGES:
        mask |= DELETED
    if rights & Rights.WRITE:
        mask |= ~(SEEN | DELETED)
    return mask


def translate(bits: int, table: Mapping[int, int]) -> int:
    """Bits of one mailbox in another's slots; ``table`` maps slot to slot, slots that it lacks are dropped."""
    translated = bits & ((1 << FIRST_KEYWORD_BIT) - 1)
    rest = bits >> FIRST_KEYWORD_BIT
    slot = 0
    while rest:
        if rest & 1 and slot in table:
            translated |= 1 << (FIRST_KEYWORD_BIT + table[slot])
        rest >>= 1
        slot += 1
    return translated
