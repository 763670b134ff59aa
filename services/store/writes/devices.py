"""App passwords are made, used, removed. They arrive as digests: nothing here ever sees one in clear."""

from collections.abc import Sequence

import attrs

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.devices import Uses, device_key, unpack_uses
from services.store.sql.statements import devices, directory, pop3
from services.store.transaction import Transaction
from shared.contract.device_types import DeviceAdded, DeviceInfo
from shared.errors import AlreadyExists, LimitExceeded, NotFound
from shared.model.ids import DeviceId
from shared.sasl.scram_keys import ScramKeys

USED_AGAIN_SECONDS = 3600.0
"""The last use is written no more often than this: it is there to find what is not used any more."""


@attrs.frozen
class NewDevice:
    """Everything normal and checked."""

    name: str
    digest: bytes = attrs.field(repr=False)
    uses: Uses
    networks: tuple[str, ...]
    scram: ScramKeys
    recipients: tuple[str, ...] = ()


def _account(transaction: Transaction, address: str) -> tuple[int, str]:
    try:
        normal = normalize_address(address)
    except InvalidAddressError:
        raise NotFound(address) from None
    row = directory.ACCOUNT_ID.one(transaction.cursor, normal)
    if row is None:
        raise NotFound(normal)
    return int(row[0]), normal


def add(transaction: Transaction, address: str, new: NewDevice, most: int) -> DeviceAdded:
    """The password is for the caller to put in: this result is recorded. Raises NotFound, AlreadyExists, LimitExceeded."""
    account_id, normal = _account(transaction, address)
    cursor, key, keys = transaction.cursor, device_key(new.name), new.scram
    if devices.NAMED.one(cursor, account_id, key) is not None:
        raise AlreadyExists(new.name)
    if len(devices.IDS_OF.all(cursor, account_id)) >= most:
        raise LimitExceeded(f"{most} devices of one account (auth.devices_per_account)")
    done = devices.INSERT.run(
        cursor, account_id, new.name, key, new.digest, int(new.uses), " ".join(new.networks), transaction.now, "", "",
        keys.salt, keys.iterations, keys.stored_key, keys.server_key, "\n".join(new.recipients),
    )  # fmt: skip
    if done.lastrowid is None:
        raise RuntimeError("the database gave no id")
    transaction.changes.directory = True
    transaction.changes.added_devices.add(done.lastrowid)
    uses = unpack_uses(new.uses)
    return DeviceAdded(
        DeviceInfo(
            DeviceId(done.lastrowid), normal, new.name, uses, new.networks, transaction.now, recipients=new.recipients
        )
    )


def remove(transaction: Transaction, address: str, name: str) -> None:
    """Raises NotFound."""
    account_id, _ = _account(transaction, address)
    row = devices.NAMED.one(transaction.cursor, account_id, device_key(name))
    if row is None:
        raise NotFound(name)
    pop3.DELETE_DEVICE.run(transaction.cursor, row[0])
    devices.DELETE.run(transaction.cursor, row[0])
    transaction.changes.directory = True
    transaction.changes.removed_devices.add(row[0])


def remove_all(transaction: Transaction, account_id: int) -> None:
    """With their account."""
    gone = [row[0] for row in devices.IDS_OF.all(transaction.cursor, account_id)]
    devices.DELETE_ALL.run(transaction.cursor, account_id)
    transaction.changes.removed_devices.update(gone)


def note_uses(transaction: Transaction, uses: Sequence[tuple[int, str, str]]) -> None:
    """Device, address, service: that it was used now."""
    before = transaction.now - USED_AGAIN_SECONDS
    devices.USED.run_many(
        transaction.cursor, [(transaction.now, client[:100], service, number, before) for number, client, service in uses]
    )
