"""How fast something reads: so many octets a second, whatever else the disk could give. Pure but for the clock and the sleep passed in."""

import time
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 0.25
"""What was not used is not saved up for longer than this."""
LONGEST_SLEEP_SECONDS: Final = 1.0


class Pace:
    """``take`` returns when so many octets more may be read. ``octets_per_second`` 0: at once."""

    def __init__(
        self,
        octets_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = octets_per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()
        """When all that was taken has been paid for."""
        self.octets = 0

    def take(self, octets: int) -> None:
        """Wait until what was taken before is paid for, then take."""
        self.octets += octets
        if not self._rate:
            return
        while (ahead := self._free_at - self._clock()) > 0:
            self._sleep(min(ahead, LONGEST_SLEEP_SECONDS))
        self._free_at = max(self._free_at, self._clock() - BURST_SECONDS) + octets / self._rate
