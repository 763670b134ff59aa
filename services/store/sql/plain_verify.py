"""Statements of ``services.store.verify`` as plain text: a short-lived process that does without SQLAlchemy."""

from typing import Final

LAST_CONTENT: Final = "SELECT coalesce(max(id), 0) FROM content"
PACKS: Final = "SELECT number, octets FROM pack WHERE retired_at IS NULL ORDER BY number"
PACK: Final = "SELECT octets FROM pack WHERE number = ? AND retired_at IS NULL"
BY_DIGEST: Final = 'SELECT id, pack, "offset", length, octets FROM content WHERE digest = ?'
CONTENTS: Final = 'SELECT id, digest, pack, "offset", length, octets FROM content WHERE id > ? AND id <= ? ORDER BY id LIMIT ?'
CONTENT: Final = 'SELECT digest, pack, "offset", length, octets FROM content WHERE id = ?'
REFERENCES: Final = "SELECT id, refs FROM content ORDER BY id"
MESSAGES: Final = "SELECT mailbox_id, uid, content_id, modseq, flags, octets FROM message ORDER BY mailbox_id, uid"
QUEUE: Final = "SELECT content_id FROM queue_message"
MAILBOXES: Final = (
    "SELECT b.id, coalesce(a.address, ''), b.name, b.uid_next, b.highest_modseq, b.messages, b.unseen, b.deleted, b.octets "
    "FROM mailbox AS b LEFT JOIN account AS a ON a.id = b.account_id"
)
ACCOUNTS: Final = (
    "SELECT a.address, a.mailboxes, a.messages, a.octets, count(b.id), coalesce(sum(b.messages), 0), coalesce(sum(b.octets), 0) "
    "FROM account AS a LEFT JOIN mailbox AS b ON b.account_id = a.id GROUP BY a.id"
)
DOMAINS: Final = (
    "SELECT d.name, d.messages, d.octets, coalesce(sum(a.messages), 0), coalesce(sum(a.octets), 0) "
    "FROM domain AS d LEFT JOIN account AS a ON a.domain_id = d.id GROUP BY d.id"
)
UNINDEXED: Final = (
    "SELECT c.id FROM content AS c LEFT JOIN content_index AS i ON i.content_id = c.id WHERE i.content_id IS NULL LIMIT ?"
)
WRONG_SIZE: Final = (
    "SELECT m.content_id FROM message AS m JOIN content AS c ON c.id = m.content_id WHERE c.octets <> m.octets LIMIT ?"
)
INTEGRITY: Final = "PRAGMA integrity_check(100)"
FOREIGN_KEYS: Final = "PRAGMA foreign_key_check"


_OWNERS: Final = (
    "SELECT m.content_id, coalesce(a.address, ''), coalesce(b.name, ''), m.uid, m.internal_date, i.summary FROM message AS m "
    "LEFT JOIN mailbox AS b ON b.id = m.mailbox_id LEFT JOIN account AS a ON a.id = b.account_id "
    "LEFT JOIN content_index AS i ON i.content_id = m.content_id WHERE m.content_id IN (*) "
    "ORDER BY m.content_id, m.mailbox_id, m.uid"
)
_QUEUED: Final = (
    "SELECT q.content_id, q.sender, q.queued_at, i.summary FROM queue_message AS q "
    "LEFT JOIN content_index AS i ON i.content_id = q.content_id WHERE q.content_id IN (*) ORDER BY q.id"
)


def owners(count: int) -> str:
    """Who has so many contents, in mailboxes."""
    return _OWNERS.replace("*", ", ".join("?" * count))


def queued(count: int) -> str:
    """Which of so many contents wait in the queue."""
    return _QUEUED.replace("*", ", ".join("?" * count))
