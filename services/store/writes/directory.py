"""Domains, accounts, aliases. Passwords arrive as argon2id hashes: nothing here ever sees one in clear."""

from collections.abc import Sequence

from services.store.domain.addresses import InvalidAddressError, domain_of, normalize_address, normalize_domain
from services.store.domain.directory import reaches
from services.store.domain.dkim import KeyState, NewKey
from services.store.domain.names import DEFAULT_MAILBOXES
from services.store.sql.statements import annotations, bans, directory, dkim, mailboxes, sharing
from services.store.transaction import Transaction
from services.store.writes.devices import remove_all
from services.store.writes.dkim import add_keys
from services.store.writes.mailboxes import add_mailbox, remove_mailbox
from shared.contract.types import AccountInfo, AliasInfo, DomainInfo
from shared.errors import AlreadyExists, BadRequest, LimitExceeded, NotFound
from shared.model.ids import AccountId
from shared.sasl.scram_keys import ScramKeys


def domain_add(transaction: Transaction, name: str, keys: Sequence[NewKey] = ()) -> DomainInfo:
    """Raises AlreadyExists, BadRequest."""
    normal = _normal_domain(name)
    if directory.DOMAIN.one(transaction.cursor, normal) is not None:
        raise AlreadyExists(normal)
    directory.INSERT_DOMAIN.run(transaction.cursor, normal, transaction.now)
    add_keys(transaction, _domain_id(transaction, normal), keys, KeyState.SIGNING)
    transaction.changes.directory = True
    return DomainInfo(normal, 0, 0)


def domain_remove(transaction: Transaction, name: str) -> None:
    """Raises NotFound, BadRequest (in use)."""
    domain_id = _domain_id(transaction, _normal_domain(name))
    accounts, aliases = directory.DOMAIN_USE.all(transaction.cursor, domain_id)[0]
    if accounts or aliases:
        raise BadRequest(f"{accounts} accounts and {aliases} aliases use it")
    dkim.DELETE_ALL.run(transaction.cursor, domain_id)
    directory.DELETE_DOMAIN.run(transaction.cursor, domain_id)
    transaction.changes.directory = True


def _normal_domain(name: str) -> str:
    try:
        return normalize_domain(name)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None


def _normal_address(address: str) -> str:
    try:
        return normalize_address(address)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None


def _normal_alias(address: str) -> str:
    """An address, or ``@domain`` for everybody else in it."""
    return f"@{_normal_domain(address[1:])}" if address.startswith("@") else _normal_address(address)


def _domain_id(transaction: Transaction, name: str) -> int:
    row = directory.DOMAIN.one(transaction.cursor, name)
    if row is None:
        raise NotFound(f"domain {name}")
    return int(row[0])


def account_add(
    transaction: Transaction, address: str, password_hash: str, scram: ScramKeys | None = None
) -> AccountInfo:
    """With its mailboxes, all subscribed. Raises AlreadyExists, NotFound, BadRequest."""
    normal = _normal_address(address)
    domain_id = _domain_id(transaction, domain_of(normal))
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
        add_mailbox(transaction, account_id, name, special_use)
        mailboxes.SUBSCRIBE.run(cursor, account_id, name)
    transaction.changes.directory = True
    transaction.changes.added_accounts.add(account_id)
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
    normal = _normal_address(address)
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
    normal = _normal_address(address)
    account_id = _account_id(transaction, normal)
    cursor = transaction.cursor
    for (mailbox_id,) in mailboxes.OF_ACCOUNT.all(cursor, account_id):
        remove_mailbox(transaction, transaction.mailbox(mailbox_id))
    mailboxes.UNSUBSCRIBE_ALL.run(cursor, account_id)
    sharing.DELETE_GRANTEE.run(cursor, account_id)
    annotations.DELETE_ACCOUNT.run(cursor, account_id)
    directory.DELETE_SCRAM.run(cursor, account_id)
    bans.DELETE_ACCOUNT.run(cursor, account_id)
    remove_all(transaction, account_id)
    directory.DELETE_ACCOUNT.run(cursor, account_id)
    transaction.journal("admin", "account removed", 0, (), normal)
    transaction.changes.directory = True
    transaction.changes.removed_accounts.add(account_id)
    transaction.changes.passwords.add(normal)


def alias_add(transaction: Transaction, address: str, targets: Sequence[str], targets_max: int) -> AliasInfo:
    """Raises NotFound, AlreadyExists, BadRequest, LimitExceeded."""
    normal = _normal_alias(address)
    domain_id = _domain_id(transaction, domain_of(normal))
    cursor = transaction.cursor
    if directory.ACCOUNT_ID.one(cursor, normal) is not None:
        raise AlreadyExists(f"{normal} is an account")
    wanted = list(dict.fromkeys(_normal_address(target) for target in targets))
    if not wanted:
        raise BadRequest("no target")
    for target in wanted:
        if reaches(target, normal, lambda name: [row[0] for row in directory.TARGETS.all(cursor, name)]):
            raise BadRequest(f"{target} leads back to {normal}")
    known = [target for (target,) in directory.TARGETS.all(cursor, normal)]
    new = [target for target in wanted if target not in known]
    if len(known) + len(new) > targets_max:
        raise LimitExceeded(f"{targets_max} targets")
    directory.INSERT_ALIAS.run_many(cursor, [(normal, target, domain_id) for target in new])
    transaction.changes.directory = True
    return AliasInfo(normal, tuple(sorted(known + new)))


def alias_remove(transaction: Transaction, address: str, targets: Sequence[str]) -> None:
    """Raises NotFound, BadRequest."""
    normal = _normal_alias(address)
    cursor = transaction.cursor
    known = [target for (target,) in directory.TARGETS.all(cursor, normal)]
    if not known:
        raise NotFound(normal)
    named = [_normal_address(target) for target in targets]
    missing = [target for target in named if target not in known]
    if missing:
        raise NotFound(missing[0])
    if named:
        directory.DELETE_TARGET.run_many(cursor, [(normal, target) for target in named])
    else:
        directory.DELETE_ALIAS.run(cursor, normal)
    transaction.changes.directory = True
