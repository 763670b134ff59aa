"""How much accounts send on one day, to whom they have sent before, and to whom a device may send.

Revision 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sending",
        sa.Column("account_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("new_recipients", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("told_day", sa.Integer(), nullable=False),
        sa.Column("own_messages", sa.Integer()),
        sa.Column("own_new_recipients", sa.Integer()),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_sending_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_sending"),
    )
    op.create_table(
        "known_recipient",
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("used_day", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_known_recipient_account_id"),
        sa.PrimaryKeyConstraint("account_id", "address", name="pk_known_recipient"),
        sqlite_with_rowid=False,
    )
    op.add_column("device", sa.Column("recipients", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_known_recipient_used_day", "known_recipient", ["used_day"])
