"""What the accounts of a domain hold together and may hold, and which warning was given last.

Revision 0020, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
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
