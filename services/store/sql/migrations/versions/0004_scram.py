"""What SCRAM-SHA-256 is verified against.

Revision 0004, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "scram",
        sa.Column("account_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("stored_key", sa.LargeBinary(), nullable=False),
        sa.Column("server_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_scram_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_scram"),
    )
