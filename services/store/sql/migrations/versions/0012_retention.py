"""How long mail is kept, and packs that are given back.

Revision 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer()),
        sa.Column("messages", sa.BigInteger()),
        sa.PrimaryKeyConstraint("account_id", "mailbox", name="pk_retention"),
        sqlite_with_rowid=False,
    )
    op.add_column("pack", sa.Column("retired_at", sa.Float()))
