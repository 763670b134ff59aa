"""What a sender asks of its message's way: of TLS, of when it leaves, of by when it arrives."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum

import attrs


class TlsWish(StrEnum):
    """RFC 8689."""

    ANY = ""
    """As the domain of the recipient wants it."""
    REQUIRED = "required"
    """REQUIRETLS: verified TLS at every hop, or back to the sender."""
    OPTIONAL = "optional"
    """TLS-Required: No: sent whatever the domain of the recipient promises about TLS."""


class ByMode(StrEnum):
    """RFC 2852 §4: what follows when a message is late."""

    NONE = ""
    RETURN = "R"
    """It goes back."""
    NOTIFY = "N"
    """Its sender is told, and it goes on."""


@attrs.frozen
class Wishes:
    """Of one message. Times are seconds since 1970."""

    tls: TlsWish = TlsWish.ANY
    held_until: float = 0.0
    """Nobody gets it before; 0: at once."""
    deliver_by: float = 0.0
    """When it is late; only with a mode."""
    by_mode: ByMode = ByMode.NONE
    by_trace: bool = False
    """Each hop that passes it on tells the sender."""

    def in_words(self) -> Iterator[str]:
        """For people, a phrase per wish."""
        if self.tls is TlsWish.REQUIRED:
            yield "TLS required at every hop (REQUIRETLS)"
        elif self.tls is TlsWish.OPTIONAL:
            yield "TLS not required (TLS-Required: No)"
        if self.held_until:
            yield f"held until {_date(self.held_until)}"
        if self.by_mode:
            late = "it goes back" if self.by_mode is ByMode.RETURN else "its sender is told"
            yield f"to be delivered by {_date(self.deliver_by)}, else {late}"


NO_WISHES = Wishes()


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
