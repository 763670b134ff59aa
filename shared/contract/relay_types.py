"""What travels about relays (smart hosts), the rules that choose among them, and the ways that smtp_out has learned."""

from enum import StrEnum
from typing import Final

import attrs

DIRECT: Final = "direct"
"""In a rule or an entry's route: the recipient's own servers."""
BY_RULES: Final = "rules"
"""Said of an entry: no route of its own (kept as an empty one)."""
SETTINGS: Final = "settings"
"""The relay that the settings name (``smtp_out.smart_host``)."""
ANYWHERE: Final = "*"
"""The destination of a learned way that is about port 25 itself."""

MAX_RELAYS: Final = 32
MAX_RULES: Final = 500
MAX_WAYS: Final = 500
MAX_REASON: Final = 200
"""Characters. All bounds together keep a ``RelayPlan`` below MAX_REPLY_OCTETS."""


class RelayTls(StrEnum):
    """How the connection is secured; certificate and name are verified in any case."""

    REQUIRED = "required"
    """STARTTLS; TLS from the first byte on port 465."""
    IMPLICIT = "implicit"
    NONE = "none"
    """Only for a relay on this machine."""


@attrs.frozen
class RelayConfig:
    """What an administrator says of a relay; the password is not in it."""

    host: str
    port: int
    tls: RelayTls = RelayTls.REQUIRED
    username: str = ""
    """Empty: no log-in."""
    daily_cap: int = 0
    """Recipients per day (UTC); 0: no limit."""
    fallback: bool = False
    """Takes what direct delivery is refused for."""


@attrs.frozen
class RelayInfo:
    """A relay as the administrator sees it."""

    name: str
    config: RelayConfig
    sent_today: int
    has_password: bool
    test_asked: bool
    """A test is wanted and not done yet."""
    tested_at: float
    """0: never."""
    test_passed: bool
    test_text: str


@attrs.frozen
class RelayRule:
    """Mail of a sender's domain, to a recipient's domain (empty: any) goes through ``relay``, or ``DIRECT``."""

    sender_domain: str
    recipient_domain: str
    relay: str


@attrs.frozen
class RelayTable:
    """All that an administrator has set."""

    relays: tuple[RelayInfo, ...]
    rules: tuple[RelayRule, ...]


@attrs.frozen
class RelayLogin:
    """A relay as smtp_out uses it."""

    name: str
    config: RelayConfig
    password: str = attrs.field(repr=False)
    test_asked: bool


@attrs.frozen
class LearnedWay:
    """How a destination's mail goes, because another way was refused."""

    destination: str
    """A domain, or ``ANYWHERE``."""
    way: str
    """``ipv4`` or a relay's name."""
    reason: str
    since: float
    until: float
    """From then on one message tries the direct way again."""
    times: int = 1
    """How often it was learned in a row: each time holds twice as long."""
    unreachable: bool = False
    """Nobody answered (else: somebody refused)."""


@attrs.frozen
class RelayPlan:
    """Everything that decides over the way of a message; relays in the order in which they were added."""

    relays: tuple[RelayLogin, ...] = ()
    rules: tuple[RelayRule, ...] = ()
    ways: tuple[LearnedWay, ...] = ()
    version: int = 0
    """Grows with every change of all that."""
