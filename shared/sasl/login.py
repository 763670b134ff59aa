"""LOGIN (draft-murchison-sasl-login-00): the obsolete mechanism that many devices still insist on.

The server asks "Username:" and "Password:"; clients ignore the words and answer in this order. An initial response
is the user name. Law: allowed only where the connection is protected, as PLAIN. What can fail: MalformedExchange.
"""

from __future__ import annotations

from shared.sasl.credentials import Challenge, Credentials, MalformedExchange, Step, decode_text

USERNAME_CHALLENGE = b"Username:"
PASSWORD_CHALLENGE = b"Password:"


class LoginServer:
    """The server's side: two challenges, then the credentials."""

    name = "LOGIN"

    def __init__(self) -> None:
        self._authcid: str | None = None

    def start(self, initial: bytes | None) -> Step:
        """See ServerMechanism."""
        return Challenge(USERNAME_CHALLENGE) if not initial else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        """See ServerMechanism."""
        text = decode_text(response)
        if not text:
            raise MalformedExchange("empty user name or password")
        if self._authcid is None:
            self._authcid = text
            return Challenge(PASSWORD_CHALLENGE)
        return Credentials(authcid=self._authcid, password=text)


class LoginClient:
    """The client's side. Servers differ in the words they ask with, so only the order counts."""

    name = "LOGIN"

    def __init__(self, authcid: str, password: str) -> None:
        self._answers = [authcid.encode(), password.encode()]

    def initial(self) -> bytes | None:
        """See ClientMechanism."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """See ClientMechanism."""
        del challenge
        if not self._answers:
            raise MalformedExchange("LOGIN knows only two challenges")
        return self._answers.pop(0)
