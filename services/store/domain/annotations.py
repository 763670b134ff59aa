"""Names of annotations: what one is, and which ones a request means. RFC 5464 §3.1, §4.2.2; pure."""

from collections.abc import Iterable
from typing import Final

import attrs

from shared.contract.sharing_types import AnnotationDepth
from shared.errors import BadRequest

PRIVATE: Final = "/private"
SHARED: Final = "/shared"
MAX_NAME_OCTETS: Final = 256
MAX_COMPONENTS: Final = 16


@attrs.frozen
class EntryName:
    """``name`` begins with a slash and is without the part that says whose it is."""

    private: bool
    name: str

    @property
    def full(self) -> str:
        return (PRIVATE if self.private else SHARED) + self.name


def parse_entry(full: str, *, may_be_root: bool = False) -> EntryName:
    """RFC 5464 §3.1: names are compared without case. ``may_be_root``: ``/shared`` alone. Raises BadRequest."""
    folded = full.lower()
    for private, prefix in ((True, PRIVATE), (False, SHARED)):
        rest = folded[len(prefix) :]
        if folded.startswith(prefix) and (rest.startswith("/") or (may_be_root and not rest)):
            _check(rest)
            return EntryName(private, rest)
    raise BadRequest("an entry begins with /private/ or /shared/")


def _check(name: str) -> None:
    if len(name) > MAX_NAME_OCTETS or name.count("/") > MAX_COMPONENTS:
        raise BadRequest("entry name is too long")
    # RFC 5464 §3.1: no "*", "%", non-ASCII, 0x00 to 0x19, "//", and no "/" at the end
    if "//" in name or name.endswith("/") or any(c in "*%" or not " " <= c < "\x7f" for c in name):
        raise BadRequest("not an entry name")


def matches(name: str, wanted: Iterable[str], depth: AnnotationDepth) -> bool:
    """Whether an entry is one of those wanted or lies below one, as deep as was asked."""
    for root in wanted:
        if name == root:
            return True
        if depth is AnnotationDepth.ZERO or not name.startswith(root + "/"):
            continue
        if depth is AnnotationDepth.INFINITY or "/" not in name[len(root) + 1 :]:
            return True
    return False
