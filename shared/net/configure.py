"""The listeners' bounds that the settings ask for, and the watch over clients; the same for every service with clients."""

from __future__ import annotations

from shared.config.schema import Settings
from shared.net.hidden import ClientsWatch, read_surroundings
from shared.net.listen import ListenLimits
from shared.net.networks import NetworkSet
from shared.observe.metrics import Metrics


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


def watch_clients(metrics: Metrics) -> ClientsWatch:
    """The process's own; its metric says when clients are hidden."""
    watch = ClientsWatch(read_surroundings())
    gauge = metrics.gauge("clients_hidden", "1: all clients seem to be the gateway, something hides their addresses.")
    gauge.read_from(lambda: watch.statistics()["hidden"])
    return watch
