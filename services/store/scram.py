"""What SCRAM is verified against, for those who exist and for those who do not.

Laws:
- Nobody learns who exists: an unknown name has a salt, too, made from the name under a key that never leaves the store, always the
  same, also after a restart; verifying for nobody computes what verifying for somebody does.
- An account from before SCRAM has the salt of an unknown name until a login with its password makes its keys, and keeps it then.
"""

import secrets
from functools import partial
from hashlib import blake2b
from typing import Final

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.passwords import Passwords
from shared.sasl.scram_keys import ITERATIONS, KEY_OCTETS, SALT_OCTETS, ScramKeys, derive

_PERSON: Final = b"pbox-scram-salt"


class Scram:
    """Makes and completes keys. ``key`` is of the store alone."""

    def __init__(self, key: bytes, passwords: Passwords) -> None:
        self._key = key
        self._passwords = passwords

    def stand_in(self, username: str) -> ScramKeys:
        """Keys for a name without any: its own salt, and keys that no password has."""
        try:
            name = normalize_address(username)
        except InvalidAddressError:
            name = username
        salt = blake2b(name.encode("utf-8", "replace"), key=self._key, person=_PERSON, digest_size=SALT_OCTETS).digest()
        return ScramKeys(salt, ITERATIONS, secrets.token_bytes(KEY_OCTETS), secrets.token_bytes(KEY_OCTETS))

    async def make(self, password: str, salt: bytes | None = None) -> ScramKeys:
        """The keys of a password. Raises Overloaded."""
        chosen = secrets.token_bytes(SALT_OCTETS) if salt is None else salt
        return await self._passwords.run(partial(derive, password, chosen))
