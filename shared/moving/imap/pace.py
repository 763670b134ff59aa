"""No faster than so many octets a second, over all connections. Pure: the time comes in."""

import attrs


@attrs.define
class Pace:
    octets_per_second: int
    """0: as fast as it goes."""
    _free_at: float = 0.0

    def delay(self, octets: int, now: float) -> float:
        """Seconds to wait after so many octets have come."""
        if not self.octets_per_second:
            return 0.0
        self._free_at = max(self._free_at, now) + octets / self.octets_per_second
        return self._free_at - now
