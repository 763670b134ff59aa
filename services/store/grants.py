"""Grants: what a login returns, signed by the store, with an end: for one account, one service and, after an app password, one device.

    version(u8) role(u8) account(u64) expires(u64, seconds) device(u64, 0: none) nonce(8) mac(32)

Grants of version 1 have no device; sessions that began before an upgrade of the store go on with them.

``mac`` is keyed BLAKE2b under a key that never leaves the store and lies in ``keys/store/``: grants survive a restart.
Checking one costs a few microseconds; one that was checked is remembered (bounded) until it ends.
"""

import hmac
import secrets
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from shared.contract.registry import Role
from shared.errors import Forbidden, GrantExpired
from shared.model.ids import AccountId, Grant

_BODY: Final = struct.Struct("<BBQQQ8s")
_VERSION: Final = 2
_OLD_BODY: Final = struct.Struct("<BBQQ8s")
_OLD_VERSION: Final = 1
_MAC_OCTETS: Final = 32
_ROLES: Final = {Role.SMTP_IN: 1, Role.IMAP: 2, Role.POP3: 3, Role.ADMIN: 4}
_PERSON: Final = b"pbox-grant"
REMEMBERED_MAX: Final = 10_000


class Grants:
    """Issues and checks grants. ``account_exists`` and ``device_exists`` answer from memory."""

    def __init__(
        self,
        key: bytes,
        seconds: float,
        account_exists: Callable[[int], bool],
        clock: Callable[[], float] = time.time,
        device_exists: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._key = key
        self._seconds = seconds
        self._account_exists = account_exists
        self._device_exists = device_exists
        self._clock = clock
        self._checked: dict[tuple[bytes, Role], tuple[AccountId, int, int]] = {}

    def issue(self, account: int, role: Role, device: int = 0) -> Grant:
        expires = int(self._clock() + self._seconds)
        body = _BODY.pack(_VERSION, _ROLES[role], account, expires, device, secrets.token_bytes(8))
        return Grant(body + self._mac(body))

    def check(self, grant: bytes, role: Role) -> AccountId:
        """The account of a grant. Raises Forbidden (not ours, or another service's), GrantExpired."""
        return self.check_device(grant, role)[0]

    def check_device(self, grant: bytes, role: Role) -> tuple[AccountId, int]:
        """The account of a grant, and the device (0: the main password). Raises as ``check`` does."""
        known = self._checked.get((grant, role))
        if known is None:
            known = self._verify(grant, role)
            if len(self._checked) >= REMEMBERED_MAX:
                self._checked.clear()
            self._checked[grant, role] = known
        account, expires, device = known
        gone = not self._account_exists(account) or (device and not self._device_exists(device))
        if gone or expires <= self._clock():
            self._checked.pop((grant, role), None)
            raise GrantExpired
        return account, device

    def _verify(self, grant: bytes, role: Role) -> tuple[AccountId, int, int]:
        body, mac = grant[: -_MAC_OCTETS or None], grant[-_MAC_OCTETS:]
        if len(body) not in (_BODY.size, _OLD_BODY.size) or not hmac.compare_digest(mac, self._mac(body)):
            raise Forbidden("not a grant of this store")
        old = len(body) == _OLD_BODY.size
        version, role_number, account, expires, *device, _ = (_OLD_BODY if old else _BODY).unpack(body)
        if version != (_OLD_VERSION if old else _VERSION) or role_number != _ROLES.get(role):
            raise Forbidden("the grant is for another service")
        return AccountId(account), expires, 0 if old else device[0]

    def _mac(self, body: bytes) -> bytes:
        return blake2b(body, key=self._key, person=_PERSON, digest_size=_MAC_OCTETS).digest()
