"""The server's side of AUTH for the scripted SMTP peer: every mechanism that a relay may offer, and a server that only pretends."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence

import attrs

from shared.sasl.credentials import SaslError
from shared.sasl.scram import ScramServer
from shared.sasl.scram_keys import derive

ITERATIONS = 4096
_CHALLENGE = b"<1.2@peer.test>"
_Ask = Callable[[bytes], bytes]  # a challenge to the client, its answer; both decoded


@attrs.define
class AuthOffer:
    """What a server offers.

    `forged`: it does not know the passwords and takes anybody (SCRAM's last message is then wrong). `binding`: the value of
    tls-server-end-point of its certificate.
    """

    mechanisms: Sequence[str] = ("PLAIN", "LOGIN")
    forged: bool = False
    binding: bytes = b""

    def user_of(self, command: str, say: Callable[[str], None], read: Callable[[], str], logins: Mapping[str, str]) -> str:
        """Run the exchange that "MECHANISM [initial]" begins: the user where the password is right, else an empty text."""
        mechanism, _, initial = command.partition(" ")

        def ask(challenge: bytes) -> bytes:
            say(f"334 {base64.b64encode(challenge).decode()}")
            return _decode(read())

        try:
            return self._exchange(mechanism, _decode(initial) if initial else None, ask, logins)
        except (SaslError, ValueError):
            return ""

    def _exchange(self, mechanism: str, initial: bytes | None, ask: _Ask, logins: Mapping[str, str]) -> str:
        if mechanism == "PLAIN":
            _, user, password = (initial if initial is not None else ask(b"")).decode().split("\0")
            return user if logins.get(user) == password else ""
        if mechanism == "LOGIN":
            user = (initial if initial is not None else ask(b"Username:")).decode()
            return user if logins.get(user) == ask(b"Password:").decode() else ""
        if mechanism == "CRAM-MD5":
            user, _, digest = ask(_CHALLENGE).decode().rpartition(" ")
            right = hmac.new(logins.get(user, "").encode(), _CHALLENGE, hashlib.md5).hexdigest()
            return user if user in logins and digest == right else ""
        return self._scram(mechanism, initial or b"", ask, logins)

    def _scram(self, mechanism: str, first: bytes, ask: _Ask, logins: Mapping[str, str]) -> str:
        bindings = {"tls-server-end-point": self.binding} if mechanism.endswith("-PLUS") else {}
        server = ScramServer(mechanism, base64.b64encode(b"a nonce of the peer").decode(), bindings)
        user = server.first(first).username
        password = "another password" if self.forged else logins.get(user, "another password")
        keys = derive(password, b"salt of the peer", ITERATIONS)
        given = server.final(ask(server.challenge(keys.salt, keys.iterations)))
        if not self.forged and not keys.proof_is_right(given.auth_message, given.proof):
            return ""
        ask(server.verdict(keys.server_signature(given.auth_message)))
        return user


def _decode(line: str) -> bytes:
    return base64.b64decode("" if line == "=" else line)
