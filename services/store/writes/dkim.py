"""The life of a domain's keys: waiting until their records are published, signing, retired until nobody asks for them."""

from collections.abc import Sequence

from services.store.domain.addresses import InvalidAddressError, normalize_domain
from services.store.domain.dkim import KeyState, NewKey, key_records, selector_of
from services.store.sql.statements import directory, dkim
from services.store.transaction import Transaction
from shared.contract.dkim_types import DnsRecord
from shared.errors import AlreadyExists, BadRequest, NotFound


def add_keys(transaction: Transaction, domain_id: int, keys: Sequence[NewKey], state: KeyState) -> None:
    """Keep new keys of a domain, under selectors of their own."""
    taken = {row[0] for row in dkim.OF_DOMAIN.all(transaction.cursor, domain_id)}
    for key in keys:
        number = 0
        while (selector := selector_of(key.algorithm, transaction.now, number)) in taken:
            number += 1
        taken.add(selector)
        dkim.INSERT.run(
            transaction.cursor, domain_id, selector, key.algorithm, state, key.private, key.public, transaction.now
        )


def rotate(transaction: Transaction, name: str, keys: Sequence[NewKey]) -> tuple[DnsRecord, ...]:
    """New keys that wait; the retired ones go. Raises NotFound, AlreadyExists."""
    domain_id, domain = _domain(transaction, name)
    if any(row[2] == KeyState.WAITING for row in dkim.OF_DOMAIN.all(transaction.cursor, domain_id)):
        raise AlreadyExists(f"keys of {domain} that wait to be activated")
    dkim.DELETE_STATE.run(transaction.cursor, domain_id, KeyState.RETIRED)
    add_keys(transaction, domain_id, keys, KeyState.WAITING)
    return key_records(dkim.OF_DOMAIN.all(transaction.cursor, domain_id), domain, KeyState.WAITING)


def activate(transaction: Transaction, name: str) -> tuple[DnsRecord, ...]:
    """The keys that wait sign from now on; those that signed are retired, their private parts forgotten. Raises NotFound."""
    domain_id, domain = _domain(transaction, name)
    cursor = transaction.cursor
    if not any(row[2] == KeyState.WAITING for row in dkim.OF_DOMAIN.all(cursor, domain_id)):
        raise NotFound(f"keys of {domain} that wait")
    dkim.RETIRE.run(cursor, KeyState.RETIRED, b"", domain_id, KeyState.SIGNING)
    dkim.SET_STATE.run(cursor, KeyState.SIGNING, domain_id, KeyState.WAITING)
    return key_records(dkim.OF_DOMAIN.all(cursor, domain_id), domain, KeyState.RETIRED)


def _domain(transaction: Transaction, name: str) -> tuple[int, str]:
    try:
        normal = normalize_domain(name)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None
    row = directory.DOMAIN.one(transaction.cursor, normal)
    if row is None:
        raise NotFound(f"domain {normal}")
    return int(row[0]), normal
