"""How one key of the settings is declared (see ``schema``)."""

from typing import Any, Final

import attrs

DOC: Final = "doc"
MINIMUM: Final = "minimum"
MAXIMUM: Final = "maximum"
NETWORKS: Final = "networks"
HOST_PORTS: Final = "host_ports"
DNS_LISTS: Final = "dns_lists"

KIB: Final = 1024
MIB: Final = 1024 * KIB


def key(default: Any, doc: str, *, minimum: float | None = None, maximum: float | None = None, form: str = "") -> Any:
    """One key. ``form``: what the strings in it must be (``networks``: CIDR; ``host_ports``: host:port; ``dns_lists``: zone[=answers])."""
    metadata = {DOC: doc, MINIMUM: minimum, MAXIMUM: maximum, "form": form}
    return attrs.field(default=default, metadata=metadata)


def port_key(default: int, doc: str) -> Any:
    return key(default, doc + " (0: any free port, for tests)", minimum=0, maximum=65535)
