"""Wrong passwords that were tried before, so that a client with an old password is not taken for one that guesses.

Laws: a password is never kept, only a keyed hash of it that is void with the process; they are compared in constant time; at most
``HASHES_MAX`` of each account and address, for at most ``pairs_max`` of these, the least recently used go first.
A proof of SCRAM is another one each time and tells nothing about the password: its failures are all new.
"""

import hmac
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import attrs

from services.store.domain.places import Net

HASHES_MAX: Final = 4
REPEATS_PER_FAILURE: Final = 5
"""From where the account never logged in, each fifth repetition counts: whoever only wants to keep us busy is banned, too."""


@attrs.define
class _Tried:
    hashes: list[bytes] = attrs.field(factory=list)
    repeats: int = 0


class Repeats:
    """What was tried wrongly. ``key``: random, of this process."""

    def __init__(self, key: bytes, pairs_max: int) -> None:
        self._key = key
        self._most = pairs_max
        self._tried: OrderedDict[tuple[str, Net], _Tried] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tried)

    def seen(self, name: str, address: Net, password: str) -> int:
        """How often what was tried there has been a repetition, this one included; 0: it is new. It is remembered."""
        tried = self._tried.get((name, address))
        if tried is None:
            if len(self._tried) >= self._most:
                self._tried.popitem(last=False)
            tried = self._tried[name, address] = _Tried()
        self._tried.move_to_end((name, address))
        digest = blake2b(password.encode("utf-8", "replace"), key=self._key, digest_size=16).digest()
        # all are compared, whichever it is
        if sum([hmac.compare_digest(known, digest) for known in tried.hashes]):
            tried.repeats += 1
            return tried.repeats
        tried.hashes = [*tried.hashes, digest][-HASHES_MAX:]
        return 0

    def forget(self, name: str) -> None:
        """After the password was changed."""
        for pair in [pair for pair in self._tried if pair[0] == name]:
            del self._tried[pair]
