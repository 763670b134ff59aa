"""Session and store of a SCRAM exchange in one, without either: for tests of protocol cores. RFC 7677's example account.

The nonce and the salt are fixed, so that whole dialogues are octets which a test can split.
"""

import base64
from collections.abc import Mapping

from shared.errors import AuthenticationFailed
from shared.sasl.credentials import ClientMessage
from shared.sasl.scram import ScramServer
from shared.sasl.scram_keys import derive

# RFC 7677 §3
USER, PASSWORD = "user", "pencil"
CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
ITERATIONS = 4096
CLIENT_FIRST = base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
SERVER_FIRST = base64.b64encode(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
CLIENT_FINAL = base64.b64encode(
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
WRONG_FINAL = base64.b64encode(
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)
SERVER_FINAL = base64.b64encode(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
_KEYS = derive(PASSWORD, SALT, ITERATIONS)


class ScramJudge:
    """`respond` to each message, as ScramExchange does."""

    def __init__(self, bindings: Mapping[str, bytes] | None = None) -> None:
        self._bindings = bindings or {}
        self._steps = 0
        self._server = ScramServer("", SERVER_NONCE, self._bindings)
        self.messages: list[ClientMessage] = []

    def respond(self, message: ClientMessage) -> bytes | None:
        """The next challenge, None for a login. Raises MalformedExchange, BindingRefused, AuthenticationFailed."""
        self.messages.append(message)
        if message.first:
            self._server, self._steps = ScramServer(message.mechanism, SERVER_NONCE, self._bindings), 0
        self._steps += 1
        if self._steps == 1:
            self._server.first(message.data)
            return self._server.challenge(SALT, ITERATIONS)
        if self._steps == 2:
            given = self._server.final(message.data)
            if not _KEYS.proof_is_right(given.auth_message, given.proof):
                raise AuthenticationFailed
            return self._server.verdict(_KEYS.server_signature(given.auth_message))
        assert self._steps == 3, "the core went on after the end of an exchange"
        return None
