"""The tables. Times are seconds since 1970 (REAL where parts of a second matter), digests and packed sets are BLOBs.

Hot scans stay narrow: ``message`` has what SELECT and FETCH FLAGS need and nothing else; the parsed columns, two orders of
magnitude wider, are in ``content_index``. Counters of a mailbox are columns that every write keeps right in its own transaction.
"""

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes a column an alias of its row id only when the type is spelled INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

domain: Final = sa.Table(
    "domain",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),  # A-labels, lower case
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("alias_of", BigId),  # the domain it stands for, which is no alias itself; NULL: a domain of its own
    # what all of its accounts hold, kept right like their counters
    sa.Column("messages", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("octets", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("quota_messages", sa.BigInteger),  # NULL: no limit
    sa.Column("quota_octets", sa.BigInteger),
    sa.Column("quota_warned", sa.Integer, nullable=False, server_default=sa.text("0")),  # percent; 0: nobody is warned now
    sqlite_autoincrement=True,
)

account: Final = sa.Table(
    "account",
    metadata,
    sa.Column("id", BigId, primary_key=True),  # never used again: grants name it
    sa.Column("domain_id", BigId, sa.ForeignKey("domain.id"), nullable=False, index=True),
    sa.Column("address", sa.Text, nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=False),  # argon2id
    sa.Column("created_at", sa.Float, nullable=False),
    # what all of its mailboxes hold, kept right like their counters
    sa.Column("messages", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("octets", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("mailboxes", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("quota_messages", sa.Integer),  # NULL: no limit
    sa.Column("quota_octets", sa.BigInteger),
    sa.Column("quota_warned", sa.Integer, nullable=False, server_default=sa.text("0")),  # percent; 0: its owner is not warned now
    sqlite_autoincrement=True,
)

scram: Final = sa.Table(
    "scram",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("iterations", sa.Integer, nullable=False),
    sa.Column("stored_key", sa.LargeBinary, nullable=False),  # RFC 5802 §3
    sa.Column("server_key", sa.LargeBinary, nullable=False),
)

device: Final = sa.Table(
    "device",
    metadata,
    sa.Column("id", BigId, primary_key=True),  # never used again: grants name it
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),  # as it is compared
    sa.Column("digest", sa.LargeBinary, nullable=False),  # of its password, keyed
    sa.Column("uses", sa.Integer, nullable=False),  # services.store.domain.devices.Uses
    sa.Column("networks", sa.Text, nullable=False),  # with spaces between them
    sa.Column("recipients", sa.Text, nullable=False, server_default=""),  # domains and addresses, a line each; empty: anybody
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("last_used_at", sa.Float),
    sa.Column("last_used_from", sa.Text, nullable=False),
    sa.Column("last_used_by", sa.Text, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),  # of SCRAM-SHA-256, like the next three
    sa.Column("iterations", sa.Integer, nullable=False),
    sa.Column("stored_key", sa.LargeBinary, nullable=False),
    sa.Column("server_key", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("account_id", "name_key"),
    sqlite_autoincrement=True,
)

# What an account has sent on one day; without a row: nothing.
sending: Final = sa.Table(
    "sending",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, nullable=False),  # since 1970, in UTC
    sa.Column("messages", sa.Integer, nullable=False),  # recipients elsewhere, on that day
    sa.Column("new_recipients", sa.Integer, nullable=False),  # of those, not known before
    sa.Column("known", sa.Integer, nullable=False),  # rows in known_recipient
    sa.Column("told_day", sa.Integer, nullable=False),  # when its owner was last told of a limit
    sa.Column("own_messages", sa.Integer),  # its own limits; NULL: as the settings say, 0: none
    sa.Column("own_new_recipients", sa.Integer),
)

known_recipient: Final = sa.Table(
    "known_recipient",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),  # as it is compared
    sa.Column("used_day", sa.Integer, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Who may post to an alias; without a row: everybody.
alias_posting: Final = sa.Table(
    "alias_posting",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("posting", sa.Text, nullable=False),  # shared.contract.group_types.Posting
    sa.Column("owners", sa.Text, nullable=False),  # addresses, a line each
    sqlite_with_rowid=False,
)

# What POP3 does for an account; NULL: as the settings say.
pop3_setting: Final = sa.Table(
    "pop3_setting",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
    sa.Column("dele", sa.Text),  # shared.model.pop3.Dele
    sa.Column("keep_days", sa.Integer),  # of what is hidden; 0: for ever
)

dkim_key: Final = sa.Table(
    "dkim_key",
    metadata,
    sa.Column("domain_id", BigId, sa.ForeignKey("domain.id"), primary_key=True),
    sa.Column("selector", sa.Text, primary_key=True),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # waiting, signing, retired
    sa.Column("private_key", sa.LargeBinary, nullable=False),  # PKCS #8; empty once retired
    sa.Column("public_key", sa.Text, nullable=False),  # the p= of its record
    sa.Column("created_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

alias: Final = sa.Table(
    "alias",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("domain_id", BigId, sa.ForeignKey("domain.id"), nullable=False, index=True),
    sqlite_with_rowid=False,
)

mailbox: Final = sa.Table(
    "mailbox",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("special_use", sa.Text, nullable=False),
    sa.Column("uidvalidity", BigId, nullable=False),
    sa.Column("uid_next", BigId, nullable=False),
    sa.Column("highest_modseq", sa.BigInteger, nullable=False),
    sa.Column("first_recent_uid", BigId, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    sa.Column("unseen", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Integer, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("tombstone_floor", sa.BigInteger, nullable=False),  # tombstones up to this modseq may be forgotten
    sa.Column("acl_version", sa.BigInteger, nullable=False, server_default=sa.text("0")),  # one more with each change
    sa.Column("warned_day", sa.Integer, nullable=False, server_default=sa.text("0")),  # when its owner was told of a client that ran wild
    sa.UniqueConstraint("account_id", "name"),
    sqlite_autoincrement=True,
)

# Rights that others have; the owner has all of them without a row.
acl: Final = sa.Table(
    "acl",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("grantee", BigId, primary_key=True, index=True),  # account, 0: anyone
    sa.Column("negative", sa.Integer, primary_key=True),  # 1: denied
    sa.Column("rights", sa.Integer, nullable=False),  # shared.model.rights
    sqlite_with_rowid=False,
)

annotation: Final = sa.Table(
    "annotation",
    metadata,
    sa.Column("mailbox_id", BigId, primary_key=True),  # 0: of the server
    sa.Column("account_id", BigId, primary_key=True, index=True),  # whose private one; 0: shared
    sa.Column("name", sa.Text, primary_key=True),  # lower case, without /private and /shared
    sa.Column("value", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What a device has hidden and fetched of a mailbox by POP3; see services.store.domain.pop3_view.
pop3_view: Final = sa.Table(
    "pop3_view",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("device_id", BigId, primary_key=True, index=True),  # 0: the main password
    sa.Column("uidvalidity", BigId, nullable=False),
    sa.Column("hidden", sa.LargeBinary, nullable=False),  # packed u32: first and last UID and day of each span
    sa.Column("fetched", sa.LargeBinary, nullable=False),
    sa.Column("hidden_since", sa.Integer, nullable=False),  # the first day of what is hidden; 0: nothing is
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.Column("tidy_at", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

subscription: Final = sa.Table(
    "subscription",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)

# How long messages stay; neither days nor messages: for ever.
retention: Final = sa.Table(
    "retention",
    metadata,
    sa.Column("account_id", BigId, primary_key=True, autoincrement=False),  # 0: every account
    sa.Column("mailbox", sa.Text, primary_key=True),  # name, special use, or empty: every mailbox
    sa.Column("days", sa.Integer),
    sa.Column("messages", sa.BigInteger),
    sa.Column("downloaded_days", sa.Integer),  # since a device first fetched it by POP3
    sqlite_with_rowid=False,
)

keyword: Final = sa.Table(
    "keyword",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),  # bit 8 + slot of message.flags
    sa.Column("name", sa.Text, nullable=False),  # as first written
    sqlite_with_rowid=False,
)

content: Final = sa.Table(
    "content",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("pack", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),  # of the whole record
    sa.Column("octets", sa.BigInteger, nullable=False),  # raw
    sa.Column("refs", sa.Integer, nullable=False),  # messages and queue messages
    sa.Column("unreferenced_at", sa.Float),  # since when refs is 0; kept readable for a while
    sa.Column("buried_at", sa.Float),  # when a message with it last went: kept until nothing can be undone to before that
    sqlite_autoincrement=True,
)
sa.Index(
    "ix_content_buried_at",
    content.c.buried_at,
    sqlite_where=content.c.buried_at.is_not(None),
    postgresql_where=content.c.buried_at.is_not(None),
)
sa.Index(
    "ix_content_unreferenced",
    content.c.unreferenced_at,
    sqlite_where=content.c.unreferenced_at.is_not(None),
    postgresql_where=content.c.unreferenced_at.is_not(None),
)

content_index: Final = sa.Table(
    "content_index",
    metadata,
    sa.Column("content_id", BigId, sa.ForeignKey("content.id"), primary_key=True, autoincrement=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("bodystructure", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("parts", sa.LargeBinary, nullable=False),
    sa.Column("summary", sa.LargeBinary, nullable=False),
)

message: Final = sa.Table(
    "message",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("uid", BigId, primary_key=True),
    sa.Column("content_id", BigId, nullable=False),  # no foreign key: dropping a content would scan all messages
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("flags", sa.BigInteger, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("header_octets", sa.Integer, nullable=False),  # here, so that a maildrop is one narrow scan
    sa.Column("internal_date", sa.BigInteger, nullable=False),
    sa.Column("saved_date", sa.BigInteger, nullable=False),
    sa.Column("email_id", sa.BigInteger, nullable=False),
    sa.Column("thread_id", sa.BigInteger, nullable=False),
    sa.Column("uidl", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

tombstone: Final = sa.Table(
    "tombstone",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("uid", BigId, primary_key=True),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("content_id", BigId, nullable=False),  # readable while the content is still there
    sqlite_with_rowid=False,
)

# Messages that went, as they were then; see services.store.domain.undo.
buried: Final = sa.Table(
    "buried",
    metadata,
    sa.Column("mailbox_id", BigId, primary_key=True),  # may be gone itself, like the content; no foreign keys
    sa.Column("uid", BigId, primary_key=True),
    sa.Column("content_id", BigId, nullable=False),
    sa.Column("flags", sa.BigInteger, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("header_octets", sa.Integer, nullable=False),
    sa.Column("internal_date", sa.BigInteger, nullable=False),
    sa.Column("saved_date", sa.BigInteger, nullable=False),
    sa.Column("email_id", sa.BigInteger, nullable=False),
    sa.Column("thread_id", sa.BigInteger, nullable=False),
    sa.Column("uidl", sa.Text, nullable=False),
    sa.Column("gone_at", sa.Float, nullable=False),
    sa.Column("next_mailbox", BigId),  # where it was moved to, or brought back to; NULL: it is dead
    sa.Column("next_uid", BigId),
    sqlite_with_rowid=False,
)

buried_mailbox: Final = sa.Table(
    "buried_mailbox",
    metadata,
    sa.Column("mailbox_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("account_id", BigId, nullable=False, index=True),
    sa.Column("address", sa.Text, nullable=False, index=True),  # of the account, which may be gone too
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("special_use", sa.Text, nullable=False),
    sa.Column("keywords", sa.Text, nullable=False),  # by slot, a space between them
    sa.Column("gone_at", sa.Float, nullable=False),
)

# Which messages were filed, changed or taken away; see services.store.changed.
change_set: Final = sa.Table(
    "change_set",
    metadata,
    sa.Column("mailbox_id", BigId, sa.ForeignKey("mailbox.id"), primary_key=True),
    sa.Column("modseq", sa.BigInteger, primary_key=True),  # not below any that the set stands for
    sa.Column("uids", sa.LargeBinary, nullable=False),  # packed u32: first and last of each range
    sqlite_with_rowid=False,
)

journal: Final = sa.Table(
    "journal",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # role, and trace where there is one
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("mailbox_id", BigId, nullable=False),
    sa.Column("uids", sa.LargeBinary, nullable=False),  # packed u32: first and last of each range
    sa.Column("detail", sa.LargeBinary, nullable=False),  # msgpack, by what
    sa.Column("account_id", BigId),  # whose owner may undo it; NULL: nothing to undo, or not any more
)
sa.Index(
    "ix_journal_account_id_id",
    journal.c.account_id,
    journal.c.id,
    sqlite_where=journal.c.account_id.is_not(None),
    postgresql_where=journal.c.account_id.is_not(None),
)

# What happened to messages, for people who ask where one is.
passage: Final = sa.Table(
    "passage",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("trace", sa.Text, nullable=False),
    sa.Column("addresses", sa.Text, nullable=False),  # sender, recipients, submitting account (#1) in lower case, a space around each
    sa.Column("detail", sa.LargeBinary, nullable=False),  # msgpack of the Passage
)

operation: Final = sa.Table(
    "operation",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("op_id", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("result", sa.LargeBinary, nullable=False),  # msgpack of the encoded result
)

ban: Final = sa.Table(
    "ban",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("tried", sa.Text, nullable=False),  # divided by line feeds
    sa.Column("manual", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)

known_address: Final = sa.Table(
    "known_address",
    metadata,
    sa.Column("account_id", BigId, sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

pack: Final = sa.Table(
    "pack",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("octets", sa.BigInteger, nullable=False),  # end of the last committed record
    sa.Column("dead_octets", sa.BigInteger, nullable=False),  # records that no content row names
    sa.Column("retired_at", sa.Float),  # since when nothing names it: the file is going to be removed
)

meta: Final = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
