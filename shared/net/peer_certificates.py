"""The certificates that the other side of a TLS connection sent.

Python has them in public from 3.13 on (`SSLSocket.get_unverified_chain`). Before, the same function is there since 3.10 below the
socket, without a promise that it stays; where it has gone, only the peer's own certificate is told, which leads to a refusal where
more are needed, never to trust. What is returned is what was sent: no check has been made of any of it.
"""

from __future__ import annotations

import operator
import ssl
from collections.abc import Callable
from typing import Any

_ENCODING_DER = 2  # _ssl.ENCODING_DER


def sent_certificates(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    """In DER, the peer's own first; none when it sent none."""
    own = connection.getpeercert(binary_form=True)
    if own is None:
        return ()
    try:
        get: Callable[[], Any] = operator.attrgetter("get_unverified_chain")(connection)
    except AttributeError:
        try:
            get = operator.attrgetter("_sslobj.get_unverified_chain")(connection)
        except AttributeError:
            return (own,)
    return tuple(one if isinstance(one, bytes) else one.public_bytes(_ENCODING_DER) for one in get() or ())
