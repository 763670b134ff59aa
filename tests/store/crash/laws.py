"""What must hold of a data directory after a cut, once the store's own recovery has opened it.

- The real recovery (`services.store.server.open_data`) opens it, and reports no damage.
- The real verification (every octet of every pack, every counter, the database's structure) finds nothing.
- What was acknowledged before the cut is there: every mailbox of every owner is to the last UID, flag and content what it was after
  his last acknowledged call, or after the one that followed it. Nothing between the two: a call is done whole or not at all.
- An INBOX holds what was delivered to it, but for what its owner took and its rule let go; its next UID is the first that no committed
  delivery has. A delivery to several accounts and remote recipients is everywhere or nowhere.
- What each pack is said to hold of use is what contents lie in it.
- The queue holds the entries of committed deliveries, but for those that were reported as over; each bounce that went with such a
  report is there.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import attrs
import msgpack
from load import KEEPER, NEWEST, SENDER, Delivered, History, Owned, Sent, digest_of

from services.store import layout
from services.store.pace import Pace
from services.store.packs.record import PACK_HEADER
from services.store.server import Opened, open_data
from services.store.verify.checker import verify_files
from shared.config.load import load_settings
from shared.config.paths import DataPaths
from shared.contract.codec import CODECS
from shared.observe.log import Level, Logger

READ_KIB = 4096
MESSAGES = (
    "SELECT m.mailbox_id, m.uid, m.flags, c.digest, m.octets, c.octets FROM message AS m "
    "LEFT JOIN content AS c ON c.id = m.content_id"
)
MAILBOXES = "SELECT a.address, b.name, b.id, b.uidvalidity, b.uid_next FROM mailbox AS b JOIN account AS a ON a.id = b.account_id"
PACKS = (
    "SELECT p.number, p.octets - p.dead_octets, coalesce((SELECT sum(length) FROM content AS c WHERE c.pack = p.number), 0) "
    "FROM pack AS p"
)
OPERATIONS = "SELECT result FROM operation WHERE method = 'messages.deliver'"
_Rows = dict[int, tuple[int, bytes]]
"""Flags and digest by UID."""


@attrs.define
class Acknowledged:
    """What the log says of the time before the cut."""

    setup: bool = False
    owned: dict[str, int] = attrs.field(factory=dict)
    sent: int = 0
    delivered: set[int] = attrs.field(factory=set)

    @property
    def calls(self) -> int:
        return len(self.delivered) + sum(self.owned.values()) + self.sent

    def note(self, mark: list[object]) -> None:
        match mark:
            case ["setup"]:
                self.setup = True
            case ["owned", str(address), int(number)]:
                self.owned[address] = number
            case ["sent", int(number)]:
                self.sent = number
            case ["delivered", int(number)]:
                self.delivered.add(number)


def recover(root: Path, settings: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Open it as the store does; (what the log says of damage, all that it says)."""
    lines: list[str] = []
    log = Logger("store", Level.WARNING, True, lines.append)
    chosen = load_settings(None, {**settings, "PILLARBOX_DATA": str(root)})
    opened: Opened = open_data(chosen, DataPaths.of(chosen), log)
    opened.appender.close()
    os.close(opened.lock)
    return [line for line in lines if '"error"' in line], lines


def verified(root: Path) -> list[str]:
    """What the store's own verification finds."""
    found: list[str] = []

    def report(line: Mapping[str, object]) -> None:
        if "damage" in line:
            found.append(str(line["damage"]))

    paths = layout.DataPaths(root)
    result = verify_files(layout.database_path(paths), layout.packs_path(paths), Pace(0), report)
    return found or [f"{result.findings.count} damages"] * bool(result.findings.count)


class Laws:
    """Compares a database with what was acknowledged."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_copy = {copy: delivered for delivered in history.deliveries for copy in delivered.copies}
        self._by_entry = {entry: delivered for delivered in history.deliveries for entry in delivered.entries}
        copies = sum(len(delivered.copies) for delivered in history.deliveries)
        assert len(self._by_copy) == copies, "a UID was given twice"
        self._owner_of = {mailbox: address for address, mailbox in history.inboxes.items()}

    def everything(self) -> Acknowledged:
        """What was acknowledged in the whole run."""
        history = self._history
        calls = {address: len(states) - 1 for address, states in history.owned.items()}
        return Acknowledged(True, calls, len(history.sent) - 1, set(range(len(history.deliveries))))

    def broken(self, database: Path, acknowledged: Acknowledged, *, refusals: bool = False) -> list[str]:
        """In words; empty when all holds. ``refusals``: calls were refused, too, and a call whose COMMIT failed may be there after
        a cut, whole, though its client has done something else since: then only what was acknowledged is looked for.
        """
        with closing(sqlite3.connect(database)) as connection:
            messages: dict[int, _Rows] = {}
            wrong = []
            for mailbox, uid, flags, digest, octets, content_octets in connection.execute(MESSAGES):
                messages.setdefault(mailbox, {})[uid] = (flags, digest)
                if octets != content_octets:
                    wrong.append(f"UID {uid} of mailbox {mailbox} has {octets} octets, its content {content_octets}")
            mailboxes = connection.execute(MAILBOXES).fetchall()
            for number, kept, live in connection.execute(PACKS):
                if kept - PACK_HEADER.size != live:
                    wrong.append(f"pack {number}: {kept - PACK_HEADER.size} octets counted as needed, {live} are")
            results = [row[0] for row in connection.execute(OPERATIONS)]
            entries = {row[0] for row in connection.execute("SELECT id FROM queue_entry")}
        committed = self._committed(results, refusals=refusals)
        for number in acknowledged.delivered:
            if self._history.deliveries[number] not in committed:
                wrong.append(f"delivery {number} was acknowledged and is not there")
        if refusals:
            return wrong
        taken: dict[str, frozenset[int]] = {}
        for address in self._history.owned:
            own = {name: row for who, name, *row in mailboxes if who == address and name != "INBOX"}
            state = self._matching(address, acknowledged.owned.get(address, 0), own, messages)
            if isinstance(state, str):
                wrong.append(state)
            else:
                taken[address] = state.taken
        for address, name, mailbox, _, uid_next in mailboxes:
            if name == "INBOX" and address != SENDER:
                wrong += self._inbox(address, mailbox, uid_next, messages.get(mailbox, {}), committed, taken)
        wrong += self._queue(entries, committed, len(messages.get(self._history.inboxes[SENDER], {})), acknowledged.sent)
        return wrong

    def _committed(self, results: list[bytes], *, refusals: bool) -> set[Delivered]:
        found = set()
        decode = CODECS["messages.deliver"].decode_result
        for result in results:
            done = decode(msgpack.unpackb(result, strict_map_key=True))
            known = [self._by_copy.get((copy.mailbox_id, copy.uid)) for copy in done.copies]
            known += [self._by_entry.get(entry) for entry in done.entries]
            if len({*known}) == 1 and known[0] is not None:
                found.add(known[0])
            elif not refusals:
                raise AssertionError(f"an operation that nobody knows: {done}")
        return found

    def _matching(
        self, address: str, number: int, own: Mapping[str, list[int]], messages: Mapping[int, _Rows]
    ) -> Owned | str:
        """The state that the account is in: the last acknowledged one, or the next. In words where it is in neither."""
        states = self._history.owned[address][number : number + 2]
        reasons = []
        for state in states:
            reason = self._difference(address, state, own, messages)
            if not reason:
                return state
            reasons.append(reason)
        return f"{address} after call {number}: {reasons}"

    def _difference(
        self, address: str, state: Owned, own: Mapping[str, list[int]], messages: Mapping[int, _Rows]
    ) -> str:
        if own.keys() != state.boxes.keys():
            return f"mailboxes {sorted(own)} instead of {sorted(state.boxes)}"
        for name, box in state.boxes.items():
            if own[name] != [box.mailbox_id, box.uidvalidity, box.uid_next]:
                return f"{name}: {own[name]} instead of {[box.mailbox_id, box.uidvalidity, box.uid_next]}"
            expected = {uid: (flags, self._digest(address, number)) for uid, (number, flags) in box.messages.items()}
            rows = messages.get(box.mailbox_id, {})
            if rows != expected:
                return f"{name}: UIDs {sorted(rows)} instead of {sorted(expected)}, or other flags or contents"
        return ""

    def _digest(self, address: str, number: int) -> bytes:
        """Negative: what had that UID in the INBOX."""
        if number < 0:
            number = self._by_copy[self._history.inboxes[address], -number].number
        return digest_of(number)

    def _inbox(
        self,
        address: str,
        mailbox: int,
        uid_next: int,
        rows: _Rows,
        committed: set[Delivered],
        taken: Mapping[str, frozenset[int]],
    ) -> list[str]:
        filed = {uid: delivered for delivered in committed for box, uid in delivered.copies if box == mailbox}
        wrong = []
        if uid_next != max(filed, default=0) + 1:
            wrong.append(f"INBOX of {address}: next UID {uid_next}, though {max(filed, default=0)} was the last")
        for uid, (_, digest) in rows.items():
            if uid not in filed or digest != digest_of(filed[uid].number):
                wrong.append(f"INBOX of {address}: UID {uid} is not what was delivered")
        gone = filed.keys() - rows.keys() - taken.get(address, frozenset())
        if address == KEEPER:
            newest = set(sorted(filed)[-NEWEST:])
            gone &= newest
        if gone:
            wrong.append(f"INBOX of {address}: {sorted(gone)} are gone")
        if back := rows.keys() & taken.get(address, frozenset()):
            wrong.append(f"INBOX of {address}: {sorted(back)} were moved away and are there")
        return wrong

    def _queue(self, entries: set[int], committed: set[Delivered], bounces: int, number: int) -> list[str]:
        queued = {entry for delivered in committed for entry in delivered.entries}
        states: list[Sent] = self._history.sent[number : number + 2]
        if any(entries == queued - state.gone and bounces == state.bounces for state in states):
            return []
        state = states[0]
        lacks, has = sorted(queued - state.gone - entries), sorted(entries - (queued - state.gone))
        return [f"the queue lacks {lacks} and has {has}, {bounces} bounces instead of {state.bounces}"]
