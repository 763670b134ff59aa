"""The secrets of SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): made from a password once, kept instead of it.

Laws: nothing of ``ScramKeys`` but salt and iterations ever leaves the store; proofs are compared in constant time; no key is in
a repr. ``derive`` is slow on purpose and belongs into a worker thread.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from attrs import field, frozen

from shared.sasl.saslprep import Unpreparable, saslprep

ITERATIONS: Final = 50_000
"""RFC 7677 §4 asks for 4096 at least. 20 ms here; a phone pays as much at each login. One number for all accounts: otherwise
the number would tell who exists."""

SALT_OCTETS: Final = 16
KEY_OCTETS: Final = 32


@frozen
class ScramKeys:
    """What is kept of one password."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def proof_is_right(self, auth_message: bytes, proof: bytes) -> bool:
        """Whether ``proof`` was made with the password, for this exchange."""
        # RFC 5802 §3: ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage); StoredKey = H(ClientKey)
        if len(proof) != KEY_OCTETS:
            return False
        signature = hmac.digest(self.stored_key, auth_message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), self.stored_key)

    def server_signature(self, auth_message: bytes) -> bytes:
        """What proves to the client that we know it, too."""
        return hmac.digest(self.server_key, auth_message, "sha256")


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """RFC 5802 §2.2 Hi(Normalize(password), salt, i). A password that SASLprep prohibits counts as it is: its clients do so, too."""
    try:
        prepared = saslprep(password)
    except Unpreparable:
        prepared = password
    return hashlib.pbkdf2_hmac("sha256", prepared.encode("utf-8", "surrogatepass"), salt, iterations)


def derive(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
    """The keys of a password. Slow."""
    # RFC 5802 §3
    salted = salted_password(password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return ScramKeys(salt, iterations, hashlib.sha256(client_key).digest(), server_key)
