"""What a sender asks of its message's way, and entries for accounts here, which wait until it is time.

Revision 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ZERO = sa.text("0")
EMPTY = sa.text("''")


def upgrade() -> None:
    for column in (
        sa.Column("header_octets", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("tls", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("held_until", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("deliver_by", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("by_mode", sa.Text(), nullable=False, server_default=EMPTY),
        sa.Column("by_trace", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
    ):
        op.add_column("queue_message", column)
    op.add_column("queue_entry", sa.Column("account_id", BIG_ID))
    op.add_column("queue_entry", sa.Column("mailbox", sa.Text(), nullable=False, server_default=EMPTY))
