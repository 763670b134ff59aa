"""Keys of DKIM as they are made: RSA with 2048 bits and Ed25519 side by side (RFC 8301 §3.2, RFC 8463)."""

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.store.domain.dkim import NewKey

RSA_BITS: Final = 2048


def make_keys() -> tuple[NewKey, ...]:
    """One of each kind. Takes about a tenth of a second of a processor."""
    rsa = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    rsa_public = rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ed = Ed25519PrivateKey.generate()
    return (
        NewKey(
            "rsa-sha256",
            rsa.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            base64.b64encode(rsa_public).decode(),
        ),
        NewKey(
            "ed25519-sha256",
            ed.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            base64.b64encode(ed.public_key().public_bytes_raw()).decode(),
        ),
    )
