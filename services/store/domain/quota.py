"""Quota: whether there is room, what a client is shown, and when whose owner is warned. Pure rules.

A quota root is an account (called by its address) or a domain (``@example.org``), which holds what its accounts hold. RFC 9208.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs

from shared.contract.sharing_types import Quota
from shared.errors import OverQuota

FALL_PERCENT: Final = 2
"""A warning may come again once so much less than its mark is held: one message more or less at the mark is not news each time."""

LEAST_OCTETS: Final = 256 * 1024
LEAST_MESSAGES: Final = 100
"""Below these limits nobody is warned: the warning itself would fill what it warns of."""


class RootKind(StrEnum):
    ACCOUNT = "account"
    DOMAIN = "domain"


@attrs.frozen
class Root:
    """Whose quota: an account's or a domain's, by its number."""

    kind: RootKind
    id: int


def is_limited(quota: Quota) -> bool:
    return quota.most_messages is not None or quota.most_octets is not None


def with_more(quota: Quota, messages: int, octets: int) -> Quota:
    return attrs.evolve(quota, messages=quota.messages + messages, octets=quota.octets + octets)


def check(quota: Quota, more_messages: int, more_octets: int) -> None:
    """RFC 9208 §4.3.1. What makes less is never refused. Raises OverQuota."""
    most_messages, most_octets = quota.most_messages, quota.most_octets
    if more_messages > 0 and most_messages is not None and quota.messages + more_messages > most_messages:
        raise OverQuota(f"{most_messages} messages{_of_domain(quota)}")
    if more_octets > 0 and most_octets is not None and quota.octets + more_octets > most_octets:
        raise OverQuota(f"{most_octets} octets{_of_domain(quota)}")


def _of_domain(quota: Quota) -> str:
    return f" in {quota.address[1:]}" if quota.address.startswith("@") else ""


def room_octets(quota: Quota) -> int | None:
    """What fits; None: there is no limit on octets and it is not full."""
    if quota.most_messages is not None and quota.messages >= quota.most_messages:
        return 0
    return None if quota.most_octets is None else max(0, quota.most_octets - quota.octets)


def shown(own: Quota, domain: Quota) -> Quota:
    """What an account is shown: its limit is its own, or what is left of its domain's where that is less.

    So its mail program says that it is full when it is; what others of the domain hold stays theirs.
    """
    return attrs.evolve(
        own,
        most_messages=_nearest(own.most_messages, own.messages, domain.most_messages, domain.messages),
        most_octets=_nearest(own.most_octets, own.octets, domain.most_octets, domain.octets),
    )


def _nearest(own_most: int | None, own_held: int, domain_most: int | None, domain_held: int) -> int | None:
    if domain_most is None:
        return own_most
    reachable = own_held + max(0, domain_most - domain_held)
    return reachable if own_most is None else min(own_most, reachable)


def mark(quota: Quota, warned: int, marks: Sequence[int]) -> int:
    """The mark (percent, one of ``marks``) that stands after what was counted, 0 for none; ``warned`` is the one that stood before.

    Higher than that: somebody is to be warned. A mark falls only by FALL_PERCENT below it.
    """
    highest = 0
    most_messages, most_octets = quota.most_messages or 0, quota.most_octets or 0
    for percent in sorted(marks):
        least = percent - FALL_PERCENT if percent <= warned else percent
        by_messages = most_messages >= LEAST_MESSAGES and quota.messages * 100 >= least * most_messages
        by_octets = most_octets >= LEAST_OCTETS and quota.octets * 100 >= least * most_octets
        if percent and (by_messages or by_octets):
            highest = percent
    return highest
