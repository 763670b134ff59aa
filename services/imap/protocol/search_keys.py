"""Search keys: the tree that SEARCH, SORT, THREAD and ESEARCH look for messages by.

RFC 3501 §6.4.4, RFC 7162 §3.1.5 (MODSEQ), RFC 5032 §3 (OLDER, YOUNGER), RFC 6203 §3 (FUZZY), RFC 8514 §4.3 (SAVED...), RFC 8474 §5
(EMAILID, THREADID). Pure; compared by value.
"""

from enum import Enum, auto

import attrs

from services.imap.protocol.sequence_set import SequenceSet


class SearchFlag(Enum):
    """RFC 3501 §6.4.4: keys that look at one system flag."""

    ANSWERED = auto()
    DELETED = auto()
    DRAFT = auto()
    FLAGGED = auto()
    SEEN = auto()
    RECENT = auto()


@attrs.frozen
class KeyAll:
    pass


@attrs.frozen
class KeyFlag:
    flag: SearchFlag


@attrs.frozen
class KeyKeyword:
    keyword: str


@attrs.frozen
class KeyNumbers:
    messages: SequenceSet


@attrs.frozen
class KeyUids:
    uids: SequenceSet


class DateField(Enum):
    INTERNAL = auto()
    SENT = auto()
    SAVED = auto()
    """RFC 8514 §4.3."""


class Comparison(Enum):
    BEFORE = auto()
    ON = auto()
    SINCE = auto()


@attrs.frozen
class KeyDate:
    """``day``: days since 1970 as written, time and zone disregarded (RFC 3501 §6.4.4)."""

    field: DateField
    comparison: Comparison
    day: int


@attrs.frozen
class KeySize:
    larger: bool
    octets: int


@attrs.frozen
class KeyHeader:
    """Substring of a header field; an empty text matches every message that has the field."""

    field: str
    text: str


@attrs.frozen
class KeyText:
    """TEXT (``header_too``) and BODY."""

    text: str
    header_too: bool


@attrs.frozen
class KeyModSeq:
    """RFC 7162 §3.1.5."""

    modseq: int


@attrs.frozen
class KeyAge:
    """RFC 5032 §3: the internal date is within the last so many seconds (YOUNGER), or not (OLDER)."""

    older: bool
    seconds: int


@attrs.frozen
class KeyArrived:
    """An internal date at or before an instant (``older``), or after it; what KeyAge becomes when a search begins."""

    older: bool
    instant: int


@attrs.frozen
class KeyObject:
    """RFC 8474 §5: EMAILID or THREADID."""

    thread: bool
    name: str


@attrs.frozen
class KeyFuzzy:
    """RFC 6203 §3."""

    key: "SearchKey"


@attrs.frozen
class KeyNot:
    key: "SearchKey"


@attrs.frozen
class KeyOr:
    left: "SearchKey"
    right: "SearchKey"


@attrs.frozen
class KeyAnd:
    keys: tuple["SearchKey", ...]


SearchKey = (
    KeyAll
    | KeyFlag
    | KeyKeyword
    | KeyNumbers
    | KeyUids
    | KeyDate
    | KeySize
    | KeyHeader
    | KeyText
    | KeyModSeq
    | KeyAge
    | KeyArrived
    | KeyObject
    | KeyFuzzy
    | KeyNot
    | KeyOr
    | KeyAnd
)
