"""The client's side of a SASL exchange (relays of smtp_out): choose a mechanism, then answer base64 challenges.

The strongest that a server offers comes first: SCRAM never gives the password away and makes the server prove that it knows it;
PLAIN and LOGIN show it to the server, inside TLS; CRAM-MD5 only where there is nothing else: it forces the server to keep the password.

What can fail: MalformedExchange, when the server asks for more than the mechanism knows, sends no base64, or does not prove
(SCRAM) that it knows the password; the caller then sends "*" where the exchange still goes on, and gives the attempt up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import frozen

from shared.sasl.cram_md5 import CramMd5Client
from shared.sasl.credentials import MAX_RESPONSE_OCTETS, ClientMechanism, MalformedExchange
from shared.sasl.login import LoginClient
from shared.sasl.plain import PlainClient
from shared.sasl.scram import SCRAM, SCRAM_PLUS
from shared.sasl.scram_client import ScramClient
from shared.wire import base64

_SIMPLE: Final[Mapping[str, Callable[[str, str], ClientMechanism]]] = {
    "PLAIN": PlainClient,
    "LOGIN": LoginClient,
    "CRAM-MD5": CramMd5Client,
}
CLIENT_MECHANISMS: Final = (SCRAM_PLUS, SCRAM, *_SIMPLE)
"""The best first."""


@frozen
class ScramTerms:
    """What SCRAM needs of the world."""

    nonce: str
    """At least 18 random octets in base64."""
    binding: tuple[str, bytes] | None = None
    """The connection's channel binding, type and value."""
    plus_offered: bool = False
    """Whether the server offers -PLUS: without it, and with a binding, we say that we could have bound (RFC 5802 §6)."""


class ClientSession:
    """One exchange with user name and password over a mechanism that the server offers."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: str, authcid: str, password: str, terms: ScramTerms | None = None) -> None:
        """``mechanism`` is one of ``ranked``; ``terms``: for SCRAM. Raises KeyError for any other."""
        if terms is not None and mechanism in (SCRAM, SCRAM_PLUS):
            bound = terms.binding if mechanism == SCRAM_PLUS else None
            flag = "y" if terms.binding and not terms.plus_offered else "n"
            self._mechanism: ClientMechanism = ScramClient(authcid, password, terms.nonce, bound, flag=flag)
        else:
            self._mechanism = _SIMPLE[mechanism](authcid, password)

    @property
    def mechanism(self) -> str:
        """The mechanism's registered name."""
        return self._mechanism.name

    def initial(self) -> bytes | None:
        """The initial response as base64 for the AUTH command, or None when the server speaks first."""
        data = self._mechanism.initial()
        if data is None:
            return None
        # RFC 4954 §4
        return base64.encode(data) or b"="

    def respond(self, challenge: bytes) -> bytes:
        """The answer, base64, to a challenge as it stood behind "334 " or "+ ". Raises MalformedExchange."""
        try:
            data = base64.decode(challenge.strip(), MAX_RESPONSE_OCTETS)
        except base64.InvalidBase64:
            # A server that writes a plain word for LOGIN's challenges is still understood; only the order counts there.
            if self._mechanism.name != "LOGIN":
                raise MalformedExchange("challenge is not base64") from None
            data = b""
        return base64.encode(self._mechanism.respond(data))

    def succeeded(self, told: bytes = b"") -> None:
        """The server says that the exchange has succeeded; ``told``: what stands behind its reply code, where SCRAM's last message may be.

        Raises MalformedExchange when it has not proved that it knows the password (RFC 5802 §5).
        """
        mechanism = self._mechanism
        if not isinstance(mechanism, ScramClient) or mechanism.complete:
            return
        try:
            final = base64.decode(told.strip(), MAX_RESPONSE_OCTETS)
        except base64.InvalidBase64:
            raise MalformedExchange("the server did not prove that it knows the password") from None
        mechanism.finish(final)


def ranked(offered: Iterable[str], *, bound: bool = False) -> tuple[str, ...]:
    """Ours among those a server offers (any case), the best first. ``bound``: -PLUS can be used, there is a channel binding."""
    names = {name.upper() for name in offered}
    return tuple(name for name in CLIENT_MECHANISMS if name in names and (bound or name != SCRAM_PLUS))
