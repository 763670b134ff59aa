"""What devices have seen by POP3, what DELE means for an account, and how long downloaded mail stays.

Revision 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pop3_setting",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("dele", sa.Text()),
        sa.Column("keep_days", sa.Integer()),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_pop3_setting_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_pop3_setting"),
    )
    op.create_table(
        "pop3_view",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("device_id", BIG_ID, nullable=False),
        sa.Column("uidvalidity", BIG_ID, nullable=False),
        sa.Column("hidden", sa.LargeBinary(), nullable=False),
        sa.Column("fetched", sa.LargeBinary(), nullable=False),
        sa.Column("hidden_since", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("tidy_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_pop3_view_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "device_id", name="pk_pop3_view"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pop3_view_device_id", "pop3_view", ["device_id"])
    op.add_column("retention", sa.Column("downloaded_days", sa.Integer()))
