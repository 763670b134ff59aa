"""What travels about bans."""

from enum import StrEnum

import attrs


class BanKind(StrEnum):
    ADDRESS = "address"
    """An IPv4 address or an IPv6 /64."""
    NETWORK = "network"
    ACCOUNT = "account"
    """A user name, whether or not there is such an account: open only to where the account logged in from lately."""


@attrs.frozen
class Ban:
    """Logins that are refused for a time."""

    kind: BanKind
    subject: str
    """An address or network in its normal form, or a user name."""
    since: float
    until: float
    """Seconds since the epoch, as ``since``."""
    failures: int
    """That led to it; 0 where an administrator banned."""
    times: int
    """How often in a row it was banned by failures: each ban lasts twice as long as the one before."""
    tried: tuple[str, ...] = ()
    """The last user names that were tried; of an account, the addresses that tried. At most ``TRIED_MAX``."""
    manual: bool = False
    """An administrator's: it holds for everybody."""

    @property
    def key(self) -> str:
        """Bans are listed in the order of these."""
        return f"{self.kind} {self.subject}"


TRIED_MAX = 5
PAGE_BANS = 500
"""Bans in one answer: even with the longest names it stays far below the bound on a frame."""
