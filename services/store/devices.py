"""App passwords in the running store: how they are made and recognised, and that they were used.

A main password is chosen by a person, so it is hashed slowly (argon2id, ``passwords``). An app password is 100 random bits: whoever has
its hash cannot try them all, however fast the hash is. So it is a BLAKE2b keyed with a key of the store alone (``keys/store/devices``), and
a login with one costs microseconds. Who has the database and not the key cannot even try.
"""

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

import trio

from services.store.domain import devices
from services.store.domain.devices import Device, Uses
from services.store.writer import Command, Writer
from services.store.writes.devices import USED_AGAIN_SECONDS, note_uses
from shared.contract.registry import Role
from shared.errors import StoreError
from shared.observe.log import Logger

USES: Final = {Role.SMTP_IN: Uses.SUBMISSION, Role.IMAP: Uses.IMAP, Role.POP3: Uses.POP3}
NOTED_MAX: Final = 10_000
_DIGEST: Final = b"pbox-device"
_PASSWORD: Final = b"pbox-device-new"


class Devices:
    """Used in the trio thread only."""

    def __init__(self, key: bytes, most: int, log: Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self.most = most
        self._log = log
        self._clock = clock
        self._noted: dict[int, float] = {}
        self._waiting: dict[int, tuple[int, str, str]] = {}
        self._work = trio.Event()

    def make_password(self, op_id: bytes) -> str:
        """Of an operation: a repeat of it has the same one, though the result that is recorded is without."""
        return devices.write_password(blake2b(op_id, key=self._key, person=_PASSWORD, digest_size=16).digest())

    def digest(self, password: str) -> bytes:
        plain = devices.plain_password(password).encode("utf-8", "replace")
        return blake2b(plain, key=self._key, person=_DIGEST, digest_size=32).digest()

    def matching(self, known: Sequence[Device], name: str, password: str) -> Device | None:
        """The device whose password this is, of those that the user name leaves (``name`` empty: all)."""
        found = devices.matching(known, self.digest(password), self.most)
        return found if found is not None and name in ("", found.key) else None

    def used(self, device: Device, client: str, role: Role) -> None:
        """A login; whoever logs in does not wait for it to be written."""
        now = self._clock()
        if self._noted.get(device.device_id, -USED_AGAIN_SECONDS) > now - USED_AGAIN_SECONDS:
            return
        if len(self._noted) >= NOTED_MAX:
            self._noted.clear()
        self._noted[device.device_id] = now
        if len(self._waiting) < NOTED_MAX:
            self._waiting[device.device_id] = (device.device_id, client, str(role))
            self._work.set()

    async def run(self, writer: Writer) -> None:
        """Write the uses down, until cancelled."""
        while True:
            await self._work.wait()
            self._work = trio.Event()
            uses, self._waiting = tuple(self._waiting.values()), {}
            try:
                await writer.submit(Command("", None, note_uses, (uses,)))
            except StoreError as error:
                self._log.warning("uses of devices not written", error=str(error))
