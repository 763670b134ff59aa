"""Settings become what the other modules take: limits, endpoints, and a profile per port and client."""

from __future__ import annotations

import time
from collections.abc import Callable, Container

from attrs import frozen

from services.smtp_in.protocol.events import Profile
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.way import WayOffer, written_date
from shared.config.load import server_hostname
from shared.config.schema import Settings
from shared.net.hidden import ClientsWatch
from shared.net.listen import Endpoint

RELAY = "smtp"
SUBMISSION = "submission"
SUBMISSIONS = "submissions"
DEVICES = "devices"
"""For scanners and cameras: off unless the settings name a port."""
LMTP = "lmtp"
LMTP_MODE = 0o660
"""Of the socket: who may inject is who is in the group of its file."""


def limits_of(settings: Settings) -> Limits:
    """The bounds of one connection."""
    own = settings.smtp_in
    return Limits(
        command_line_octets=own.command_octets,
        message_octets=settings.limits.message_octets,
        recipients=own.recipients,
        errors=own.errors,
        refused_recipients=own.refused_recipients,
        idle_commands=own.idle_commands,
        messages=own.transactions,
        auth_failures=settings.auth.attempts_per_connection,
    )


def endpoints_of(settings: Settings) -> list[Endpoint]:
    """The three ports, and that of devices where it is wanted, on every address to listen on."""
    own = settings.smtp_in
    devices = ((DEVICES, own.device_port),) if own.device_port else ()
    return [
        Endpoint(name, host, settings.listen_port(port), implicit_tls=name == SUBMISSIONS)
        for host in settings.server.listen
        for name, port in (
            (RELAY, own.port),
            (SUBMISSION, own.submission_port),
            (SUBMISSIONS, own.submissions_port),
            *devices,
        )
    ]


@frozen
class Profiles:
    """What a client is offered, by port and address."""

    hostname: str
    plaintext_networks: Container[str]
    xclient_networks: Container[str] = ()
    exempt_networks: Container[str] = ()
    most_hold_seconds: int = 0
    least_by_seconds: int = 0
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Settings, clients: ClientsWatch) -> Profiles:
        """The profiles that the settings ask for."""
        return cls(
            server_hostname(settings),
            clients.trusted(settings.auth.plaintext_networks),
            clients.trusted(settings.smtp_in.xclient_networks),
            clients.trusted(settings.limits.exempt_networks),
            settings.smtp_in.future_release_seconds,
            settings.smtp_in.deliver_by_seconds,
        )

    def _way(self) -> WayOffer:
        """Of a submission port (RFC 4865, RFC 2852)."""
        held = self.most_hold_seconds
        return WayOffer(held, written_date(self.clock() + held) if held else "", self.least_by_seconds)

    def profile(self, listener: str, ip: str, *, xclient: bool = False) -> Profile:
        """The profile of a listener for one client. `xclient`: whoever speaks for it may do so, wherever the client is."""
        if listener == LMTP:
            return Profile(self.hostname, submission=False, starttls=False, lmtp=True)
        if listener == DEVICES:
            return Profile(self.hostname, submission=True, plaintext_auth=True, way=self._way())
        xclient = xclient or ip in self.xclient_networks
        if listener == RELAY:
            return Profile(self.hostname, submission=False, xclient=xclient)
        return Profile(
            self.hostname,
            submission=True,
            starttls=listener == SUBMISSION,
            plaintext_auth=ip in self.plaintext_networks,
            xclient=xclient,
            way=self._way(),
        )
