"""What travels about rights, annotations and quota."""

from enum import StrEnum

import attrs


@attrs.frozen
class AclEntry:
    """RFC 4314 §2. ``identifier``: an account's address or ``anyone``, with ``-`` before it where the rights are denied."""

    identifier: str
    rights: int


class AclChange(StrEnum):
    """RFC 4314 §3.1."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@attrs.frozen
class Annotation:
    """RFC 5464. ``name`` in full, lower case (``/private/comment``); ``value`` None: there is none, or it is to go."""

    name: str
    value: bytes | None


class AnnotationDepth(StrEnum):
    """RFC 5464 §4.2.2."""

    ZERO = "0"
    ONE = "1"
    INFINITY = "infinity"


@attrs.frozen
class Annotations:
    """Of one mailbox. ``longest``: octets of the longest value that was left out for its size, 0 when none was."""

    entries: tuple[Annotation, ...]
    longest: int = 0


@attrs.frozen
class Quota:
    """What an account holds and may hold (None: no limit), or all accounts of a domain, whose ``address`` is ``@domain``."""

    address: str
    messages: int
    octets: int
    most_messages: int | None
    most_octets: int | None


@attrs.frozen
class Recounted:
    """Counters as they were kept, and as they are after everything was counted anew: equal where all is well."""

    before: Quota
    now: Quota
    mailboxes: int = 0
    """Of which the counters were wrong."""
