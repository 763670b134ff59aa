"""SMTP dialogues of attempts; whose turn it is in the queue.

Revision 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dialogue",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dialogue"),
        sa.UniqueConstraint("digest", name="uq_dialogue_digest"),
        sqlite_autoincrement=True,
    )
    op.add_column("queue_attempt", sa.Column("dialogue_id", BIG_ID, nullable=False, server_default=sa.text("0")))
    op.add_column("queue_entry", sa.Column("share", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.execute(
        "UPDATE queue_entry SET share = (SELECT coalesce(queue_message.account_id, 0) FROM queue_message"
        " WHERE queue_message.id = queue_entry.message_id) || '@' || destination WHERE destination <> '(here)'"
    )
    op.execute("UPDATE queue_entry SET share = '0@(here)' WHERE destination = '(here)'"
    )
    op.drop_index("ix_queue_entry_destination_due_at", "queue_entry")
    op.create_index("ix_queue_entry_share_due_at", "queue_entry", ["share", "due_at"])
