"""How many connections are open, in all and per client, and whether one more is allowed.

Only clients with an open connection are remembered, so the table is bounded by the total limit itself. A client is an
IPv4 address or an IPv6 /64; exempt networks, and programs of this machine on Unix sockets (address ""), count towards the total but have no
limit of their own.
"""

from __future__ import annotations

from enum import Enum

from shared.net.networks import NetworkSet, client_key


class Refusal(Enum):
    """Why a connection is refused."""

    TOTAL = "too many connections"
    PER_CLIENT = "too many connections from your address"


class ConnectionLimits:
    """The count of open connections of one process."""

    def __init__(self, total: int, per_client: int, exempt: NetworkSet | None = None) -> None:
        """At most `total` connections and `per_client` from one client; both at least 1."""
        if total < 1 or per_client < 1:
            raise ValueError("a connection limit is at least 1")
        self._total = total
        self._per_client = per_client
        self._exempt = exempt if exempt is not None else NetworkSet()
        self._open = 0
        self._clients: dict[tuple[int, int], int] = {}

    def acquire(self, ip: str, *, exempt: bool = False) -> Refusal | None:
        """Counts one more connection of `ip` and returns None; or counts nothing and says why not.

        `exempt`: only the total counts, as for a proxy that stands for many clients.
        """
        if self._open >= self._total:
            return Refusal.TOTAL
        key = _key(ip)
        count = self._clients.get(key, 0)
        if count >= self._per_client and not exempt and ip and ip not in self._exempt:
            return Refusal.PER_CLIENT
        self._open += 1
        self._clients[key] = count + 1
        return None

    def move(self, ip: str, to: str) -> Refusal | None:
        """Counts an acquired connection of `ip` as one of `to` and returns None; or changes nothing and says why not."""
        self.release(ip)
        refusal = self.acquire(to)
        if refusal is not None:
            self.acquire(ip, exempt=True)
        return refusal

    def release(self, ip: str) -> None:
        """Takes back one successful `acquire` of the same address."""
        key = _key(ip)
        count = self._clients[key]
        self._open -= 1
        if count > 1:
            self._clients[key] = count - 1
        else:
            del self._clients[key]

    def statistics(self) -> dict[str, int]:
        """Open connections and distinct clients."""
        return {"open": self._open, "clients": len(self._clients)}


def _key(ip: str) -> tuple[int, int]:
    return client_key(ip) if ip else (0, 0)
