"""The database against itself, in one snapshot: what is counted, what is kept, and the file's own structure.

A snapshot of SQLite's log holds up nobody, neither who reads nor who writes. Each part is looked at alone: damage that makes one
unreadable leaves the others.
"""

import sqlite3
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs

from services.store.sql import plain_verify as sql
from services.store.verify.contents import IDS_MAX
from services.store.verify.findings import Findings
from services.store.verify.owners import name_owners
from shared.contract.verify_types import Damage, DamageKind
from shared.model.flags import SystemFlag
from shared.model.ids import UID_MAX

ROWS_MAX: Final = 500
"""Contents or rows of one kind of damage that are named."""
_SEEN: Final = SystemFlag.SEEN.value
_DELETED: Final = SystemFlag.DELETED.value
_UNREADABLE: Final = (sqlite3.Error, TypeError, ValueError, OverflowError, IndexError)
"""What rows of a damaged file do to who reads them."""


@attrs.define
class Counted:
    """What the messages of one mailbox make."""

    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    octets: int = 0
    last_uid: int = 0
    last_modseq: int = 0


@attrs.define
class DatabaseCheck:
    """One pass over the database."""

    connection: sqlite3.Connection
    findings: Findings
    messages: int = 0
    _mailboxes: dict[int, Counted] = attrs.field(factory=dict, init=False)
    _references: "array[int]" = attrs.field(factory=lambda: array("I"), init=False)

    def run(self) -> None:
        """Never raises for what the file holds."""
        self._part("its structure", self._structure)
        self.connection.execute("BEGIN")
        try:
            if self._part("messages", self._messages):
                self._part("contents", self._contents)
                self._part("mailboxes", self._compare_mailboxes)
            self._part("accounts", self._accounts)
            self._part("domains", self._domains)
        finally:
            # a damaged file refuses even that; the snapshot ends with the connection
            with suppress(sqlite3.Error):
                self.connection.execute("COMMIT")

    def _part(self, name: str, check: Callable[[], None]) -> bool:
        try:
            check()
        except _UNREADABLE as error:
            self.findings.add(Damage(DamageKind.DATABASE, f"the database is damaged ({name}): {error}"))
            return False
        return True

    def _structure(self) -> None:
        for (text,) in self.connection.execute(sql.INTEGRITY).fetchall():
            if text != "ok":
                self.findings.add(Damage(DamageKind.DATABASE, f"the database is damaged: {text}"))
        for table, _, parent, _ in self.connection.execute(sql.FOREIGN_KEYS).fetchmany(ROWS_MAX):
            self.findings.add(Damage(DamageKind.DATABASE, f"a row of {table} refers to a row of {parent} that is not there"))

    def _messages(self) -> None:
        """Every message counts: in its mailbox, and at its content."""
        last = int(self.connection.execute(sql.LAST_CONTENT).fetchone()[0])
        if last > IDS_MAX:
            raise ValueError(f"content id {last} is out of bounds")
        self._references = array("I", bytes(4 * (last + 1)))
        dangling: dict[int, str] = {}
        for mailbox_id, uid, content, modseq, flags, octets in self.connection.execute(sql.MESSAGES):
            counted = self._mailboxes.get(mailbox_id)
            if counted is None:
                counted = self._mailboxes[mailbox_id] = Counted()
            # the order of the rows is that of the UIDs: what does not ascend is a damaged tree
            if not counted.last_uid < uid <= UID_MAX:
                self._wrong(f"UID {uid} behind UID {counted.last_uid} in mailbox {mailbox_id}")
            counted.last_uid = uid
            counted.last_modseq = max(counted.last_modseq, modseq)
            counted.messages += 1
            counted.octets += octets
            counted.unseen += not flags & _SEEN
            counted.deleted += bool(flags & _DELETED)
            self.messages += 1
            if 0 < content <= last:
                self._references[content] += 1
            elif len(dangling) < ROWS_MAX:
                dangling[content] = "its content is not known"
        for (content,) in self.connection.execute(sql.QUEUE):
            if 0 < content <= last:
                self._references[content] += 1
            elif len(dangling) < ROWS_MAX:
                dangling[content] = "its content is not known"
        self.findings.add_all(name_owners(self.connection, dangling))

    def _contents(self) -> None:
        """Kept references against counted ones; contents that rows refer to and that are not there."""
        references = self._references
        for content, refs in self.connection.execute(sql.REFERENCES):
            if refs != references[content]:
                self._counter(f"content {content} has {references[content]} references, {refs} are noted")
            references[content] = 0
        missing = (content for content, count in enumerate(references) if count)
        reasons = {content: "its content is not known" for _, content in zip(range(ROWS_MAX), missing, strict=False)}
        for (content,) in self.connection.execute(sql.WRONG_SIZE, (ROWS_MAX,)):
            reasons[content] = "its size is not that of its content"
        for (content,) in self.connection.execute(sql.UNINDEXED, (ROWS_MAX,)):
            reasons[content] = "what is known of its header is gone"
        self.findings.add_all(name_owners(self.connection, reasons))

    def _compare_mailboxes(self) -> None:
        for row in self.connection.execute(sql.MAILBOXES):
            mailbox_id, address, name, uid_next, highest_modseq, *kept = row
            counted = self._mailboxes.pop(mailbox_id, Counted())
            found = (counted.messages, counted.unseen, counted.deleted, counted.octets)
            for word, there, noted in zip(("messages", "unseen", "deleted", "octets"), found, kept, strict=True):
                if there != noted:
                    self._counter(f"{there} {word} counted, {noted} noted", address, name)
            if counted.last_uid >= uid_next:
                self._wrong(f"UID {counted.last_uid} is there, though UIDs go on from {uid_next}", address, name)
            if counted.last_modseq > highest_modseq:
                self._wrong(f"modseq {counted.last_modseq} above the mailbox's {highest_modseq}", address, name)
        for mailbox_id, counted in self._mailboxes.items():
            self._wrong(f"{counted.messages} messages of mailbox {mailbox_id}, which is not there")

    def _accounts(self) -> None:
        for address, *kept_and_found in self.connection.execute(sql.ACCOUNTS):
            kept, found = kept_and_found[:3], kept_and_found[3:]
            for word, noted, there in zip(("mailboxes", "messages", "octets"), kept, found, strict=True):
                if there != noted:
                    what = f"{there} {word} counted, {noted} noted (mend: pillarbox quota recount {address})"
                    self._counter(what, address)

    def _domains(self) -> None:
        for name, *kept_and_found in self.connection.execute(sql.DOMAINS):
            kept, found = kept_and_found[:2], kept_and_found[2:]
            for word, noted, there in zip(("messages", "octets"), kept, found, strict=True):
                if there != noted:
                    self._counter(f"{name}: {there} {word} counted, {noted} noted (mend: pillarbox quota recount {name})")

    def _counter(self, what: str, account: Any = "", mailbox: Any = "") -> None:
        self.findings.add(Damage(DamageKind.COUNTER, what, str(account), str(mailbox)))

    def _wrong(self, what: str, account: Any = "", mailbox: Any = "") -> None:
        self.findings.add(Damage(DamageKind.DATABASE, what, str(account), str(mailbox)))
