"""App passwords for the administrator."""

import attrs

from services.store.core import Core
from services.store.domain.devices import (
    InvalidDeviceError,
    normalize_name,
    normalize_networks,
    normalize_recipients,
    pack_uses,
)
from services.store.reads import devices as reads
from services.store.writer import Command
from services.store.writes import devices as writes
from services.store.writes.devices import NewDevice
from shared.contract.device_types import DeviceAdded, DeviceInfo, DeviceUse
from shared.errors import BadRequest
from shared.model.ids import DeviceId
from shared.rpc.server import Call


class DevicesArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def add(
        self,
        call: Call,
        address: str,
        name: str,
        uses: tuple[DeviceUse, ...],
        networks: tuple[str, ...],
        recipients: tuple[str, ...],
    ) -> DeviceAdded:
        core = self._core
        if call.op_id is None:
            raise BadRequest("no operation")
        try:
            normal, allowed = normalize_name(name), normalize_networks(networks)
            some = normalize_recipients(recipients)
        except InvalidDeviceError as error:
            raise BadRequest(str(error)) from None
        if not uses:
            raise BadRequest("a device without any use")
        if some and set(uses) != {DeviceUse.SUBMISSION}:
            raise BadRequest("a device that may send to some recipients only logs in to submission and to nothing else")
        password = core.devices.make_password(call.op_id)
        keys = await core.scram.make(password)
        new = NewDevice(normal, core.devices.digest(password), pack_uses(uses), allowed, keys, some)
        added: DeviceAdded = await core.writer.submit(
            Command("devices.add", call.op_id, writes.add, (address, new, core.devices.most))
        )
        core.log.info("administration", action="device_add", subject=added.device.account, device=added.device.name)
        return attrs.evolve(added, password=password)

    async def list(self, call: Call, address: str) -> tuple[DeviceInfo, ...]:
        return await self._core.readers.run(reads.listed, address)

    async def remove(self, call: Call, address: str, name: str) -> None:
        await self._core.writer.submit(Command("devices.remove", call.op_id, writes.remove, (address, name)))
        self._core.log.info("administration", action="device_remove", subject=address[:320], device=name[:100])

    async def may_send_to(self, call: Call, device: DeviceId, address: str) -> bool:
        return await self._core.readers.run(reads.may_send_to, device, address)
