"""The tables of mail that waits to go out, and of what was said in its attempts; see ``schema``."""

from typing import Final

import sqlalchemy as sa

from services.store.sql.schema import BigId, metadata

WAITING: Final = sa.text("lease_until = 0 AND destination <> '(here)'")
"""What smtp_out may lease once it is due (`shared.contract.queue_types.HERE` is for accounts here)."""
LEASED: Final = sa.text("lease_until > 0")

# What was said in attempts to deliver.
dialogue: Final = sa.Table(
    "dialogue",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),  # of data
    sa.Column("data", sa.LargeBinary, nullable=False),  # shared.model.dialogue
    sqlite_autoincrement=True,
)

queue_message: Final = sa.Table(
    "queue_message",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("content_id", BigId, nullable=False),
    sa.Column("trace", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),  # without skip_octets
    sa.Column("skip_octets", sa.Integer, nullable=False),
    sa.Column("smtputf8", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("eight_bit", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("account_id", BigId),
    sa.Column("received_from", sa.Text, nullable=False),
    sa.Column("entries", sa.Integer, nullable=False),  # that are not done
    sa.Column("envelope_id", sa.Text, nullable=False, server_default=sa.text("''")),  # xtext
    sa.Column("ret", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("header_octets", sa.Integer, nullable=False, server_default=sa.text("0")),  # for copies here
    sa.Column("tls", sa.Text, nullable=False, server_default=sa.text("''")),  # this and the next four: Wishes
    sa.Column("held_until", sa.Float, nullable=False, server_default=sa.text("0")),
    sa.Column("deliver_by", sa.Float, nullable=False, server_default=sa.text("0")),
    sa.Column("by_mode", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("by_trace", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
    sqlite_autoincrement=True,
)

queue_entry: Final = sa.Table(
    "queue_entry",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("message_id", BigId, sa.ForeignKey("queue_message.id"), nullable=False, index=True),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("original", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False, index=True),
    sa.Column("lease_owner", sa.Text, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),  # 0: not leased
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_text", sa.Text, nullable=False),
    sa.Column("notify", sa.Integer, nullable=False, server_default=sa.text("0")),  # shared.model.notify
    sa.Column("orcpt", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("warn_at", sa.Float, nullable=False, server_default=sa.text("0")),  # 0: warned, or no warning wanted
    sa.Column("account_id", BigId),  # whose mailbox it is for, where it goes nowhere else
    sa.Column("mailbox", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("route", sa.Text, nullable=False, server_default=sa.text("''")),  # a relay's name or "direct"; empty: by the rules
    sa.Column("share", sa.Text, nullable=False, server_default=sa.text("''")),  # services.store.domain.turns
    sa.Index("ix_queue_entry_share_due_at", "share", "due_at"),
    sa.Index("ix_queue_entry_waiting", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
    sa.Index("ix_queue_entry_leased", "lease_until", sqlite_where=LEASED, postgresql_where=LEASED),
    sqlite_autoincrement=True,
)

queue_attempt: Final = sa.Table(
    "queue_attempt",
    metadata,
    sa.Column("entry_id", BigId, sa.ForeignKey("queue_entry.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("enhanced", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("remote", sa.Text, nullable=False),
    sa.Column("tls", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("dialogue_id", BigId, nullable=False, server_default=sa.text("0")),  # 0: none; it may be gone
    sqlite_with_rowid=False,
)
