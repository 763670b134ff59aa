"""The name under which a DNS list is asked about an address."""

from ipaddress import ip_address


def list_name(ip: str, zone: str) -> str:
    """RFC 5782 §2.1 (octets of IPv4 reversed), §2.4 (nibbles of IPv6). Raises ValueError."""
    reversed_address, _, _ = ip_address(ip).reverse_pointer.removesuffix(".arpa").rpartition(".")  # in-addr, ip6
    return f"{reversed_address}.{zone}"
