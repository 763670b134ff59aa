"""The maildrop as one session sees it: fixed at login, deletions marked, nothing removed.

Message-numbers count from 1 and never change during a session (RFC 1939 §4). What other sessions or IMAP do in the
meantime is not seen here; reading a message that is gone fails, and deleting it again is no error.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import compress

from services.pop3.protocol import replies

_LINES_PER_CHUNK = 2000
"""A listing is rendered in pieces of about 30 to 100 KB, so that a large maildrop never costs its whole text at once."""


class Listing(Enum):
    """Which multi-line listing."""

    SIZES = "LIST"
    UNIQUE_IDS = "UIDL"


class Drop:
    """Sizes, unique-ids, deletion marks of the messages 1 to n, and which of them the client has."""

    def __init__(
        self, uids: array[int], sizes: array[int], header_octets: array[int], unique_ids: Sequence[str]
    ) -> None:
        """Columns of equal length in message-number order. Raises ValueError when they are not."""
        if not len(uids) == len(sizes) == len(header_octets) == len(unique_ids):
            raise ValueError("columns of different length")
        self._uids = uids
        self._sizes = sizes
        self._header_octets = header_octets
        self._unique_ids = unique_ids
        self._marks = bytearray(len(uids))
        self._fetched = bytearray(len(uids))
        self._total = sum(sizes)
        self._marked = 0
        self._marked_octets = 0

    def __len__(self) -> int:
        """All messages, marked ones too: the highest message-number."""
        return len(self._uids)

    @property
    def messages(self) -> int:
        """How many are not marked."""
        return len(self._uids) - self._marked

    @property
    def octets(self) -> int:
        """Size of those that are not marked."""
        return self._total - self._marked_octets

    def refusal(self, number: int) -> bytes | None:
        """None when `number` names a message that is not marked, else the reply that says so."""
        if not 1 <= number <= len(self._marks):
            return replies.no_such_message(len(self._marks))
        return replies.already_deleted(number) if self._marks[number - 1] else None

    def size(self, number: int) -> int:
        """Octets of the message, dots not stuffed (RFC 1939 §11)."""
        return self._sizes[number - 1]

    def header_octets(self, number: int) -> int:
        """Octets of the header block with the empty line behind it."""
        return self._header_octets[number - 1]

    def uid(self, number: int) -> int:
        """The store's name for the message."""
        return self._uids[number - 1]

    def unique_id(self, number: int) -> str:
        """As stored: 1 to 70 characters of 0x21 to 0x7E (RFC 1939 §7)."""
        return self._unique_ids[number - 1]

    def is_marked(self, number: int) -> bool:
        """Whether DELE was given for it."""
        return bool(self._marks[number - 1])

    def mark(self, number: int) -> None:
        """DELE. Only for a number without `refusal`."""
        self._marks[number - 1] = 1
        self._marked += 1
        self._marked_octets += self._sizes[number - 1]

    def unmark_all(self) -> None:
        """RSET."""
        self._marks = bytearray(len(self._uids))
        self._marked = self._marked_octets = 0

    def marked_uids(self) -> array[int]:
        """What QUIT removes, ascending as the maildrop is."""
        return array(self._uids.typecode, compress(self._uids, self._marks))

    def mark_fetched(self, number: int) -> None:
        """The whole message was sent."""
        self._fetched[number - 1] = 1

    def fetched_uids(self) -> array[int]:
        """What was sent whole, ascending."""
        return array(self._uids.typecode, compress(self._uids, self._fetched))

    def line(self, listing: Listing, number: int) -> bytes:
        """The one-line answer to LIST or UIDL with an argument."""
        if listing is Listing.SIZES:
            return b"+OK %d %d\r\n" % (number, self._sizes[number - 1])
        return f"+OK {number} {self._unique_ids[number - 1]}\r\n".encode("ascii")

    def render(self, listing: Listing) -> Iterator[bytes]:
        """The whole multi-line answer in pieces. To be used up before the next command is looked at."""
        yield replies.LISTING_FOLLOWS
        column: Sequence[int] | Sequence[str] = self._sizes if listing is Listing.SIZES else self._unique_ids
        for start in range(0, len(self._marks), _LINES_PER_CHUNK):
            end = min(start + _LINES_PER_CHUNK, len(self._marks))
            lines = [f"{i + 1} {column[i]}\r\n" for i in range(start, end) if not self._marks[i]]
            if lines:
                yield "".join(lines).encode("ascii")
        yield replies.END
