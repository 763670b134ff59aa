"""What was taken away stays for a while, so that it can be brought back (pillarbox undo).

Revision 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("journal", sa.Column("account_id", BIG_ID))
    only_undoable = sa.text("account_id IS NOT NULL")
    op.create_index(
        "ix_journal_account_id_id",
        "journal",
        ["account_id", "id"],
        sqlite_where=only_undoable,
        postgresql_where=only_undoable,
    )
    op.create_table(
        "buried",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("uid", BIG_ID, nullable=False),
        sa.Column("content_id", BIG_ID, nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("header_octets", sa.Integer(), nullable=False),
        sa.Column("internal_date", sa.BigInteger(), nullable=False),
        sa.Column("saved_date", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("uidl", sa.Text(), nullable=False),
        sa.Column("gone_at", sa.Float(), nullable=False),
        sa.Column("next_mailbox", BIG_ID),
        sa.Column("next_uid", BIG_ID),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name="pk_buried"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "buried_mailbox",
        sa.Column("mailbox_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("special_use", sa.Text(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("gone_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name="pk_buried_mailbox"),
    )
    op.create_index("ix_buried_mailbox_address", "buried_mailbox", ["address"])
    op.create_index("ix_buried_mailbox_account_id", "buried_mailbox", ["account_id"])
    op.add_column("content", sa.Column("buried_at", sa.Float()))
    only_buried = sa.text("buried_at IS NOT NULL")
    op.create_index(
        "ix_content_buried_at", "content", ["buried_at"], sqlite_where=only_buried, postgresql_where=only_buried
    )
    op.add_column("mailbox", sa.Column("warned_day", sa.Integer(), nullable=False, server_default=sa.text("0")))
