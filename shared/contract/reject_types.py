"""What travels about messages that were refused and are kept for a while all the same."""

from typing import Final

import attrs

from shared.contract.types import ContentSource
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex

MAX_REJECT_ACCOUNTS: Final = 20
"""Accounts that one refused message is kept for."""


@attrs.frozen
class Rejected:
    """A message that its client was refused."""

    trace: str
    accounts: tuple[AccountId, ...]
    content: ContentSource
    """Inline."""
    index: MessageIndex
