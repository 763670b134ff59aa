"""Logging in. The store alone sees password hashes."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.types import LoginResult


class AuthApi(Protocol):
    @call(Role.SMTP_IN, Role.IMAP, Role.POP3)
    async def login(self, username: str, password: str, client: str) -> LoginResult:
        """Check a password; the grant is for the calling role. ``client`` is the address it came from, for the log.

        Raises AuthenticationFailed, after the same time whether or not the user exists; Overloaded when too many wait.
        """
        ...
