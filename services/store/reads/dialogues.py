"""Kept SMTP dialogues."""

from collections.abc import Sequence

from services.store.readers import Snapshot
from services.store.sql.statements import dialogues
from shared.contract.history_types import MAX_DIALOGUES
from shared.errors import BadRequest


def by_number(snapshot: Snapshot, numbers: Sequence[int]) -> tuple[bytes, ...]:
    """As they are kept, empty where one is gone. Raises BadRequest."""
    if len(numbers) > MAX_DIALOGUES:
        raise BadRequest("too many dialogues at once")
    found: dict[int, bytes] = dict(dialogues.BY_NUMBER.all(snapshot.cursor, numbers))
    return tuple(found.get(number, b"") for number in numbers)
