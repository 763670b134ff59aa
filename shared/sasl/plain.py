"""PLAIN (RFC 4616): one response, `[authzid] NUL authcid NUL passwd`, UTF-8.

Law: allowed only where the connection is protected; the caller sees to that (RFC 4616 §6).
What can fail: MalformedExchange.
"""

from __future__ import annotations

from shared.sasl.credentials import Challenge, Credentials, MalformedExchange, Step, decode_text


class PlainServer:
    """The server's side: an empty challenge if there was no initial response, then the credentials."""

    name = "PLAIN"

    def start(self, initial: bytes | None) -> Step:
        """See ServerMechanism."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Credentials:
        """See ServerMechanism."""
        # RFC 4616 §2
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise MalformedExchange("PLAIN needs an authorization identity, a user name and a password")
        authzid, authcid, password = (decode_text(part) for part in fields)
        if not authcid or not password:
            raise MalformedExchange("empty user name or password")
        return Credentials(authcid=authcid, password=password, authzid=authzid)


class PlainClient:
    """The client's side."""

    name = "PLAIN"

    def __init__(self, authcid: str, password: str) -> None:
        self._message = b"\0" + authcid.encode() + b"\0" + password.encode()

    def initial(self) -> bytes | None:
        """See ClientMechanism."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """See ClientMechanism; asked only when the protocol had no room for the initial response."""
        if challenge:
            raise MalformedExchange("PLAIN knows no challenge")
        return self._message
