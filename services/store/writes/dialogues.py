"""SMTP dialogues of attempts: each kept once, whatever the number of recipients and messages that share it."""

from hashlib import blake2b

from services.store.sql.statements import dialogues
from services.store.transaction import Transaction
from shared.contract.types import Outcome
from shared.errors import BadRequest
from shared.model.dialogue import MAX_PACKED_OCTETS


class Keeper:
    """The dialogues of one report."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._heard = b""
        self._number: int | None = 0

    def hear(self, outcome: Outcome) -> None:
        """The next of the report. Raises BadRequest."""
        if len(outcome.dialogue) > MAX_PACKED_OCTETS:
            raise BadRequest("dialogue")
        if not outcome.same_dialogue:
            self._heard, self._number = outcome.dialogue, None if outcome.dialogue else 0

    def number(self) -> int:
        """Of what was heard last, kept now; 0 for none."""
        if self._number is None:
            self._number = self._keep()
        return self._number

    def _keep(self) -> int:
        cursor = self._transaction.cursor
        digest = blake2b(self._heard, digest_size=16).digest()
        known = dialogues.KNOWN.one(cursor, digest)
        if known is not None:
            return int(known[0])
        number = self._transaction.ids.next("dialogue")
        dialogues.INSERT.run(cursor, number, self._transaction.now, digest, self._heard)
        return number
