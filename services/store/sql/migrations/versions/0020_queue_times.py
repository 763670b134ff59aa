"""Indexes of what is due in the queue, and of leases that end: a lease costs the same however much waits.

Revision 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

WAITING = sa.text("lease_until = 0 AND destination <> '(here)'")
LEASED = sa.text("lease_until > 0")


def upgrade() -> None:
    op.create_index("ix_queue_entry_waiting", "queue_entry", ["due_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index("ix_queue_entry_leased", "queue_entry", ["lease_until"], sqlite_where=LEASED, postgresql_where=LEASED)
