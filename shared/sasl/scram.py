"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's side: messages in, messages out, no secret.

The order: ``first`` takes the client's first message and says who it is; the caller gets salt and iterations from the store;
``challenge`` makes the server's first message; ``final`` takes the client's answer and says what the store must verify;
``verdict`` makes the last message from the store's signature.

Laws:
- The edge never sees a key of the account: it composes the message that was agreed on, the store judges the proof over it.
- A client that could have bound the channel and was told that we cannot (gs2 flag "y" while -PLUS is offered) is refused: somebody
  between us took the offer away (RFC 5802 §6).
- A client that binds to something else than this connection is refused as a wrong password is.

What can fail: MalformedExchange, BindingRefused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from shared.sasl.credentials import MalformedExchange, SaslError, decode_text
from shared.sasl.saslprep import Unpreparable, saslprep
from shared.wire import base64

SCRAM: Final = "SCRAM-SHA-256"
SCRAM_PLUS: Final = "SCRAM-SHA-256-PLUS"

MAX_NONCE_OCTETS: Final = 256
"""Of the client's part."""

# RFC 5802 §7: gs2-header = gs2-cbind-flag "," [ authzid ] ","
_GS2_HEADER: Final = re.compile(rb"(p=[A-Za-z0-9.\-]{1,64}|n|y),(?:a=([^,]*))?,")
# RFC 5802 §7: client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
_FIRST_BARE: Final = re.compile(rb"n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)((?:,[A-Za-ln-z]=[^,]+)*)\Z")
# RFC 5802 §7: client-final-message = channel-binding "," nonce ["," extensions] "," proof
_FINAL: Final = re.compile(
    rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-ln-z]=[^,]+)*),p=([A-Za-z0-9+/=]+)\Z"
)


def scram_mechanisms(*, binding: bool) -> tuple[str, ...]:
    """What to offer, the best first. RFC 5802 §6: -PLUS only where the channel can be bound."""
    return (SCRAM_PLUS, SCRAM) if binding else (SCRAM,)


class BindingRefused(SaslError):
    """The client's channel is not ours, or the offer of channel binding was taken away: refused as a wrong password."""


@frozen
class ScramUser:
    """Who the client says it is."""

    username: str
    authzid: str


@frozen
class ScramProof:
    """What the store verifies."""

    auth_message: bytes
    proof: bytes = field(repr=False)


class ScramServer:
    """One exchange."""

    __slots__ = ("_binding", "_bindings", "_first_bare", "_gs2_header", "_nonce", "_plus", "_server_first")

    def __init__(self, mechanism: str, nonce: str, bindings: Mapping[str, bytes]) -> None:
        """``nonce``: at least 18 random octets in base64. ``bindings``: of this connection by type; none: -PLUS is not offered."""
        self._plus = mechanism == SCRAM_PLUS
        self._bindings = bindings
        self._nonce = nonce.encode("ascii")
        self._gs2_header = self._binding = self._first_bare = self._server_first = b""

    def first(self, message: bytes) -> ScramUser:
        """The client's first message. Raises MalformedExchange, BindingRefused."""
        header = _GS2_HEADER.match(message)
        if header is None:
            raise MalformedExchange("no gs2 header")
        self._gs2_header, self._first_bare = header.group(), message[header.end() :]
        if self._first_bare.startswith(b"m="):
            # RFC 5802 §5.1: mandatory extensions, none of which we know
            raise MalformedExchange("unknown mandatory extension")
        bare = _FIRST_BARE.match(self._first_bare)
        if bare is None or len(bare.group(2)) > MAX_NONCE_OCTETS:
            raise MalformedExchange("not a first message of SCRAM")
        self._choose_binding(header.group(1))
        user = ScramUser(_name(bare.group(1)), _name(header.group(2) or b""))
        if not user.username:
            raise MalformedExchange("empty user name")
        self._nonce = bare.group(2) + self._nonce
        return user

    def _choose_binding(self, flag: bytes) -> None:
        # RFC 5802 §6
        if not flag.startswith(b"p="):
            if self._plus:
                raise MalformedExchange("this mechanism needs a channel binding")
            if flag == b"y" and self._bindings:
                raise BindingRefused("the client was told that there is no channel binding")
            return
        if not self._plus:
            raise MalformedExchange("this mechanism has no channel binding")
        value = self._bindings.get(flag[2:].decode("ascii"))
        if value is None:
            raise BindingRefused("unknown type of channel binding")
        self._binding = value

    def challenge(self, salt: bytes, iterations: int) -> bytes:
        """The server's first message."""
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, base64.encode(salt), iterations)
        return self._server_first

    def final(self, message: bytes) -> ScramProof:
        """The client's final message. Raises MalformedExchange, BindingRefused."""
        match = _FINAL.match(message)
        if match is None:
            raise MalformedExchange("not a final message of SCRAM")
        without_proof, channel, nonce, proof = match.groups()
        if nonce != self._nonce:
            raise MalformedExchange("another nonce")
        if _decode(channel) != self._gs2_header + self._binding:
            raise BindingRefused("another channel")
        # RFC 5802 §3: AuthMessage
        return ScramProof(b",".join((self._first_bare, self._server_first, without_proof)), _decode(proof))

    def verdict(self, server_signature: bytes) -> bytes:
        """The server's final message; the client answers it with nothing."""
        return b"v=" + base64.encode(server_signature)


def _name(escaped: bytes) -> str:
    """RFC 5802 §5.1: saslname, in which "," and "=" are escaped; prepared. Raises MalformedExchange."""
    if escaped.count(b"=") != escaped.count(b"=2C") + escaped.count(b"=3D"):
        raise MalformedExchange("broken escape in a name")
    try:
        return saslprep(decode_text(escaped.replace(b"=2C", b",").replace(b"=3D", b"=")))
    except Unpreparable:
        raise MalformedExchange("a name that cannot be") from None


def _decode(text: bytes) -> bytes:
    try:
        return base64.decode(text, len(text))
    except base64.InvalidBase64:
        raise MalformedExchange("not base64") from None
