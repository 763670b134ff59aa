"""The report to a sender who asked for NOTIFY=SUCCESS: what is delivered here, or expanded, with the commit of the message itself.

Laws: the report is filed in the transaction that files the message, so there is never one without the other; the null reverse-path
gets none (RFC 5321 §4.5.5); what went to Junk is not confirmed: its sender may well be somebody else's address.

RFC 3461 §5.2.3, §5.2.7.3.
"""

from __future__ import annotations

import secrets

import attrs

from services.smtp_in.transaction import Transaction
from shared.contract.types import Bounce
from shared.mail.content import Content
from shared.mail.dsn import DsnAction, DsnRecipient
from shared.mail.language import language_of
from shared.mail.report import HEADER_OCTETS, Reported, report_to_sender
from shared.mail.xtext import decode_orcpt
from shared.model.language import Language


def build_receipt(
    hostname: str, transaction: Transaction, content: Content, now: int, default: Language, *, held: bool = False
) -> Bounce | None:
    """The report, or None where nobody is to be told. `content`: as it is stored.

    `default`: the language where it shows none; `held`: nothing is delivered yet.
    """
    receipts = [
        receipt for receipt in transaction.receipts.values() if not (held and receipt.action is DsnAction.DELIVERED)
    ]
    if not receipts or not transaction.sender or transaction.junk:
        return None
    recipients = tuple(
        DsnRecipient(
            receipt.address,
            receipt.action,
            "2.0.0",
            original_address=decode_orcpt(receipt.orcpt) if receipt.orcpt else "",
        )
        for receipt in receipts
    )
    # RFC 3461 §4.3: a report without a failure returns the header only
    original = bytes(content[:HEADER_OCTETS])
    reported = Reported(transaction.sender, transaction.trace, now, transaction.mail.envelope_id, original)
    reported = attrs.evolve(reported, require_tls=transaction.mail.asked.require_tls)
    unique, language = secrets.token_hex(12), language_of(original, default)
    return report_to_sender(hostname, reported, recipients, kind="receipt", unique=unique, now=now, language=language)
