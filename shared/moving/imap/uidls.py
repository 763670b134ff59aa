"""Which POP3 message is which IMAP message: by order and size, and by the header where that could deceive.

Both lists are INBOX in the order of arrival on almost all servers. So they are laid side by side; if the counts or a single size differ,
or one of the samples has another header, every message is found by its header instead. What is found by neither has no UIDL.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from shared.moving.imap.login import Login, Server
from shared.moving.imap.pop3 import Dropped, Pop3Connection
from shared.moving.imap.reader import fetch_contents
from shared.moving.imap.responses import FetchedRow
from shared.moving.imap.session import ImapConnection

SAMPLES: Final = 10
_BATCH: Final = 200


def header_digest(header: bytes) -> bytes:
    """The same for both protocols, whatever line ends there are and however the header ends."""
    return blake2b(header.replace(b"\r\n", b"\n").rstrip(b"\n"), digest_size=16).digest()


def side_by_side(dropped: Sequence[Dropped], rows: Sequence[FetchedRow]) -> dict[int, Dropped] | None:
    """By UID; None: they do not fit."""
    if len(dropped) != len(rows) or any(d.octets != row.octets for d, row in zip(dropped, rows, strict=True)):
        return None
    return {row.uid: each for each, row in zip(dropped, rows, strict=True)}


def samples_of(rows: Sequence[FetchedRow]) -> list[int]:
    """UIDs whose sizes others have, too, so that the order alone says which is which; some of them, far from each other."""
    by_size: dict[int, int] = defaultdict(int)
    for row in rows:
        by_size[row.octets] += 1
    alike = [row.uid for row in rows if by_size[row.octets] > 1]
    step = max(len(alike) // SAMPLES, 1)
    return sorted({*alike[::step][:SAMPLES], *alike[-1:]})


def by_header(theirs: Mapping[int, bytes], ours: Mapping[int, bytes]) -> dict[int, int]:
    """UID to POP3 number, of digests by number and by UID; those that are alike are paired in their order."""
    numbers: dict[bytes, list[int]] = defaultdict(list)
    for number in sorted(theirs, reverse=True):
        numbers[theirs[number]].append(number)
    return {uid: numbers[ours[uid]].pop() for uid in sorted(ours) if numbers.get(ours[uid])}


@attrs.define
class Pop3Uidls:
    """The maildrop of the old server."""

    server: Server
    login: Login
    unknown: int = 0
    """Messages of INBOX that it did not show."""

    async def match(self, connection: ImapConnection, rows: Sequence[FetchedRow]) -> dict[int, str]:
        """UIDLs by UID of INBOX, which is open in ``connection``. Raises SourceFailed, Refused, ConnectionLost, ServerViolation."""
        if not rows:
            return {}
        pop3 = await Pop3Connection.open(self.server, self.login)
        try:
            found = await self._match(pop3, connection, rows)
        finally:
            await pop3.close()
        self.unknown = len(rows) - len(found)
        return found

    async def _match(
        self, pop3: Pop3Connection, connection: ImapConnection, rows: Sequence[FetchedRow]
    ) -> dict[int, str]:
        dropped = await pop3.listed()
        beside = side_by_side(dropped, rows)
        if beside is not None:
            ours = await _headers(connection, samples_of(rows))
            if all([ours.get(uid) == header_digest(await pop3.header(beside[uid].number)) for uid in ours]):
                return {uid: each.uidl for uid, each in beside.items()}
        theirs = {each.number: header_digest(await pop3.header(each.number)) for each in dropped}
        uidls = {each.number: each.uidl for each in dropped}
        ours = await _headers(connection, [row.uid for row in rows])
        return {uid: uidls[number] for uid, number in by_header(theirs, ours).items()}


async def _headers(connection: ImapConnection, uids: Sequence[int]) -> dict[int, bytes]:
    """Digests by UID."""
    digests: dict[int, bytes] = {}
    for start in range(0, len(uids), _BATCH):
        found: dict[int, bytes | str] = {}
        await fetch_contents(connection, uids[start : start + _BATCH], found, b"HEADER")
        digests |= {uid: header_digest(header) for uid, header in found.items() if isinstance(header, bytes)}
    return digests
