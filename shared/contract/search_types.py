"""What travels in searches."""

from enum import StrEnum
from typing import Final

import attrs

from shared.model.ids import Uid

MAX_TERM_CHARACTERS: Final = 4096
"""Of a text that the store searches for."""


class SearchScope(StrEnum):
    TEXT = "text"
    """The whole header, decoded, and what BODY is."""
    BODY = "body"
    """Text of all text parts, and the headers of parts."""
    FIELD = "field"
    """The value of a header field, decoded."""


@attrs.frozen
class SearchTerm:
    """One text to look for; what is searched is what ``shared.mail.search_text`` makes of a message."""

    scope: SearchScope
    text: str
    """Folded by ``shared.mail.search_text.fold``; at most MAX_TERM_CHARACTERS."""
    field: str = ""
    """With FIELD: its name, lower case."""


@attrs.frozen
class SearchAnswer:
    """Exact for what is indexed. Messages that were expunged may be among both."""

    uids: bytes
    """u32, ascending: messages that match"""
    unindexed: bytes
    """u32, ascending: messages that have to be read to know"""
    through_uid: Uid
    """The answer is complete up to this UID; whoever wants more asks on from the next."""


@attrs.frozen
class SearchStatus:
    """The text search index."""

    enabled: bool
    running: bool
    """Whether the indexer is at work."""
    rebuilding: bool
    """Whether a rebuild was asked for and is not done."""
    indexed: int
    """Contents in the index (a content that is in several mailboxes counts once; some may be gone)."""
    tail: int
    """Contents that came after what was indexed last."""
    done: int
    """Contents that the run under way has indexed."""
    octets: int
    """On the disk."""
    rebuilds: int
    """Finished since the store started."""
    failure: str
    """Of the last run; empty when it went well."""
