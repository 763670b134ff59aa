"""The tables of relays and of the ways that were learned; see ``schema``."""

from typing import Final

import sqlalchemy as sa

from services.store.sql.schema import metadata

relay: Final = sa.Table(
    "relay",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("tls", sa.Text, nullable=False),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("password", sa.Text, nullable=False),  # in clear: it is what the relay wants to see
    sa.Column("daily_cap", sa.Integer, nullable=False),  # recipients; 0: no limit
    sa.Column("fallback", sa.Boolean, nullable=False),
    sa.Column("sent_day", sa.Integer, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),  # recipients on that day
    sa.Column("test_asked", sa.Boolean, nullable=False),
    sa.Column("tested_at", sa.Float, nullable=False),
    sa.Column("test_passed", sa.Boolean, nullable=False),
    sa.Column("test_text", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

relay_rule: Final = sa.Table(
    "relay_rule",
    metadata,
    sa.Column("sender_domain", sa.Text, primary_key=True),  # empty: any
    sa.Column("recipient_domain", sa.Text, primary_key=True),  # empty: any
    sa.Column("relay", sa.Text, nullable=False),  # or "direct"
    sqlite_with_rowid=False,
)

learned_way: Final = sa.Table(
    "learned_way",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),  # a domain, or "*"
    sa.Column("way", sa.Text, nullable=False),  # "ipv4" or a relay's name
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("unreachable", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)
