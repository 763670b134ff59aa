"""The resolver that the settings describe."""

from __future__ import annotations

import ipaddress

from shared.config.schema import DnsSettings
from shared.dns.resolver import Limits, Resolver


def make_resolver(dns: DnsSettings) -> Resolver:
    """Raises ValueError that names the entry which is no address and port: a resolver's name nobody could resolve."""
    servers = []
    for text in dns.resolvers:
        host, _, port = text.rpartition(":")
        try:
            servers.append((str(ipaddress.ip_address(host.strip("[]"))), int(port)))
        except ValueError:
            raise ValueError(f"dns.resolvers: {text}: must be an IP address and a port") from None
    limits = Limits(
        timeout_seconds=dns.timeout_seconds, lifetime_seconds=dns.lifetime_seconds, cache_size=dns.cache_entries
    )
    return Resolver(servers, limits)
