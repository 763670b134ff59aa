"""DKIM signatures on what leaves: for the domain in From, when the message is ours to vouch for.

Laws
- Signed is what an account here submitted in the name of the domain that it sends from (which smtp_in has seen to be its own); never
  a message that somebody else sent and an alias forwards.
- RSA and Ed25519 side by side, one field for each key that signs (RFC 8463 §3): whoever knows both takes the better.
- Keys come from the store and are kept for KEEP_SECONDS in memory; nothing of them is in a log or an exception.
- What is signed is what is sent: a message that had to be converted for the hop is converted before (`adapt`).
- A domain without keys, or an unusable key, is sent without: an unsigned message is better than none.

A store that is away defers the message (ContentLost), as it does everywhere.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from services.smtp_out.content import ContentLost, ContentReader
from shared.contract.queue import QueueApi
from shared.contract.types import QueueEntry
from shared.errors import StoreError
from shared.mail.header import header_end
from shared.mailauth.authors import read_authors, to_a_labels
from shared.mailauth.dkim_sign import BodyHash, choose_fields
from shared.observe.log import Logger
from shared.wire.dots import normalise_newlines
from shared.wire.newlines import NewlineWriter

KEEP_SECONDS: Final = 60.0
_DOMAINS_MAX: Final = 1000


@attrs.frozen(eq=False)
class _Key:
    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes] = attrs.field(repr=False)


class Signer:
    """Of one process."""

    def __init__(
        self, queue: QueueApi, log: Logger, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        """`clock`: seconds since 1970; `steady`: seconds on a clock that never jumps."""
        self._queue = queue
        self._log = log
        self._clock = clock
        self._steady = steady
        self._keys: OrderedDict[str, tuple[float, tuple[_Key, ...]]] = OrderedDict()

    async def sign(self, entry: QueueEntry, content: ContentReader) -> None:
        """Put the signatures in front of a content. Raises ContentLost."""
        if entry.account_id is None:
            return
        first = await content.first()
        end = header_end(first, 0, len(first))
        if end == len(first) and end < content.octets:
            return  # a header beyond all measure
        header = normalise_newlines(first[:end])
        authors = read_authors(header)
        domain = to_a_labels(entry.sender.rpartition("@")[2].encode())
        if authors.fault or authors.domains != (domain,):
            return
        keys = await self._keys_of(domain)
        if not keys:
            return
        body = BodyHash()
        newlines = NewlineWriter()
        body.feed(newlines.feed((await content.read())[end:]))
        while piece := await content.read():
            body.feed(newlines.feed(piece))
        body.feed(newlines.flush())
        content.rewind()
        content.put_in_front(self._fields(keys, header, body.digest(), domain))

    async def signatures(self, message: bytes, domain: str) -> bytes:
        """The fields for a whole message of our own making; empty where no key signs for the domain. Raises ContentLost."""
        keys = await self._keys_of(domain)
        end = header_end(message, 0, len(message))
        body = BodyHash()
        body.feed(message[end:])
        return self._fields(keys, message[:end], body.digest(), domain)

    def _fields(self, keys: Sequence[_Key], header: bytes, body_hash: bytes, domain: str) -> bytes:
        now = int(self._clock())
        chosen = choose_fields(header)
        drafts = [chosen.draft(body_hash, domain, key.selector, key.algorithm, now) for key in keys]
        return b"".join(draft.finish(key.sign(draft.to_sign)) for key, draft in zip(keys, drafts, strict=True))

    async def _keys_of(self, domain: str) -> tuple[_Key, ...]:
        kept = self._keys.get(domain)
        if kept is not None and kept[0] > self._steady():
            return kept[1]
        try:
            sent = await self._queue.signing_keys(domain)
        except StoreError as error:
            raise ContentLost(str(error)) from None
        keys: list[_Key] = []
        for each in sent:
            key = _load(each.selector, each.algorithm, each.private_key)
            if key is None:
                self._log.error("a DKIM key is unusable", domain=domain, selector=each.selector)
            else:
                keys.append(key)
        self._keys[domain] = (self._steady() + KEEP_SECONDS, tuple(keys))
        self._keys.move_to_end(domain)
        while len(self._keys) > _DOMAINS_MAX:
            self._keys.popitem(last=False)
        return tuple(keys)


def _load(selector: str, algorithm: str, private_key: bytes) -> _Key | None:
    """A key from PKCS #8; None where it is none."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        private = load_der_private_key(private_key, None)
    except (ValueError, TypeError):
        return None
    if algorithm == "rsa-sha256" and isinstance(private, RSAPrivateKey):
        rsa, padding, digest = private, PKCS1v15(), hashes.SHA256()
        return _Key(selector, algorithm, lambda octets: rsa.sign(octets, padding, digest))
    if algorithm != "rsa-sha256" and isinstance(private, Ed25519PrivateKey):
        ed25519 = private
        # RFC 8463 §3: PureEdDSA over the SHA-256 of the data
        return _Key(selector, algorithm, lambda octets: ed25519.sign(hashlib.sha256(octets).digest()))
    return None
