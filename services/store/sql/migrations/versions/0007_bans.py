"""Bans of logins, and where accounts logged in from.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ban",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Text(), nullable=False),
        sa.Column("manual", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name="pk_ban"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "known_address",
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_known_address_account_id"),
        sa.PrimaryKeyConstraint("account_id", "client", name="pk_known_address"),
        sqlite_with_rowid=False,
    )
