"""Logging in. The store alone sees password hashes."""

from typing import Protocol

import attrs

from shared.contract.registry import Role, call
from shared.contract.types import LoginResult


@attrs.frozen
class ScramChallenge:
    """What the client of a SCRAM exchange needs to make its proof (RFC 5802 §3)."""

    salt: bytes
    iterations: int


@attrs.frozen
class ScramLogin:
    login: LoginResult
    signature: bytes
    """ServerSignature: what the client verifies us by."""


class AuthApi(Protocol):
    @call(Role.SMTP_IN, Role.IMAP, Role.POP3)
    async def login(self, username: str, password: str, client: str) -> LoginResult:
        """Check a password, the account's or one of its devices'; the grant is for the calling role.

        ``username`` is the account's address, or ``address/device``; by POP3 a mailbox may be in it, with the separator of subaddresses
        (``user+Work@example.org``, ``user@example.org+Work/2024``). ``client`` is the IP address it came from: failures count there.

        Raises AuthenticationFailed, after the same time whether or not the user exists, held back for some seconds when failures repeat;
        Banned when too many failed; Overloaded when too many wait.
        """
        ...

    @call(Role.SMTP_IN, Role.IMAP, Role.POP3)
    async def scram_begin(self, username: str) -> ScramChallenge:
        """Salt and iterations of SCRAM-SHA-256 for a user name, whether or not there is such a user.

        An address has the main password's, ``address/device`` the device's.
        """
        ...

    @call(Role.SMTP_IN, Role.IMAP, Role.POP3)
    async def scram_finish(self, username: str, auth_message: bytes, proof: bytes, client: str) -> ScramLogin:
        """Verify a client's proof over the messages of its exchange (RFC 5802 §3); the grant is for the calling role.

        Raises AuthenticationFailed, after the same work whether or not the user exists, and Banned, as ``login`` does.
        """
        ...
