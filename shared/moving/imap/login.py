"""The old server: where it is, how the connection is protected, who logs in."""

import ipaddress
import socket
import ssl
from enum import StrEnum
from pathlib import Path
from typing import Final

import attrs
import trio

from shared.moving.workers import SourceFailed
from shared.net.dial import ConnectFailed, connect
from shared.net.stream import CertificateRefused, ClientStream
from shared.net.tls import CertificateError, verifying_client_context

CONNECT_SECONDS: Final = 20.0
HANDSHAKE_SECONDS: Final = 30.0


class Tls(StrEnum):
    IMPLICIT = "implicit"
    """From the first octet on (RFC 8314 §3)."""
    STARTTLS = "starttls"
    NONE = "none"
    """On this machine alone."""


@attrs.frozen
class Server:
    host: str
    port: int
    tls: Tls
    ca_file: Path | None = None
    """None: the system's authorities."""

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


@attrs.frozen
class Login:
    user: str
    """Whose mail."""
    password: str = attrs.field(repr=False)
    master: str = ""
    """Who logs in instead of the user, with a password of its own (RFC 4616 §2: authorization identity)."""

    @property
    def plain(self) -> bytes:
        """The message of SASL PLAIN."""
        who = self.master or self.user
        return "\0".join((self.user if self.master else "", who, self.password)).encode()


async def open_stream(server: Server) -> ClientStream:
    """A connection, with TLS where that comes first. Raises ConnectionLost, SourceFailed."""
    try:
        found = await trio.socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectFailed(f"{server.host}: {error.strerror or error}") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if server.tls is Tls.NONE and not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise SourceFailed(f"{server.host} is not this machine: without TLS everybody on the way could read the password")
    for number, address in enumerate(addresses, 1):
        try:
            stream = await connect(address, server.port, CONNECT_SECONDS)
            break
        except ConnectFailed:
            if number == len(addresses):
                raise
        except OSError as error:
            # no such address family on this machine
            if number == len(addresses):
                raise ConnectFailed(f"cannot connect to {address}: {error.strerror}") from None
    else:
        raise ConnectFailed(f"{server.host} has no address")
    if server.tls is Tls.IMPLICIT:
        await secure(stream, server)
    return stream


async def secure(stream: ClientStream, server: Server) -> None:
    """The handshake, with chain and name verified. Raises SourceFailed, ConnectionLost."""
    try:
        await stream.start_tls(context_of(server), HANDSHAKE_SECONDS, server_hostname=server.host)
    except CertificateRefused as error:
        raise SourceFailed(f"{server}: {error}") from None


def context_of(server: Server) -> ssl.SSLContext:
    """Raises SourceFailed."""
    try:
        return verifying_client_context(server.ca_file)
    except CertificateError as error:
        raise SourceFailed(str(error)) from None
