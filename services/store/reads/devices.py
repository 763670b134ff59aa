"""App passwords: for logins, and for the administrator, who never sees one again."""

from services.store.domain import devices as rules
from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.devices import Device, Uses, unpack_uses
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import devices, directory
from shared.contract.device_types import DeviceInfo
from shared.errors import GrantExpired, NotFound
from shared.model.ids import DeviceId
from shared.sasl.scram_keys import ScramKeys


def devices_of(cursor: Cursor, account_id: int) -> tuple[Device, ...]:
    return tuple(
        Device(
            device_id, name, digest, Uses(uses), tuple(networks.split()), ScramKeys(*scram), tuple(recipients.splitlines())
        )
        for device_id, name, digest, uses, networks, recipients, *scram in devices.OF_ACCOUNT.all(cursor, account_id)
    )


def device_ids(snapshot: Snapshot) -> tuple[int, ...]:
    return tuple(row[0] for row in devices.IDS.all(snapshot.cursor))


def listed(snapshot: Snapshot, address: str) -> tuple[DeviceInfo, ...]:
    """By name. Raises NotFound."""
    try:
        normal = normalize_address(address)
    except InvalidAddressError:
        raise NotFound(address) from None
    row = directory.ACCOUNT_ID.one(snapshot.cursor, normal)
    if row is None:
        raise NotFound(normal)
    return tuple(
        DeviceInfo(
            DeviceId(device_id), normal, name, unpack_uses(uses), tuple(networks.split()), created_at, used_at, used_from,
            used_by, tuple(recipients.splitlines()),
        )
        for device_id, name, uses, networks, recipients, created_at, used_at, used_from, used_by in devices.LISTED.all(
            snapshot.cursor, row[0]
        )
    )  # fmt: skip


def recipients_of(cursor: Cursor, device_id: int) -> tuple[str, ...]:
    """Whom a device may send to (empty: anybody). Raises GrantExpired where it is gone."""
    row = devices.RECIPIENTS.one(cursor, device_id)
    if row is None:
        raise GrantExpired
    return tuple(row[0].splitlines())


def may_send_to(snapshot: Snapshot, device_id: int, address: str) -> bool:
    """Raises GrantExpired."""
    return rules.may_send_to(recipients_of(snapshot.cursor, device_id), address)
