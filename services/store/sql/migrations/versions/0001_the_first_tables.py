"""The first tables.

Revision 0001, after None.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _directory()
    _mailboxes()
    _contents()
    _messages()
    _queue()
    _bookkeeping()


def _directory() -> None:
    op.create_table(
        "domain",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domain"),
        sa.UniqueConstraint("name", name="uq_domain_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "account",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("domain_id", BIG_ID, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_account_domain_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("address", name="uq_account_address"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_account_domain_id", "account", ["domain_id"], unique=False)
    op.create_table(
        "alias",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("domain_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name="fk_alias_domain_id"),
        sa.PrimaryKeyConstraint("address", "target", name="pk_alias"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alias_domain_id", "alias", ["domain_id"], unique=False)


def _mailboxes() -> None:
    op.create_table(
        "mailbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("special_use", sa.Text(), nullable=False),
        sa.Column("uidvalidity", BIG_ID, nullable=False),
        sa.Column("uid_next", BIG_ID, nullable=False),
        sa.Column("highest_modseq", sa.BigInteger(), nullable=False),
        sa.Column("first_recent_uid", BIG_ID, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("unseen", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("tombstone_floor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_mailbox_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_mailbox"),
        sa.UniqueConstraint("account_id", "name", name="uq_mailbox_account_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "subscription",
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_subscription_account_id"),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_subscription"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "keyword",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_keyword_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "slot", name="pk_keyword"),
        sqlite_with_rowid=False,
    )


def _contents() -> None:
    op.create_table(
        "content",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("pack", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("refs", sa.Integer(), nullable=False),
        sa.Column("unreferenced_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_content"),
        sa.UniqueConstraint("digest", name="uq_content_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_content_unreferenced",
        "content",
        ["unreferenced_at"],
        unique=False,
        sqlite_where=sa.text("unreferenced_at IS NOT NULL"),
        postgresql_where=sa.text("unreferenced_at IS NOT NULL"),
    )
    op.create_table(
        "content_index",
        sa.Column("content_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("bodystructure", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name="fk_content_index_content_id"),
        sa.PrimaryKeyConstraint("content_id", name="pk_content_index"),
    )


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("uid", BIG_ID, nullable=False),
        sa.Column("content_id", BIG_ID, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("header_octets", sa.Integer(), nullable=False),
        sa.Column("internal_date", sa.BigInteger(), nullable=False),
        sa.Column("saved_date", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("uidl", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_message_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name="pk_message"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_mailbox_id_modseq", "message", ["mailbox_id", "modseq"], unique=False)
    op.create_table(
        "tombstone",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("uid", BIG_ID, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("content_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_tombstone_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name="pk_tombstone"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tombstone_mailbox_id_modseq", "tombstone", ["mailbox_id", "modseq"], unique=False)


def _queue() -> None:
    op.create_table(
        "queue_message",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("content_id", BIG_ID, nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("skip_octets", sa.Integer(), nullable=False),
        sa.Column("smtputf8", sa.Boolean(), nullable=False),
        sa.Column("eight_bit", sa.Boolean(), nullable=False),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=True),
        sa.Column("received_from", sa.Text(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_message"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "queue_entry",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("message_id", BIG_ID, nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["queue_message.id"], name="fk_queue_entry_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_queue_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_entry_destination_due_at", "queue_entry", ["destination", "due_at"], unique=False)
    op.create_index("ix_queue_entry_due_at", "queue_entry", ["due_at"], unique=False)
    op.create_index("ix_queue_entry_message_id", "queue_entry", ["message_id"], unique=False)
    op.create_table(
        "queue_attempt",
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("enhanced", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("tls", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["queue_entry.id"], name="fk_queue_attempt_entry_id"),
        sa.PrimaryKeyConstraint("entry_id", "number", name="pk_queue_attempt"),
        sqlite_with_rowid=False,
    )


def _bookkeeping() -> None:
    op.create_table(
        "journal",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("uids", sa.LargeBinary(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    op.create_table(
        "operation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("op_id", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operation"),
        sa.UniqueConstraint("op_id", name="uq_operation_op_id"),
    )
    op.create_table(
        "pack",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("dead_octets", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_pack"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
        sqlite_with_rowid=False,
    )
