"""What changed since which modseq: a set of UIDs for each command instead of an index entry for each message.

Revision 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ALL_UIDS = (1).to_bytes(4, "little") + (2**32 - 1).to_bytes(4, "little")


def upgrade() -> None:
    op.create_table(
        "change_set",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("uids", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_change_set_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "modseq", name="pk_change_set"),
        sqlite_with_rowid=False,
    )
    # Whoever asks for changes since an older modseq has all messages looked at.
    op.get_bind().execute(
        sa.text("INSERT INTO change_set (mailbox_id, modseq, uids) SELECT id, highest_modseq, :uids FROM mailbox"),
        {"uids": ALL_UIDS},
    )
    op.drop_index("ix_message_mailbox_id_modseq", table_name="message")
    op.drop_index("ix_tombstone_mailbox_id_modseq", table_name="tombstone")
