"""Rows of the history: what the store did with a message, in the transaction that does it, and what edges tell of refusals.

Everything is cut to bounds before it is kept: senders choose the texts.
"""

from collections.abc import Sequence
from typing import Final

import attrs
import msgpack

from services.store.domain.history import account_token
from services.store.sql.prepared import Row
from services.store.transaction import Transaction
from shared.contract.history_types import (
    MAX_ADDRESS_CHARACTERS,
    MAX_LISTED_RECIPIENTS,
    MAX_NOTED,
    MAX_TEXT_CHARACTERS,
    Passage,
    PassageKind,
)
from shared.errors import BadRequest

MAX_TRACE_CHARACTERS: Final = 40
MAX_TLS_CHARACTERS: Final = 500


def note(transaction: Transaction, passages: Sequence[Passage]) -> None:
    """What edges tell. Raises BadRequest."""
    if len(passages) > MAX_NOTED or any(passage.kind is not PassageKind.REFUSED for passage in passages):
        raise BadRequest("passages")
    for passage in passages:
        tell(transaction, attrs.evolve(passage, copies=(), entries=(), dialogue=0))


def tell(transaction: Transaction, passage: Passage) -> None:
    """Keep one passage; written with the transaction's next flush."""
    transaction.add_passage(_row(passage))


def _row(passage: Passage) -> Row:
    """Written out by hand in the order of Passage's fields, as the codec would: every delivery pays for this."""
    sender = passage.sender[:MAX_ADDRESS_CHARACTERS]
    recipients = [each[:MAX_ADDRESS_CHARACTERS] for each in passage.recipients[:MAX_LISTED_RECIPIENTS]]
    trace = passage.trace[:MAX_TRACE_CHARACTERS]
    plain = (
        trace,
        passage.kind.value,
        passage.at,
        sender,
        recipients,
        max(passage.recipient_count, len(passage.recipients)),
        passage.octets,
        passage.client[:MAX_TEXT_CHARACTERS],
        passage.account_id,
        "",
        passage.code,
        passage.text[:MAX_TEXT_CHARACTERS],
        passage.remote[:MAX_TEXT_CHARACTERS],
        passage.tls[:MAX_TLS_CHARACTERS],
        passage.seconds,
        [
            (copy.address[:MAX_ADDRESS_CHARACTERS], copy.account_id, copy.mailbox_id, copy.uid, copy.email_id)
            for copy in passage.copies[:MAX_LISTED_RECIPIENTS]
        ],
        passage.entries[:MAX_LISTED_RECIPIENTS],
        passage.dialogue,
    )
    who = () if passage.account_id is None else (account_token(passage.account_id),)
    addresses = " ".join(("", sender, *recipients, *who, "")).lower()
    return (passage.at, trace, addresses, msgpack.packb(plain))
