"""The base subject, by which messages are sorted and threaded: a subject without "Re:", "[list]", "(fwd)" and the like.

RFC 5256 §2.1 and §5. Linear in the subject but for forwards within forwards, each of which costs one look at what is inside.
"""

import re
from typing import Final, NamedTuple

_SPACES: Final = re.compile(r"[ \t\r\n]+")
# RFC 5256 §5: subj-blob = "[" *BLOBCHAR "]" *WSP
_BLOB: Final = r"\[[^\[\]]*+\][ \t]*+"
_BLOBS: Final = re.compile(rf"(?:{_BLOB})++")
# RFC 5256 §5: subj-leader = (*subj-blob subj-refwd) / WSP; subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
_LEADER: Final = re.compile(rf"(?:{_BLOB})*+(?:re|fwd?+)[ \t]*+(?:{_BLOB})?+:", re.IGNORECASE)
_TRAILER: Final = "(fwd)"
_FORWARD: Final = "[fwd:"


class BaseSubject(NamedTuple):
    text: str
    """As written; compared by its collation (``shared.mail.collation``)."""
    is_reply: bool
    """RFC 5256 §3: whether anything was taken off that a reply or a forward has."""


def base_subject(subject: str) -> BaseSubject:
    """Of a decoded subject."""
    # RFC 5256 §2.1 (1)
    text = _SPACES.sub(" ", subject)
    is_reply = False
    while True:
        text, trailed = _without_trailers(text)
        text, led = _without_leaders(text)
        is_reply |= trailed or led
        # RFC 5256 §2.1 (6)
        if len(text) <= len(_FORWARD) or not text.endswith("]") or text[: len(_FORWARD)].lower() != _FORWARD:
            return BaseSubject(text, is_reply)
        text = text[len(_FORWARD) : -1]
        is_reply = True


def _without_trailers(text: str) -> tuple[str, bool]:
    """RFC 5256 §2.1 (2)"""
    found = False
    text = text.rstrip(" ")
    while text[-len(_TRAILER) :].lower() == _TRAILER:
        text = text[: -len(_TRAILER)].rstrip(" ")
        found = True
    return text, found


def _without_leaders(text: str) -> tuple[str, bool]:
    """RFC 5256 §2.1 (3) to (5)"""
    found = False
    position = 0
    while True:
        while text[position : position + 1] == " ":
            position += 1
        leader = _LEADER.match(text, position)
        if leader is not None:
            position = leader.end()
            found = True
            continue
        # Here no leader follows the blobs, so none follows fewer of them: all go at once that may go.
        blobs = _BLOBS.match(text, position)
        if blobs is None:
            return text[position:], found
        if blobs.end() < len(text):
            position = blobs.end()
            continue
        # the last blob is the subject where nothing else would be
        return text[text.rindex("[", position) :], found
