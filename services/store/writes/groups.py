"""Who may post to a group is set."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.addresses import domain_of
from services.store.sql.statements import directory, groups
from services.store.transaction import Transaction
from services.store.writes.directory import normal_address, owning_domain_id
from shared.contract.group_types import Posting
from shared.contract.types import AliasInfo
from shared.errors import BadRequest, LimitExceeded, NotFound

POSTMASTER: Final = "postmaster"


def alias_posting(
    transaction: Transaction, address: str, posting: Posting, owners: Sequence[str], most: int
) -> AliasInfo:
    """Raises NotFound, BadRequest, LimitExceeded."""
    if address.startswith("@"):
        raise BadRequest("a catch-all is no group")
    normal = normal_address(address)
    owning_domain_id(transaction, domain_of(normal))
    cursor = transaction.cursor
    targets = tuple(target for (target,) in directory.TARGETS.all(cursor, normal))
    if not targets:
        raise NotFound(normal)
    named = tuple(dict.fromkeys(normal_address(owner) for owner in owners))
    if len(named) > most:
        raise LimitExceeded(f"{most} owners")
    if posting is Posting.OWNERS and not named:
        raise BadRequest("no owner: nobody could post")
    if posting is not Posting.EVERYBODY and normal.partition("@")[0] == POSTMASTER:
        # RFC 5321 §4.5.1
        raise BadRequest("the postmaster can be reached by everybody")
    forget(transaction, normal)
    if posting is not Posting.EVERYBODY or named:
        groups.INSERT.run(cursor, normal, posting.value, "\n".join(named))
    transaction.changes.directory = True
    return AliasInfo(normal, targets, posting, named)


def forget(transaction: Transaction, normal: str) -> None:
    """With its alias."""
    groups.DELETE.run(transaction.cursor, normal)
