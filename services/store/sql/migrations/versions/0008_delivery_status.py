"""What a sender asked to be told (RFC 3461), and when it is told of a delay.

Revision 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ZERO = sa.text("0")
EMPTY = sa.text("''")


def upgrade() -> None:
    op.add_column("queue_message", sa.Column("envelope_id", sa.Text(), nullable=False, server_default=EMPTY))
    op.add_column("queue_message", sa.Column("ret", sa.Text(), nullable=False, server_default=EMPTY))
    op.add_column("queue_entry", sa.Column("notify", sa.Integer(), nullable=False, server_default=ZERO))
    op.add_column("queue_entry", sa.Column("orcpt", sa.Text(), nullable=False, server_default=EMPTY))
    op.add_column("queue_entry", sa.Column("warn_at", sa.Float(), nullable=False, server_default=ZERO))
