"""Passwords: argon2id in worker threads, and a short memory for those that were right.

Laws: an unknown user costs what a wrong password costs (a hash of nobody's password is checked); a password is never kept, only a
keyed BLAKE2b of it under a key that this process made up and nobody else knows; changing the password voids the memory.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Final, TypeVar

import argon2
import trio

from shared.errors import BadRequest, Overloaded

R = TypeVar("R")

MEMORY_KIB: Final = 19 * 1024
"""OWASP's argon2id floor (19 MiB, 2 passes, 1 lane): some 25 ms on a NAS, and two at once stay far below the memory budget."""
PASSES: Final = 2
MAX_PASSWORD_OCTETS: Final = 1024
WAITING_MAX: Final = 256
REMEMBERED_MAX: Final = 10_000


class Passwords:
    """Hashes and verifies, at most ``at_once`` side by side; beyond WAITING_MAX waiting callers are turned away."""

    def __init__(
        self, *, at_once: int, remember_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        self._limiter = trio.CapacityLimiter(at_once)
        self._waiting = 0
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: dict[str, tuple[bytes, str, float]] = {}
        self._nobody = ""

    async def start(self) -> None:
        """Make the hash that unknown users are checked against."""
        self._nobody = await self.hash(secrets.token_urlsafe(18))

    async def hash(self, password: str) -> str:
        """Raises BadRequest, Overloaded."""
        check_password(password)
        return await self._in_thread(partial(self._hasher.hash, password))

    async def verify(
        self, address: str, password_hash: str | None, password: str, *, from_memory: bool = True
    ) -> bool:
        """Whether a password is right; ``password_hash`` None: there is no such user. Raises Overloaded.

        Without ``from_memory`` it takes the same time whether it is right or not, however lately it was right.
        """
        if len(password.encode("utf-8", "replace")) > MAX_PASSWORD_OCTETS:
            password, password_hash = "", None
        if from_memory and password_hash is not None and self.is_remembered(address, password_hash, password):
            return True
        right = await self._in_thread(partial(_matches, self._hasher, password_hash or self._nobody, password))
        if password_hash is None or not right:
            return False
        self._remember(address, password_hash, password)
        return True

    def forget(self, address: str) -> None:
        """After a password was changed or an account removed."""
        self._remembered.pop(address, None)

    def _digest(self, address: str, password: str) -> bytes:
        text = address.encode("utf-8", "replace") + b"\0" + password.encode("utf-8", "replace")
        return blake2b(text, key=self._key, digest_size=32).digest()

    def is_remembered(self, address: str, password_hash: str, password: str) -> bool:
        """Whether this password was found right a while ago, and the hash is still the same."""
        known = self._remembered.get(address)
        if known is None:
            return False
        digest, of_hash, until = known
        if until <= self._clock() or of_hash != password_hash:
            del self._remembered[address]
            return False
        return hmac.compare_digest(digest, self._digest(address, password))

    def _remember(self, address: str, password_hash: str, password: str) -> None:
        if self._remember_seconds <= 0:
            return
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        until = self._clock() + self._remember_seconds
        self._remembered[address] = (self._digest(address, password), password_hash, until)

    async def run(self, function: Callable[[], R]) -> R:
        """Other slow work with a password, under the same bounds. Raises Overloaded."""
        return await self._in_thread(function)

    async def _in_thread(self, function: Callable[[], R]) -> R:
        if self._waiting >= WAITING_MAX:
            raise Overloaded("too many logins at once")
        self._waiting += 1
        try:
            return await trio.to_thread.run_sync(function, limiter=self._limiter, abandon_on_cancel=False)
        finally:
            self._waiting -= 1


def check_password(password: str) -> None:
    """What a new password must be. Raises BadRequest."""
    octets = len(password.encode("utf-8", "replace"))
    if not octets or octets > MAX_PASSWORD_OCTETS or "\0" in password:
        raise BadRequest(f"a password has 1 to {MAX_PASSWORD_OCTETS} octets and no NUL")


def _matches(hasher: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except argon2.exceptions.VerificationError:
        return False
    except argon2.exceptions.InvalidHashError:
        return False
