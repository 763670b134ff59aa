"""Domains and accounts. Passwords arrive as argon2id hashes: nothing here ever sees one in clear."""

from collections.abc import Sequence

from services.store.domain.addresses import InvalidAddressError, domain_of, normalize_address, normalize_domain
from services.store.domain.dkim import KeyState, NewKey
from services.store.domain.names import DEFAULT_MAILBOXES
from services.store.reads.directory import stands_for
from services.store.sql.statements import annotations, bans, directory, dkim, mailboxes, pop3, retention, sharing
from services.store.transaction import Transaction
from services.store.writes import sending
from services.store.writes.devices import remove_all
from services.store.writes.dkim import add_keys
from services.store.writes.mailboxes import add_mailbox, remove_mailbox
from shared.contract.types import AccountInfo, DomainInfo
from shared.errors import AlreadyExists, BadRequest, NotFound
from shared.model.ids import AccountId
from shared.sasl.scram_keys import ScramKeys


def domain_add(transaction: Transaction, name: str, keys: Sequence[NewKey] = ()) -> DomainInfo:
    """Raises AlreadyExists, BadRequest."""
    normal = new_domain(transaction, name)
    insert_domain(transaction, normal, None, keys)
    return DomainInfo(normal, 0, 0)


def new_domain(transaction: Transaction, name: str) -> str:
    """Its normal name. Raises AlreadyExists, BadRequest."""
    normal = normal_domain(name)
    if directory.DOMAIN.one(transaction.cursor, normal) is not None:
        raise AlreadyExists(normal)
    return normal


def insert_domain(transaction: Transaction, normal: str, alias_of: int | None, keys: Sequence[NewKey]) -> None:
    """With its keys, which sign from the beginning."""
    directory.INSERT_DOMAIN.run(transaction.cursor, normal, transaction.now, alias_of)
    add_keys(transaction, _domain_id(transaction, normal), keys, KeyState.SIGNING)
    transaction.changes.directory = True


def domain_remove(transaction: Transaction, name: str) -> None:
    """Raises NotFound, BadRequest (in use)."""
    domain_id = _domain_id(transaction, normal_domain(name))
    accounts, aliases = directory.DOMAIN_USE.all(transaction.cursor, domain_id)[0]
    if accounts or aliases:
        raise BadRequest(f"{accounts} accounts and {aliases} aliases use it")
    domain_aliases = directory.DOMAIN_ALIASES.all(transaction.cursor, domain_id)
    if domain_aliases:
        raise BadRequest(f"the domain {domain_aliases[0][0]} is an alias of it")
    dkim.DELETE_ALL.run(transaction.cursor, domain_id)
    directory.DELETE_DOMAIN.run(transaction.cursor, domain_id)
    transaction.changes.removed_domains.add(domain_id)
    transaction.changes.directory = True


def normal_domain(name: str) -> str:
    """Raises BadRequest."""
    try:
        return normalize_domain(name)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None


def normal_address(address: str) -> str:
    """Raises BadRequest."""
    try:
        return normalize_address(address)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None


def _domain_id(transaction: Transaction, name: str) -> int:
    row = directory.DOMAIN.one(transaction.cursor, name)
    if row is None:
        raise NotFound(f"domain {name}")
    return int(row[0])


def owning_domain_id(transaction: Transaction, name: str) -> int:
    """Of a domain that may have accounts and aliases. Raises NotFound, BadRequest (it stands for another one)."""
    domain_id = _domain_id(transaction, name)
    target = stands_for(transaction.cursor, name)
    if target != name:
        raise BadRequest(f"{name} is an alias of {target}")
    return domain_id


def account_add(
    transaction: Transaction, address: str, password_hash: str, scram: ScramKeys | None = None
) -> AccountInfo:
    """With its mailboxes, all subscribed. Raises AlreadyExists, NotFound, BadRequest."""
    normal = normal_address(address)
    domain_id = owning_domain_id(transaction, domain_of(normal))
    cursor = transaction.cursor
    if directory.ACCOUNT_ID.one(cursor, normal) is not None:
        raise AlreadyExists(normal)
    if directory.TARGETS.one(cursor, normal) is not None:
        raise AlreadyExists(f"{normal} is an alias")
    inserted = directory.INSERT_ACCOUNT.run(cursor, domain_id, normal, password_hash, transaction.now)
    account_id = inserted.lastrowid
    if account_id is None:
        raise RuntimeError("the database gave no id")
    if scram is not None:
        _keep_scram(transaction, account_id, scram)
    for name, special_use in DEFAULT_MAILBOXES:
        add_mailbox(transaction, account_id, name, special_use, "admin")
        mailboxes.SUBSCRIBE.run(cursor, account_id, name)
    transaction.changes.directory = True
    transaction.changes.added_accounts[account_id] = domain_id
    return AccountInfo(AccountId(account_id), normal, 0, 0, transaction.now)


def _keep_scram(transaction: Transaction, account_id: int, keys: ScramKeys) -> None:
    directory.DELETE_SCRAM.run(transaction.cursor, account_id)
    row = (account_id, keys.salt, keys.iterations, keys.stored_key, keys.server_key)
    directory.INSERT_SCRAM.run(transaction.cursor, *row)


def keep_scram(transaction: Transaction, address: str, password_hash: str, keys: ScramKeys) -> None:
    """After a login with the password that has this hash; nothing when the password was changed or the account removed meanwhile."""
    row = directory.ACCOUNT.one(transaction.cursor, address)
    if row is not None and row[1] == password_hash:
        _keep_scram(transaction, row[0], keys)
        transaction.changes.directory = True


def account_passwd(
    transaction: Transaction, address: str, password_hash: str, scram: ScramKeys | None = None
) -> None:
    """Raises NotFound, BadRequest."""
    normal = normal_address(address)
    account_id = _account_id(transaction, normal)
    directory.SET_PASSWORD.run(transaction.cursor, password_hash, account_id)
    directory.DELETE_SCRAM.run(transaction.cursor, account_id)
    # who knew the old password is at home nowhere any more
    bans.DELETE_ACCOUNT.run(transaction.cursor, account_id)
    if scram is not None:
        _keep_scram(transaction, account_id, scram)
    transaction.changes.directory = True
    transaction.changes.passwords.add(normal)


def _account_id(transaction: Transaction, normal: str) -> int:
    row = directory.ACCOUNT_ID.one(transaction.cursor, normal)
    if row is None:
        raise NotFound(normal)
    return int(row[0])


def account_remove(transaction: Transaction, address: str) -> None:
    """Raises NotFound, BadRequest."""
    normal = normal_address(address)
    account_id = _account_id(transaction, normal)
    cursor = transaction.cursor
    for (mailbox_id,) in mailboxes.OF_ACCOUNT.all(cursor, account_id):
        remove_mailbox(transaction, transaction.mailbox(mailbox_id), "admin")
    mailboxes.UNSUBSCRIBE_ALL.run(cursor, account_id)
    sharing.DELETE_GRANTEE.run(cursor, account_id)
    retention.DELETE_ACCOUNT.run(cursor, account_id)
    annotations.DELETE_ACCOUNT.run(cursor, account_id)
    directory.DELETE_SCRAM.run(cursor, account_id)
    bans.DELETE_ACCOUNT.run(cursor, account_id)
    remove_all(transaction, account_id)
    sending.remove_all(transaction, account_id)
    pop3.DELETE_SETTING.run(cursor, account_id)
    directory.DELETE_ACCOUNT.run(cursor, account_id)
    transaction.journal("admin", "account removed", 0, (), normal)
    transaction.changes.directory = True
    transaction.changes.removed_accounts.add(account_id)
    transaction.changes.passwords.add(normal)
