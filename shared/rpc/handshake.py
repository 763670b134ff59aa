"""Who is there: both sides prove that they know the service's key, without sending it. Pure.

    edge  -> store   hello [version, role, worker, client_nonce]
    store -> edge    [store_nonce, HMAC(key, "store" + role + client_nonce + store_nonce)]
    edge  -> store   prove [HMAC(key, "edge" + role + client_nonce + store_nonce)]
    store -> edge    true

An unknown role is answered like a wrong key. Nothing else is served before; the whole handshake has a deadline.
"""

import hmac
from hashlib import blake2b
from typing import Final

HELLO: Final = "$/hello"
PROVE: Final = "$/prove"
NONCE_OCTETS: Final = 32
KEY_OCTETS: Final = 32


def proof(key: bytes, side: str, role: str, client_nonce: bytes, store_nonce: bytes) -> bytes:
    """Keyed BLAKE2b over everything that both sides said; ``side`` is "store" or "edge" so that neither can echo the other."""
    text = b"\0".join((b"pillarbox-rpc", side.encode(), role.encode(), client_nonce, store_nonce))
    return blake2b(text, key=key, digest_size=32).digest()


def proof_is_right(given: object, key: bytes, side: str, role: str, client_nonce: bytes, store_nonce: bytes) -> bool:
    """Constant-time comparison."""
    return isinstance(given, bytes) and hmac.compare_digest(given, proof(key, side, role, client_nonce, store_nonce))
