"""The client's side of a SASL exchange (smart host of smtp_out): choose a mechanism, then answer base64 challenges.

What can fail: MalformedExchange, when the server asks for more than the mechanism knows or sends no base64; the
caller then sends "*" and gives the attempt up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from shared.sasl.credentials import MAX_RESPONSE_OCTETS, ClientMechanism, MalformedExchange
from shared.sasl.login import LoginClient
from shared.sasl.plain import PlainClient
from shared.wire import base64

_PREFERRED: Mapping[str, Callable[[str, str], ClientMechanism]] = {"PLAIN": PlainClient, "LOGIN": LoginClient}


class ClientSession:
    """One exchange with user name and password over a mechanism that the server offers."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: str, authcid: str, password: str) -> None:
        """`mechanism` is what `choose` returned. Raises KeyError for any other."""
        self._mechanism: ClientMechanism = _PREFERRED[mechanism](authcid, password)

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


def choose(offered: Iterable[str]) -> str | None:
    """The mechanism to use among those a server offers (any case), or None when none of ours is there."""
    names = {name.upper() for name in offered}
    return next((name for name in _PREFERRED if name in names), None)
