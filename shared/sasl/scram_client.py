"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the client's side.

Laws:
- The server proves that it knows the password, too: until its signature has been seen and is right the exchange has failed,
  whatever the protocol around it says.
- The nonce must begin with ours; the number of iterations is bounded on both sides: fewer than RFC 7677 §4 asks for would give the
  password away to whoever reads the proof, more than MAX_ITERATIONS would keep the process busy.

What can fail: MalformedExchange.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from shared.sasl.credentials import MalformedExchange
from shared.sasl.scram import MAX_NONCE_OCTETS, SCRAM, SCRAM_PLUS
from shared.sasl.scram_keys import salted_password
from shared.wire import base64

MIN_ITERATIONS: Final = 4096
"""RFC 7677 §4."""
MAX_ITERATIONS: Final = 200_000
"""Some 80 ms of CPU; servers use 4,096 to 50,000."""
_MAX_SALT_OCTETS: Final = 256

# RFC 5802 §7: server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
_SERVER_FIRST: Final = re.compile(
    rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,[A-Za-z]=[^,]*)*\Z"
)
# server-final-message = (server-error / verifier) ["," extensions]
_SERVER_FINAL: Final = re.compile(rb"v=([A-Za-z0-9+/=]+)(?:,[A-Za-z]=[^,]*)*\Z")


class ScramClient:
    """One exchange. ``complete`` once the server's signature was right."""

    def __init__(self, authcid: str, password: str, nonce: str, binding: tuple[str, bytes] | None, *, flag: str = "n") -> None:
        """``nonce``: at least 18 random octets in base64. ``binding``: type and value; else the gs2 flag "n" or "y"."""
        self.name = SCRAM_PLUS if binding else SCRAM
        self.complete = False
        self._password = password
        self._nonce = nonce.encode("ascii")
        # RFC 5802 §6
        header = f"p={binding[0]}" if binding else flag
        self._channel = header.encode("ascii") + b",," + (binding[1] if binding else b"")
        self._header = header.encode("ascii") + b",,"
        # RFC 5802 §5.1: "," and "=" of a name are escaped
        self._bare = b"n=" + authcid.replace("=", "=3D").replace(",", "=2C").encode() + b",r=" + self._nonce
        self._signature = b""

    def initial(self) -> bytes | None:
        """See ClientMechanism."""
        return self._header + self._bare

    def respond(self, challenge: bytes) -> bytes:
        """See ClientMechanism: the proof, then nothing. Raises MalformedExchange, also where the server's signature is wrong."""
        if not self._signature:
            return self._prove(challenge)
        self.finish(challenge)
        return b""

    def finish(self, server_final: bytes) -> None:
        """The server's last message. Raises MalformedExchange where it does not prove that the server knows the password."""
        match = _SERVER_FINAL.match(server_final)
        if match is None or self.complete or not self._signature:
            raise MalformedExchange("the server refused the exchange, or does not follow SCRAM")
        if not hmac.compare_digest(_decode(match.group(1)), self._signature):
            raise MalformedExchange("the server's signature is wrong: it does not know the password")
        self.complete = True

    def _prove(self, server_first: bytes) -> bytes:
        match = _SERVER_FIRST.match(server_first)
        if match is None:
            raise MalformedExchange("not a server's first message of SCRAM")
        nonce, salt, iterations = match.group(1), _decode(match.group(2)), int(match.group(3))
        if not nonce.startswith(self._nonce) or not len(self._nonce) < len(nonce) <= len(self._nonce) + MAX_NONCE_OCTETS:
            raise MalformedExchange("the server's nonce does not begin with ours")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS or not 0 < len(salt) <= _MAX_SALT_OCTETS:
            raise MalformedExchange(f"{iterations} iterations: {MIN_ITERATIONS} to {MAX_ITERATIONS} are taken")
        # RFC 5802 §3
        salted = salted_password(self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + base64.encode(self._channel) + b",r=" + nonce
        message = b",".join((self._bare, server_first, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.encode(proof)


def _decode(text: bytes) -> bytes:
    try:
        return base64.decode(text, len(text))
    except base64.InvalidBase64:
        raise MalformedExchange("not base64") from None
