"""The listeners' bounds that the settings ask for; the same for every service with clients."""

from __future__ import annotations

from shared.config.schema import Settings
from shared.net.listen import ListenLimits
from shared.net.networks import NetworkSet


def listen_limits_of(settings: Settings) -> ListenLimits:
    """The bounds of all listeners of one process together."""
    limits, server = settings.limits, settings.server
    return ListenLimits(
        connections=limits.connections,
        connections_per_client=limits.connections_per_address,
        exempt=NetworkSet(limits.exempt_networks),
        handshake_seconds=limits.tls_handshake_seconds,
        send_seconds=limits.send_seconds,
        grace_seconds=server.drain_seconds,
        proxies=NetworkSet(server.proxy_networks),
        proxy_seconds=server.proxy_seconds,
    )
