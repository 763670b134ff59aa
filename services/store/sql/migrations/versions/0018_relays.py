"""Relays, the rules that choose among them, learned ways, and the route of a queue entry.

Revision 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "relay",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("daily_cap", sa.Integer(), nullable=False),
        sa.Column("fallback", sa.Boolean(), nullable=False),
        sa.Column("sent_day", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("test_asked", sa.Boolean(), nullable=False),
        sa.Column("tested_at", sa.Float(), nullable=False),
        sa.Column("test_passed", sa.Boolean(), nullable=False),
        sa.Column("test_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_relay"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "relay_rule",
        sa.Column("sender_domain", sa.Text(), nullable=False),
        sa.Column("recipient_domain", sa.Text(), nullable=False),
        sa.Column("relay", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sender_domain", "recipient_domain", name="pk_relay_rule"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "learned_way",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("unreachable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name="pk_learned_way"),
        sqlite_with_rowid=False,
    )
    op.add_column("queue_entry", sa.Column("route", sa.Text(), nullable=False, server_default=""))
