"""Rights, annotations, what an account holds and may hold.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ZERO = sa.text("0")
OUT_OF_THE_WAY = (
    "UPDATE TABLE SET name = 'own-' || name"
    " WHERE (name = 'shared' OR (name >= 'shared/' AND name < 'shared0'))"
    " AND NOT EXISTS (SELECT 1 FROM TABLE AS other"
    " WHERE other.account_id = TABLE.account_id AND other.name = 'own-' || TABLE.name)"
)


def upgrade() -> None:
    op.add_column("account", sa.Column("messages", sa.Integer(), nullable=False, server_default=ZERO))
    op.add_column("account", sa.Column("octets", sa.BigInteger(), nullable=False, server_default=ZERO))
    op.add_column("account", sa.Column("mailboxes", sa.Integer(), nullable=False, server_default=ZERO))
    op.add_column("account", sa.Column("quota_messages", sa.Integer(), nullable=True))
    op.add_column("account", sa.Column("quota_octets", sa.BigInteger(), nullable=True))
    op.add_column("mailbox", sa.Column("acl_version", sa.BigInteger(), nullable=False, server_default=ZERO))
    op.execute(
        "UPDATE account SET"
        " mailboxes = (SELECT count(*) FROM mailbox WHERE mailbox.account_id = account.id),"
        " messages = (SELECT coalesce(sum(mailbox.messages), 0) FROM mailbox WHERE mailbox.account_id = account.id),"
        " octets = (SELECT coalesce(sum(mailbox.octets), 0) FROM mailbox WHERE mailbox.account_id = account.id)"
    )
    # Names below "shared" now mean mailboxes of other accounts.
    op.execute(OUT_OF_THE_WAY.replace("TABLE", "mailbox"))
    op.execute(OUT_OF_THE_WAY.replace("TABLE", "subscription"))
    op.create_table(
        "acl",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("grantee", BIG_ID, nullable=False),
        sa.Column("negative", sa.Integer(), nullable=False),
        sa.Column("rights", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name="fk_acl_mailbox_id"),
        sa.PrimaryKeyConstraint("mailbox_id", "grantee", "negative", name="pk_acl"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_acl_grantee", "acl", ["grantee"], unique=False)
    op.create_table(
        "annotation",
        sa.Column("mailbox_id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", "name", name="pk_annotation"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_annotation_account_id", "annotation", ["account_id"], unique=False)
