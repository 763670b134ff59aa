"""The client's side of SCRAM-SHA-256, written from RFC 5802 on its own, with every field open to forgery by a test."""

import base64
import hashlib
import hmac
import os


class ScramClient:
    """``first``, then ``final`` with the server's first message, then ``check`` with its last."""

    def __init__(
        self, user: str, password: str, *, binding: tuple[str, bytes] | None = None, flag: bytes = b"n", nonce: bytes = b""
    ) -> None:
        """``binding``: type and value; else ``flag`` is sent ("n" or "y")."""
        self._password = password
        self._header = (b"p=" + binding[0].encode() if binding else flag) + b",,"
        self._channel = self._header + (binding[1] if binding else b"")
        self._nonce = nonce or base64.b64encode(os.urandom(18))
        self._bare = b"n=" + user.replace("=", "=3D").replace(",", "=2C").encode() + b",r=" + self._nonce
        self._signature = b""

    def first(self) -> bytes:
        """The client's first message."""
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        """The client's final message."""
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        assert fields[b"r"].startswith(self._nonce)
        assert len(fields[b"r"]) > len(self._nonce)
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"])
        )
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + base64.b64encode(self._channel) + b",r=" + fields[b"r"]
        message = b",".join((self._bare, server_first, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, server_final: bytes) -> bool:
        """Whether the server has proved that it knows the password."""
        return server_final == b"v=" + base64.b64encode(self._signature)
