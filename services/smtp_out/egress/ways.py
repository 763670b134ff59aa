"""The ways that a message can take to a destination. Pure."""

from __future__ import annotations

import enum

import attrs

from shared.contract.relay_types import SETTINGS


class Kind(enum.Enum):
    DIRECT = "direct"  # the destination's own servers
    IPV4 = "ipv4"  # the same without IPv6
    RELAY = "relay"


@attrs.frozen
class Way:
    """One of them. `relay`: its name."""

    kind: Kind = Kind.DIRECT
    relay: str = ""

    @property
    def direct(self) -> bool:
        return self.kind is not Kind.RELAY

    @property
    def stored(self) -> str:
        """As a `LearnedWay` says it."""
        return self.relay or self.kind.value

    @property
    def words(self) -> str:
        """What a log line and an attempt's history say of it; empty where it goes without saying."""
        if self.kind is Kind.IPV4:
            return "IPv4 only"
        return f"via relay {self.relay}" if self.relay and self.relay != SETTINGS else ""

    def hop_key(self, destination: str) -> str:
        """What shares sessions: a relay takes everything, a direct way its own destination only."""
        if self.kind is Kind.RELAY:
            return f"(relay {self.relay})"
        return f"{destination} (IPv4)" if self.kind is Kind.IPV4 else destination


DIRECT = Way()
IPV4 = Way(Kind.IPV4)


def relay_way(name: str) -> Way:
    """Through a relay."""
    return Way(Kind.RELAY, name)


@attrs.frozen
class Choice:
    """The way of a message."""

    way: Way = DIRECT
    automatic: bool = False  # no rule says so, results may change it
    probe: bool = False  # whether the direct way works again


BY_DEFAULT = Choice()
