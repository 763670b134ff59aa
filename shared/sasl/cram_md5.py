"""CRAM-MD5 (RFC 2195), the client's side: for relays that have nothing better. The password does not travel, the server must keep it.

What can fail: MalformedExchange, when the server asks twice.
"""

from __future__ import annotations

import hmac

from shared.sasl.credentials import MalformedExchange


class CramMd5Client:
    """One challenge, one answer."""

    name = "CRAM-MD5"

    def __init__(self, authcid: str, password: str) -> None:
        self._authcid = authcid.encode()
        self._password: bytes | None = password.encode()

    def initial(self) -> bytes | None:
        """See ClientMechanism."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """See ClientMechanism."""
        if self._password is None:
            raise MalformedExchange("CRAM-MD5 knows only one challenge")
        # RFC 2195 §2: the user name, a space, and the keyed MD5 of the challenge in lower-case hexadecimal digits
        answer = self._authcid + b" " + hmac.digest(self._password, challenge, "md5").hex().encode("ascii")
        self._password = None
        return answer
