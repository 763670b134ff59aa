"""Messages of the old server, over several connections; each question is answered whole, whatever becomes of a connection.

A batch that fails twice is asked for message by message: one that the server cannot give, or ends the connection at, is left out with the
server's words, and the others come.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import trio

from shared.moving.imap.framing import ServerViolation
from shared.moving.imap.login import Login, Server
from shared.moving.imap.pace import Pace
from shared.moving.imap.responses import Data, Status, build_uid_set, parse_content
from shared.moving.imap.session import ImapConnection, Line, Refused
from shared.moving.worker import Kind
from shared.moving.workers import MOST_OCTETS, Pending, SourceFailed, Taken, Wanted, Workers
from shared.net.stream import ConnectionLost

ATTEMPTS: Final = 2
GONE: Final = "gone meanwhile"


class ImapReader:
    """Ends with the nursery."""

    def __init__(
        self,
        nursery: trio.Nursery,
        server: Server,
        login: Login,
        workers: Workers,
        uidvalidities: Mapping[bytes, int],
        *,
        jobs: int,
        pace: Pace,
    ) -> None:
        """``uidvalidities``: of mailboxes as they were surveyed."""
        self.count = jobs
        self.inexact: set[bytes] = set()
        """Mailboxes with messages of another size than was announced."""
        self._nursery = nursery
        self._workers = workers
        self._uidvalidities = uidvalidities
        self._pace = pace
        self._send, self._receive = trio.open_memory_channel[tuple[Sequence[Wanted], Pending]](1000)
        for _ in range(jobs):
            nursery.start_soon(self._run, Line(server, login))

    def ask(self, batch: Sequence[Wanted], kind: Kind) -> Pending:
        """Messages of one mailbox."""
        pending = Pending()
        self._send.send_nowait((batch, pending))
        return pending

    async def _run(self, line: Line) -> None:
        try:
            async for batch, pending in self._receive:
                await self._answer(line, batch, pending)
        finally:
            # an orderly end: the old server's log tells of none that broke
            with trio.CancelScope(shield=True):
                await line.close()

    async def _answer(self, line: Line, batch: Sequence[Wanted], pending: Pending) -> None:
        try:
            contents = await self._contents(line, batch)
        except SourceFailed as error:
            pending.failure = error
            pending.done.set()
            return
        self._nursery.start_soon(self._take_apart, batch, contents, pending)
        octets = sum(len(content) for content in contents.values() if isinstance(content, bytes))
        await trio.sleep(self._pace.delay(octets, trio.current_time()))

    async def _take_apart(self, batch: Sequence[Wanted], contents: Mapping[int, bytes | str], pending: Pending) -> None:
        whole = [content for each in batch if isinstance(content := contents[each.offset], bytes)]
        try:
            rows = iter(await self._workers.take_apart(whole).wait())
        except SourceFailed as error:
            pending.failure = error
        else:
            for each in batch:
                content = contents[each.offset]
                row = content if isinstance(content, str) else next(rows)
                if isinstance(row, Taken) and isinstance(content, bytes):
                    row = attrs.evolve(row, content=content)
                    if each.size != len(content):
                        self.inexact.add(each.path)
                pending.rows.append(row)
        pending.done.set()

    async def _contents(self, line: Line, batch: Sequence[Wanted]) -> dict[int, bytes | str]:
        """By UID: octets, or what was wrong. Raises SourceFailed."""
        mailbox = batch[0].path
        found: dict[int, bytes | str] = {
            each.offset: f"UID {each.offset}: larger than {MOST_OCTETS} octets" for each in batch if each.size > MOST_OCTETS
        }
        wanted = [each.offset for each in batch if each.offset not in found]
        await self._fetch(line, mailbox, wanted, found)
        for uid in wanted:
            if uid not in found:
                words = await self._fetch(line, mailbox, [uid], found)
                found.setdefault(uid, f"UID {uid}: {words}" if words else GONE)
        return found

    async def _fetch(self, line: Line, mailbox: bytes, uids: list[int], found: dict[int, bytes | str]) -> str:
        """What was wrong at last; empty: the server was through with it. Raises SourceFailed."""
        words = ""
        for _ in range(ATTEMPTS):
            missing = sorted(uid for uid in uids if uid not in found)
            if not missing:
                return ""
            connection = await line.get()
            try:
                await self._open(connection, mailbox)
                await fetch_contents(connection, missing, found)
            except Refused as error:
                words = str(error)
            except (ConnectionLost, ServerViolation) as error:
                line.drop()
                words = str(error)
            else:
                return ""
        return words

    async def _open(self, connection: ImapConnection, mailbox: bytes) -> None:
        if connection.opened == mailbox:
            return
        there = await connection.examine(mailbox)
        if there.uidvalidity != self._uidvalidities.get(mailbox, 0):
            raise SourceFailed(f"mailbox {mailbox.decode('utf-8', 'replace')} was made anew there meanwhile")


async def fetch_contents(
    connection: ImapConnection, uids: Sequence[int], found: dict[int, bytes | str], section: bytes = b""
) -> None:
    """Into ``found``, whole messages or a section. Raises Refused, ConnectionLost, ServerViolation."""
    asked = set(uids)

    def hear(response: Status | Data) -> None:
        if isinstance(response, Data) and response.kind == "FETCH":
            content = parse_content(response, b"BODY[%b]" % section)
            if content is not None and content[0] in asked:
                found[content[0]] = content[1]

    # RFC 3501 §6.4.5: PEEK sets no \Seen
    await connection.command(b"UID FETCH %b (UID BODY.PEEK[%b])" % (build_uid_set(sorted(uids)), section), hear=hear)
