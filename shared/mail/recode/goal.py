"""What a message is made fit for, what the survey decided, and why it cannot be."""

from __future__ import annotations

from enum import Enum, IntEnum

import attrs

MAX_LINE_OCTETS = 998  # RFC 2045 §2.7, §2.8: of 7bit and 8bit data, without CRLF
MAX_HEADER_OCTETS = 512 * 1024  # of one header block: what smtp_in takes by default
MAX_FIELDS = 1000  # of one header block that are not ASCII
MAX_FIELD_OCTETS = 64 * 1024  # of each of those
MAX_PARTS = 1000
MAX_DEPTH = 32
MAX_BOUNDARY_OCTETS = 200  # RFC 2046 §5.1.1 allows 70; as in `shared.mail.limits`


class Goal(Enum):
    """The narrower transport."""

    SEVEN_BIT = "7bit"
    """No octet above 127 anywhere (no 8BITMIME)."""
    ASCII_HEADERS = "ascii headers"
    """Header fields in ASCII, bodies as they are (8BITMIME, no SMTPUTF8)."""
    LINES = "lines"
    """No bare CR, bare LF or NUL: 8bit lines of what came as BINARYMIME."""


class Fault(Enum):
    """Why not."""

    SIGNED = "it is signed, and a conversion would break the signature"
    ENCODING = "a part has an encoding that is not known"
    FRAGMENT = "it is a fragment or a reference that must not be encoded"
    BOUNDARY = "a boundary between its parts cannot be written in ASCII"
    TOO_COMPLEX = "it has too many parts within each other or too long a header"
    ADDRESS = "an address in its header cannot be written in ASCII"
    BARE_NEWLINE = "a bare CR or LF or a NUL stands outside of its parts"


class Unconvertible(Exception):
    """The message cannot be made fit. `detail` names the address, where it is one."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)
        self.fault = fault
        self.detail = detail


class Change(IntEnum):
    """What becomes of one entity; fits a byte."""

    KEEP = 0
    QUOTED_PRINTABLE = 1
    BASE64 = 2
    LABEL_7BIT = 3
    """The content stays, Content-Transfer-Encoding does not say more than is true."""
    LABEL_8BIT = 4


LABELS = {
    Change.QUOTED_PRINTABLE: b"quoted-printable",
    Change.BASE64: b"base64",
    Change.LABEL_7BIT: b"7bit",
    Change.LABEL_8BIT: b"8bit",
}


@attrs.frozen
class Plan:
    """What the second pass does: a `Change` for each entity, in the order of their headers."""

    goal: Goal
    needed: bool
    changes: bytes = attrs.field(repr=False)
