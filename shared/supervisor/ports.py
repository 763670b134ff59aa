"""A port in use is named before anything starts, with the service that wanted it.

The services would fail too, but one by one and in their own logs. The test binds and lets go at once: what takes the
port in between is still reported by the service itself.
"""

import errno
import os
import socket
from typing import Final

import attrs

from shared.config.schema import Settings

_NO_SUCH_FAMILY: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


@attrs.frozen
class WantedPort:
    """One address that a service is going to listen on; ``port`` with the offset, 0 for any."""

    service: str
    purpose: str
    host: str
    port: int


class PortUnavailable(Exception):
    """The text names service, purpose, address and reason."""


def wanted_ports(settings: Settings) -> tuple[WantedPort, ...]:
    """All listening addresses of these settings."""
    smtp, imap, pop3, observe = settings.smtp_in, settings.imap, settings.pop3, settings.observe
    devices: tuple[tuple[str, str, int], ...] = (("smtp_in", "submission of devices", smtp.device_port),) if smtp.device_port else ()
    mail = (
        ("smtp_in", "SMTP", smtp.port),
        ("smtp_in", "submission", smtp.submission_port),
        ("smtp_in", "submission over TLS", smtp.submissions_port),
        *devices,
        ("imap", "IMAP", imap.port),
        ("imap", "IMAP over TLS", imap.tls_port),
        ("pop3", "POP3", pop3.port),
        ("pop3", "POP3 over TLS", pop3.tls_port),
    )
    internal = (
        ("store", observe.store_port),
        ("smtp_in", observe.smtp_in_port),
        ("smtp_out", observe.smtp_out_port),
        ("imap", observe.imap_port),
        ("pop3", observe.pop3_port),
    )
    wanted = [WantedPort(*row[:2], host, settings.listen_port(row[2])) for row in mail for host in hosts(settings)]
    wanted += [WantedPort(name, "health", observe.address, settings.listen_port(port)) for name, port in internal]
    return tuple(wanted)


def hosts(settings: Settings) -> tuple[str, ...]:
    """Listening addresses; `*` means all of both families."""
    return tuple(h for host in settings.server.listen for h in (("0.0.0.0", "::") if host in ("*", "") else (host,)))


def check_ports(settings: Settings) -> None:
    """Raises PortUnavailable for the first port that cannot be bound."""
    for wanted in wanted_ports(settings):
        if wanted.port:
            _check(wanted)


def _check(wanted: WantedPort) -> None:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    shown = f"[{wanted.host}]:{wanted.port}" if ":" in wanted.host else f"{wanted.host}:{wanted.port}"
    where = f"port {wanted.port} ({wanted.purpose} of {wanted.service}, {shown})"
    if wanted.port > 65535:
        raise PortUnavailable(
            f"port {wanted.port} ({wanted.purpose} of {wanted.service}) is above 65535: lower the offset"
        )
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((wanted.host, wanted.port))
    except PermissionError:
        raise PortUnavailable(f"{where} needs privileges that this user lacks: raise --port-offset") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortUnavailable(f"{where} is in use by another program: stop it, or choose --port-offset") from None
        if error.errno in _NO_SUCH_FAMILY and family == socket.AF_INET6:
            return
        raise PortUnavailable(f"{where} cannot be used: {os.strerror(error.errno or 0)}") from None
