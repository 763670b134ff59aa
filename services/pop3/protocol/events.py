"""What a connection asks its session to do. Small and many, so slotted and frozen."""

from __future__ import annotations

from array import array

from attrs import frozen

from services.pop3.protocol.drop import Listing
from shared.sasl.credentials import ClientMessage, Credentials


@frozen
class Reply:
    """Send these octets."""

    data: bytes


@frozen
class Goodbye:
    """Send these octets and close; nothing follows. `why` is for the log."""

    data: bytes
    why: str


@frozen
class StartTls:
    """Send the reply, then negotiate TLS, then `tls_started`. So many octets behind STLS were thrown away."""

    data: bytes
    discarded_octets: int


@frozen
class Login:
    """Check these, then `login_succeeded`, `login_failed` or `login_refused`."""

    credentials: Credentials


@frozen
class Scram:
    """A message of a SCRAM exchange for the store: `challenge` goes on; `login_malformed` or what `Login` wants ends it."""

    message: ClientMessage


@frozen
class Retrieve:
    """Send the whole message as a multi-line answer."""

    number: int


@frozen
class Top:
    """Send the header and so many lines of the body as a multi-line answer."""

    number: int
    lines: int


@frozen
class List:
    """Send `drop.render(listing)`, before the next event is asked for."""

    listing: Listing


@frozen
class Update:
    """Remove these messages, if there are any, and remember what was fetched; then `update_done`."""

    uids: array[int]


Event = Reply | Goodbye | StartTls | Login | Scram | Retrieve | Top | List | Update
