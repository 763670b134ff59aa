"""The report to a sender who asked for NOTIFY=SUCCESS: what is delivered here, or expanded, with the commit of the message itself.

Laws: the report is filed in the transaction that files the message, so there is never one without the other; the null reverse-path
gets none (RFC 5321 §4.5.5); what went to Junk is not confirmed: its sender may well be somebody else's address.

RFC 3461 §5.2.3, §5.2.7.3.
"""

from __future__ import annotations

import secrets

from services.smtp_in.transaction import Transaction
from shared.contract.types import Bounce, ContentSource
from shared.mail.content import Content
from shared.mail.dsn import DsnAction, DsnRecipient, DsnReport, build_dsn
from shared.mail.index import build_index
from shared.mail.xtext import decode_orcpt, decode_xtext

HEADER_OCTETS = 64 * 1024
"""Of the original, at most: a report without a failure returns the header only (RFC 3461 §4.3)."""


def build_receipt(hostname: str, transaction: Transaction, content: Content, now: int, *, held: bool = False) -> Bounce | None:
    """The report, or None where nobody is to be told. `content`: as it is stored; `held`: nothing is delivered yet."""
    receipts = [
        receipt for receipt in transaction.receipts.values() if not (held and receipt.action is DsnAction.DELIVERED)
    ]
    if not receipts or not transaction.sender or transaction.junk:
        return None
    unique = secrets.token_hex(12)
    recipients = tuple(
        DsnRecipient(
            receipt.address,
            receipt.action,
            "2.0.0",
            original_address=decode_orcpt(receipt.orcpt) if receipt.orcpt else "",
        )
        for receipt in receipts
    )
    report = build_dsn(
        DsnReport(
            reporting_mta=hostname,
            from_address=f"MAILER-DAEMON@{hostname}",
            to_address=transaction.sender,
            recipients=recipients,
            date=now,
            message_id=f"{unique}.receipt@{hostname}",
            boundary=f"=_{unique}",
            original=bytes(content[:HEADER_OCTETS]),
            arrival=now,
            envelope_id=decode_xtext(transaction.mail.envelope_id),
        )
    )
    return Bounce(
        recipient=transaction.sender,
        content=ContentSource(len(report), inline=report),
        index=build_index(report),
        trace=transaction.trace,
        eight_bit=not report.isascii(),
        require_tls=transaction.mail.asked.require_tls,
    )
