"""One id follows a message through all services: in log lines, the Received field, the queue and every call of the RPC."""

import secrets
from contextvars import ContextVar
from typing import Final

TRACE: Final[ContextVar[str]] = ContextVar("pillarbox_trace", default="")
"""The trace id of what this task works on; empty when it is nothing in particular."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def new_trace() -> str:
    """13 characters of lower-case base 32 (65 bits): short enough to read out, unique enough for ever."""
    number = int.from_bytes(secrets.token_bytes(9), "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(60, -5, -5))
