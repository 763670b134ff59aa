"""What the worker needs of the settings, in one frozen object; tests make their own."""

from __future__ import annotations

import enum
from pathlib import Path

import attrs

from services.smtp_out.pace import Rates
from services.smtp_out.retry import Schedule
from shared.config.smtp import Dialogues
from shared.contract.types import CHUNK_OCTETS
from shared.model.language import Language


class TlsPolicy(enum.Enum):
    """How a hop's connection is secured."""

    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, any certificate will do, plain when it fails (RFC 7435)
    REQUIRED = "required"  # STARTTLS with chain and name verified, or no delivery
    IMPLICIT = "implicit"  # TLS from the first byte, verified as REQUIRED (RFC 8314 §3)
    DANE = "dane"  # STARTTLS with what the zone's TLSA records ask for, or no delivery (RFC 7672)
    NONE = "none"  # loopback only


SUBMISSIONS_PORT = 465  # RFC 8314 §3.3: TLS from the first byte


def tls_policy(requirement: str, port: int) -> TlsPolicy:
    """The policy of a relay that is said to be "required", "implicit" or "none"."""
    if requirement == "none":
        return TlsPolicy.NONE
    return TlsPolicy.IMPLICIT if requirement == "implicit" or port == SUBMISSIONS_PORT else TlsPolicy.REQUIRED


@attrs.frozen
class SmartHost:
    """A next hop for the mail of many destinations: a relay of the store, or the settings' smart host."""

    host: str  # name or IP address
    port: int
    tls: TlsPolicy = TlsPolicy.REQUIRED
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    ca_file: Path | None = None  # authorities to trust instead of the system's


@attrs.frozen
class Options:
    """Bounds and addresses. Times are in seconds."""

    hostname: str
    smart_host: SmartHost | None = None  # of the settings: for everything that no rule is about
    learns: bool = True  # whether a fallback relay takes what direct delivery is refused for
    mx_port: int = 25
    allow_private: bool = False
    ca_file: Path | None = None  # authorities that MX hosts' certificates are verified against, instead of the system's
    schedule: Schedule = attrs.field(factory=Schedule)
    connect_timeout_seconds: float = 30.0
    # no step waits longer than these, nor than RFC 5321 §4.5.3.2 says
    command_seconds: float = 300.0
    end_seconds: float = 600.0  # for the answer to the final dot
    attempt_limit_seconds: float = 7200.0  # one message to one hop: an end for a peer that reads an octet a minute
    chunking: bool = True  # BDAT where offered
    idle_seconds: float = 5.0  # how long an open session waits for the next message of its destination
    lease_seconds: float = 120.0
    max_leased: int = 2000  # entries held at a time
    batch: int = 200  # entries leased by one call
    max_sessions: int = 100  # messages under way at a time
    max_opening: int = 200  # connections being opened at a time
    max_per_destination: int = 20
    destination_sessions: dict[str, int] = attrs.field(factory=dict)  # those with a bound of their own
    rates: Rates = attrs.field(factory=Rates)
    bounce_header_octets: int = 65536  # of the original's header, at most, in a bounce
    bounce_full_octets: int = CHUNK_OCTETS  # the largest message that RET=FULL returns whole; one read of the store
    language: Language = Language.ENGLISH  # of reports to senders whose mail shows none
    dialogues: Dialogues = Dialogues.TROUBLE  # which attempts' dialogues are kept
    grace_seconds: float = 20.0  # after SIGTERM, for what is under way
    local_names: frozenset[str] = frozenset()  # further names of this server, lower case

    @property
    def own_names(self) -> frozenset[str]:
        """Lower-case names that mean this server; a name without a dot ("localhost") means nobody."""
        return frozenset(name for name in {self.hostname.lower(), *self.local_names} if "." in name)
