"""The policies that are remembered, by domain; bounded, written to and read from bytes. Pure: times are passed in.

Laws
- A policy is used until its max_age is over, whatever has become of the record and the web server (RFC 8461 §3.3): who cuts
  us off from both must not get the mail in plain text.
- At most `entries` policies and MAX_CACHE_OCTETS of names; the least recently used goes first.
- Bytes that are not a cache give an empty one: the policies are then fetched again.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from services.smtp_out.mta_sts.policy import Policy, make_policy

MAX_CACHE_OCTETS = 4 * 1024 * 1024  # names and patterns; also what the file may have, about
REFRESH_SECONDS = 86_400.0  # RFC 8461 §3.3 suggests once per day
_UNUSED_SECONDS = 30 * 86_400.0  # a domain nobody has written to for so long is not asked again; its policy may end
_FORMAT = 1
_LATEST = 1e11  # seconds since the epoch that a file may say: some thousand years
_ENTRY_OCTETS = 200  # of an entry without its names, about


@attrs.frozen
class Kept:
    """A policy with what is known of it. Times are seconds since the epoch."""

    domain: str
    identity: str  # the record's id when it was fetched
    policy: Policy
    fetched_at: float
    used_at: float

    @property
    def ends_at(self) -> float:
        return self.fetched_at + self.policy.max_age_seconds

    @property
    def octets(self) -> int:
        return _ENTRY_OCTETS + len(self.domain) + sum(map(len, self.policy.patterns))

    def refresh_due(self, now: float) -> bool:
        """Whether to fetch it anew without being asked: after a day, or half of a shorter life, while it is in use."""
        age = now - self.fetched_at
        return age >= min(REFRESH_SECONDS, self.policy.max_age_seconds / 2) and now - self.used_at < _UNUSED_SECONDS


class PolicyCache:
    """`entries`: how many policies at most."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        """The least recently used first."""
        return iter(tuple(self._kept.values()))

    def get(self, domain: str, now: float) -> Kept | None:
        """What holds for the domain now, noted as used."""
        kept = self._kept.get(domain)
        if kept is None:
            return None
        # a clock that went backwards must not make a policy immortal
        if not kept.fetched_at - REFRESH_SECONDS <= now < kept.ends_at:
            self._drop(domain)
            return None
        kept = self._kept[domain] = attrs.evolve(kept, used_at=now)
        self._kept.move_to_end(domain)
        return kept

    def put(self, kept: Kept) -> None:
        """Keep a policy instead of the domain's older one."""
        self._drop(kept.domain)
        self._kept[kept.domain] = kept
        self._octets += kept.octets
        while len(self._kept) > self._entries or self._octets > MAX_CACHE_OCTETS:
            self._drop(next(iter(self._kept)))

    def merge(self, others: Iterable[Kept], now: float) -> None:
        """Take what another process has kept, where it is newer; the ended are left out."""
        for kept in others:
            own = self._kept.get(kept.domain)
            newer = own is None or (own.fetched_at, own.used_at) < (kept.fetched_at, kept.used_at)
            if newer and now < kept.ends_at:
                self.put(kept)

    def due(self, now: float) -> list[Kept]:
        """What to fetch anew."""
        return [kept for kept in self if now < kept.ends_at and kept.refresh_due(now)]

    def _drop(self, domain: str) -> None:
        kept = self._kept.pop(domain, None)
        if kept is not None:
            self._octets -= kept.octets


def build_file(kept: Iterable[Kept]) -> bytes:
    """The file of a cache."""
    rows = [
        [one.domain, one.identity, one.policy.mode.value, one.policy.max_age_seconds, list(one.policy.patterns),
         one.fetched_at, one.used_at]
        for one in kept
    ]  # fmt: skip
    return json.dumps({"format": _FORMAT, "policies": rows}, separators=(",", ":")).encode("ascii")


def parse_file(data: bytes) -> list[Kept]:
    """What is in a file, in its order; rows that are none are left out."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict) or found.get("format") != _FORMAT or not isinstance(found.get("policies"), list):
        return []
    return [kept for row in found["policies"] if (kept := _parse_row(row)) is not None]


def _parse_row(row: Any) -> Kept | None:
    match row:
        case [
            str(domain), str(identity), str(mode), int(max_age), list(patterns), int() | float() as fetched,
            int() | float() as used,
        ] if all(isinstance(pattern, str) for pattern in patterns):  # fmt: skip
            policy = make_policy(mode, max_age, tuple(patterns))
            if policy is not None and max(abs(fetched), abs(used)) < _LATEST:
                return Kept(domain, identity, policy, float(fetched), float(used))
    return None
