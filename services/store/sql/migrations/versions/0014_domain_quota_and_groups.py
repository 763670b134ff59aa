"""What the accounts of a domain hold together and may hold, which warning was given last, and who may post to a group.

Revision 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("domain", sa.Column("messages", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("domain", sa.Column("octets", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("domain", sa.Column("quota_messages", sa.BigInteger()))
    op.add_column("domain", sa.Column("quota_octets", sa.BigInteger()))
    for table in ("account", "domain"):
        op.add_column(table, sa.Column("quota_warned", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.execute(
        "UPDATE domain SET "
        "messages = (SELECT coalesce(sum(account.messages), 0) FROM account WHERE account.domain_id = domain.id), "
        "octets = (SELECT coalesce(sum(account.octets), 0) FROM account WHERE account.domain_id = domain.id)"
    )
    op.create_table(
        "alias_posting",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("posting", sa.Text(), nullable=False),
        sa.Column("owners", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_alias_posting"),
        sqlite_with_rowid=False,
    )
