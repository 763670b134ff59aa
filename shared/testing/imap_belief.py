"""What an IMAP client must believe about its mailbox, from the responses alone, whatever it has enabled.

``Belief`` is one connection. It follows the rules of the client's side (RFC 3501 §5.2, §7.3 and §7.4; RFC 7162 §3.2.10 and §6; RFC 9051
§7; RFC 9586 §3) and raises AssertionError for every response that may not come: an unknown number, an EXPUNGE at a wrong time or where
VANISHED was agreed on, a modification sequence that goes back, ``\\Recent`` in IMAP4rev2.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from shared.testing.imap_client import Answer, ImapClient

NO_EXPUNGE: Final = ("FETCH", "STORE", "SEARCH")
"""RFC 3501 §7.4.1: nothing is removed while these run."""
_FETCH: Final = re.compile(rb"\* (\d+) (UIDFETCH|FETCH) \((.*)\)\Z", re.DOTALL)
_CODE: Final = re.compile(
    rb"\* OK \[(HIGHESTMODSEQ|UIDVALIDITY|UIDNEXT|UNSEEN|CLOSED) ?(\d*)\]|OK \[(HIGHESTMODSEQ) (\d+)\]"
)


@attrs.define
class Entry:
    """A message as far as the client knows it."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int = 0


def numbers_in(text: bytes) -> list[int]:
    """The numbers of a set without ``*``."""
    found: list[int] = []
    for piece in text.split(b","):
        low, _, high = piece.partition(b":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


class Belief:
    """One connection. ``enable``: what it turns on after login, and with it what it may be told."""

    def __init__(self, port: int, address: str, password: str, enable: Sequence[str] = ()) -> None:
        self._login = (port, address, password)
        self.enable = tuple(enable)
        self.uidonly = "UIDONLY" in enable
        self.qresync = "QRESYNC" in enable
        self.rev2 = "IMAP4rev2" in enable
        self.condstore = self.qresync or "CONDSTORE" in enable
        self.entries: list[Entry] = []
        """By message sequence number; in UIDONLY their order means nothing."""
        self.uidvalidity = self.uid_next = self.highest_modseq = 0
        self.client = self._connect()
        self.select("SELECT INBOX")
        self.learn()

    def _connect(self) -> ImapClient:
        port, address, password = self._login
        client = ImapClient(port).login(address, password)
        if self.enable:
            assert client.ok("ENABLE " + " ".join(self.enable)).untagged[0].split()[2:] == [
                word.encode() for word in self.enable
            ]
        return client

    # --- commands ---

    def do(self, command: bytes | str) -> Answer:
        """Send a command and take in what comes for it."""
        octets = command.encode() if isinstance(command, str) else command
        answer = self.client.command(octets)
        self.hear(octets.split(None, 1)[0].decode(), answer.untagged, answer.tagged)
        return answer

    def select(self, command: str) -> Answer:
        """SELECT, EXAMINE: everything begins anew, but for what is known of the messages if QRESYNC goes on from it."""
        answer = self.client.ok(command)
        lines = [line for line in answer.untagged if b"[CLOSED]" not in line]
        assert self.rev2 == any(line.startswith(b"* LIST ") for line in lines)
        assert not (self.rev2 and any(b"RECENT" in line or b"[UNSEEN" in line for line in lines))
        self.entries = []
        self.highest_modseq = 0
        self.hear("SELECT", lines, answer.tagged)
        return answer

    def learn(self) -> None:
        """Ask for what the client does not know yet."""
        if any(entry.uid is None or entry.flags is None for entry in self.entries) or self.uidonly:
            self.do("UID FETCH 1:* (UID FLAGS)")

    def come_back(self) -> None:
        """The connection breaks; a new one goes on from what the client knows (RFC 7162 §3.2.5)."""
        if any(entry.uid is None for entry in self.entries):
            # afterwards it asks for what is above the largest UID it knows, so it may know of no gap below that
            self.learn()
        known = {entry.uid: entry for entry in self.entries if entry.uid is not None and entry.flags is not None}
        uidvalidity, modseq, first_unknown = self.uidvalidity, self.highest_modseq, max(known, default=0) + 1
        self.client.close()
        self.client = self._connect()
        answer = self.client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
        self.entries = []
        count = 0
        for line in answer.untagged:
            if line.endswith(b" EXISTS"):
                count = int(line.split()[1])
            elif line.startswith(b"* VANISHED (EARLIER) "):
                for uid in numbers_in(line.split()[3]):
                    known.pop(uid, None)
        # what is left is there; what has come since follows
        self.entries = [known[uid] for uid in sorted(known)]
        assert len(self.entries) <= count, "messages that the client knows are gone, and nobody told"
        self.entries += [Entry() for _ in range(count - len(self.entries))]
        self.highest_modseq = 0
        lines = [line for line in answer.untagged if not line.endswith(b" EXISTS") and b"EARLIER" not in line]
        self.hear("SELECT", lines, answer.tagged)
        if any(entry.uid is None for entry in self.entries):
            self.do(f"UID FETCH {first_unknown}:* (UID FLAGS)")

    # --- responses ---

    def hear(self, name: str, responses: Iterable[bytes], tagged: bytes = b"") -> None:
        """Untagged responses that came while a command of this name ran, and its tagged one."""
        said = heard = 0
        for line in responses:
            words = line.split(None, 3)
            if words[2:3] == [b"EXISTS"]:
                count = int(words[1])
                assert count >= len(self.entries), f"EXISTS may not shrink: {line!r}"
                self.entries += [Entry() for _ in range(count - len(self.entries))]
            elif words[2:3] == [b"EXPUNGE"]:
                assert not self.uidonly, "EXPUNGE where VANISHED was agreed on"
                assert not self.qresync, "EXPUNGE where VANISHED was agreed on"
                assert name not in NO_EXPUNGE, f"EXPUNGE during {name}"
                assert 1 <= int(words[1]) <= len(self.entries)
                del self.entries[int(words[1]) - 1]
            elif words[1] == b"VANISHED":
                self._hear_vanished(name, line)
            elif words[2:3] == [b"RECENT"]:
                assert not self.rev2, "RECENT in IMAP4rev2"
            elif (match := _FETCH.match(line)) is not None:
                heard = max(heard, self._hear_fetch(int(match.group(1)), match.group(2), match.group(3)))
            elif (code := _CODE.match(line)) is not None:
                said = self._hear_code(code) or said
        if (code := _CODE.match(tagged)) is not None:
            said = self._hear_code(code) or said
        # RFC 7162 §6: HIGHESTMODSEQ counts even where a higher MODSEQ was seen, else the highest MODSEQ does
        self.highest_modseq = said or max(self.highest_modseq, heard)

    def _hear_vanished(self, name: str, line: bytes) -> None:
        if b"(EARLIER)" in line:
            assert self.qresync
            return
        assert self.uidonly or self.qresync, "VANISHED without being asked for"
        assert name not in NO_EXPUNGE, f"VANISHED during {name}"
        for uid in numbers_in(line.split()[2]):
            gone = next((entry for entry in self.entries if entry.uid == uid), None) or self._unheard(uid)
            assert gone is not None, f"a message vanished that was never there: {line!r}"
            # by identity: entries of which nothing is known are equal
            at = next(index for index, entry in enumerate(self.entries) if entry is gone)
            del self.entries[at]

    def _unheard(self, uid: int) -> Entry | None:
        """A message whose UID the client has not heard is known to be there all the same: where the UID belongs by its order."""
        end = len(self.entries)
        if not self.uidonly:
            end = next((at for at, entry in enumerate(self.entries) if (entry.uid or 0) > uid), end)
        return next((entry for entry in reversed(self.entries[:end]) if entry.uid is None), None)

    def _hear_fetch(self, number: int, word: bytes, items: bytes) -> int:
        """The modification sequence that was told, 0 for none."""
        assert (word == b"UIDFETCH") == self.uidonly, "FETCH and UIDFETCH"
        uid = int(found.group(1)) if (found := re.search(rb"\bUID (\d+)", items)) is not None else None
        flags = re.search(rb"FLAGS \(([^)]*)\)", items)
        modseq = re.search(rb"MODSEQ \((\d+)\)", items)
        assert self.condstore or modseq is None, "MODSEQ without being asked for"
        entry = self._entry_of_uid(number) if self.uidonly else self._entry_of_number(number, uid)
        if flags is not None:
            names = frozenset(flags.group(1).decode().split())
            assert not (self.rev2 and "\\Recent" in names)
            entry.flags = names - {"\\Recent"}
        if modseq is None:
            return 0
        assert int(modseq.group(1)) >= entry.modseq, "a modification sequence went back"
        entry.modseq = int(modseq.group(1))
        return entry.modseq

    def _entry_of_number(self, number: int, uid: int | None) -> Entry:
        assert 1 <= number <= len(self.entries), f"FETCH of an unknown number {number}"
        entry = self.entries[number - 1]
        if uid is not None:
            assert entry.uid in (None, uid), "a message sequence number changed its message"
            entry.uid = uid
        return entry

    def _entry_of_uid(self, uid: int) -> Entry:
        for entry in self.entries:
            if entry.uid == uid:
                return entry
        entry = next((entry for entry in self.entries if entry.uid is None), None) or Entry()
        assert any(each is entry for each in self.entries), f"UIDFETCH of an unknown message {uid}"
        entry.uid = uid
        return entry

    def _hear_code(self, code: "re.Match[bytes]") -> int:
        """HIGHESTMODSEQ, 0 for another code."""
        name, value = code.group(1) or code.group(3), int(code.group(2) or code.group(4) or 0)
        if name == b"UIDVALIDITY":
            self.uidvalidity = value
        elif name == b"UIDNEXT":
            self.uid_next = value
        return value if name == b"HIGHESTMODSEQ" else 0

    # --- what is believed ---

    def uids(self) -> list[int | None]:
        return [entry.uid for entry in self.entries]

    def state(self) -> list[tuple[int | None, frozenset[str] | None]]:
        """UIDs with flags, by UID."""
        return sorted(((entry.uid, entry.flags) for entry in self.entries), key=lambda pair: pair[0] or 0)
