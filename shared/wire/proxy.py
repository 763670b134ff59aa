"""The header that a proxy puts in front of a connection to announce its client: PROXY protocol, versions 1 and 2. Pure.

Laws:
- The header alone is taken: of the octets that are there `feed` says how many belong to it, so that what stands behind (a TLS
  hello, a pipelined command) is left for whoever comes next.
- Strict, as its sender is a program and not the world: one way to write each thing, and everything else is `ProxyError`.
- Bounded: 107 octets in version 1 and MAX_OCTETS in version 2, which are refused as soon as they are announced.
- The same octets give the same answer however they are split.

Who may send one is not decided here: a header is believed, so it must be read from trusted networks only.
Source: HAProxy, doc/proxy-protocol.txt, sections 2.1 (version 1) and 2.2 (version 2). What follows the addresses (TLVs) is stepped over.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import attrs

MAX_TEXT_OCTETS: Final = 107
"""Section 2.1: the longest line of version 1, CRLF included."""
MAX_OCTETS: Final = 4096
"""Of a header of version 2 with its TLVs. The addresses take 216 at the most, a client's certificate name and the like some hundreds."""

_TEXT_START: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_OCTETS: Final = 16
"""Signature, version and command, family, length."""

# Section 2.1: "PROXY" SP ("TCP4" / "TCP6") SP source SP destination SP source-port SP destination-port CRLF
_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_TEXT: Final = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) " + _PORT + rb" " + _PORT)
_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)

# Section 2.2: version 2 in the upper four bits; command LOCAL or PROXY in the lower
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
# Family and transport: what comes without an address that means anything here, and the octets that it has at least
_NAMELESS: Final = {0x00: 0, 0x31: 216}
_ADDRESSED: Final = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and over IPv6: octets of an address."""


class ProxyError(Exception):
    """What came is no header. The text is fit for a log."""


@attrs.frozen
class Announced:
    """A client as its proxy saw it: addresses as text, IPv4 never in the form of IPv6."""

    ip: str
    port: int
    local_ip: str
    """Where the client wanted to go."""
    local_port: int


class HeaderReader:
    """Takes octets until the header is complete."""

    __slots__ = ("_buffer", "announced", "done")

    def __init__(self) -> None:
        self._buffer = b""
        self.done = False
        self.announced: Announced | None = None
        """Once `done`: the client; None when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN, a Unix socket)."""

    def feed(self, data: bytes) -> int:
        """How many octets at the beginning of `data` belong to the header, and are taken; all as long as it is not done.

        Raises ProxyError, and RuntimeError when the header is done already.
        """
        if self.done:
            raise RuntimeError("the header is complete")
        held = len(self._buffer)
        whole = self._buffer + data
        end = _extent(whole)
        if end is None:
            self._buffer = whole
            return len(data)
        self.announced = _parse_text(whole[: end - 2]) if whole.startswith(_TEXT_START) else _parse_binary(whole[:end])
        self.done = True
        self._buffer = b""
        return end - held

    def __len__(self) -> int:
        """Octets of an unfinished header."""
        return len(self._buffer)


def _extent(data: bytes) -> int | None:
    """Where the header ends; None while that is not here yet."""
    if data.startswith(_TEXT_START):
        # Section 2.1: CRLF, and within 107 octets
        newline = data.find(b"\n", 0, MAX_TEXT_OCTETS)
        if newline < 0:
            if len(data) >= MAX_TEXT_OCTETS:
                raise ProxyError(f"header longer than {MAX_TEXT_OCTETS} octets")
            return None
        if data[newline - 1 : newline] != b"\r":
            raise ProxyError("header ends in LF without CR")
        return newline + 1
    if data.startswith(_SIGNATURE):
        if len(data) < _FIXED_OCTETS:
            return None
        end = _FIXED_OCTETS + int.from_bytes(data[14:16], "big")
        if end > MAX_OCTETS:
            raise ProxyError(f"header of {end} octets, more than {MAX_OCTETS}")
        return end if len(data) >= end else None
    if not (_TEXT_START.startswith(data) or _SIGNATURE.startswith(data)):
        raise ProxyError("no PROXY header")
    return None


def _parse_text(line: bytes) -> Announced | None:
    match = _TEXT.fullmatch(line)
    if match is None:
        if _UNKNOWN.fullmatch(line):
            return None
        raise ProxyError("malformed header of version 1")
    family, source, destination, port, local_port = match.groups()
    version = int(family)
    try:
        ip, local_ip = (ipaddress.ip_address(address.decode()) for address in (source, destination))
    except ValueError:
        raise ProxyError("bad address in header of version 1") from None
    if (ip.version, local_ip.version) != (version, version):
        raise ProxyError("addresses of another family than announced")
    if max(int(port), int(local_port)) > 65535:
        raise ProxyError("bad port in header of version 1")
    return Announced(plain_address(ip), int(port), plain_address(local_ip), int(local_port))


def _parse_binary(header: bytes) -> Announced | None:
    command, family, rest = header[12], header[13], header[_FIXED_OCTETS:]
    if command == _LOCAL:
        # Section 2.2: whatever family and addresses say is to be ignored
        return None
    if command != _PROXY:
        raise ProxyError(f"unknown version or command 0x{command:02x}")
    octets = _ADDRESSED.get(family)
    if octets is None:
        if len(rest) < _NAMELESS.get(family, len(rest) + 1):
            raise ProxyError(f"unknown family 0x{family:02x}, or shorter than its addresses")
        return None
    if len(rest) < 2 * octets + 4:
        raise ProxyError("header of version 2 is shorter than its addresses")
    ip, local_ip = (ipaddress.ip_address(rest[start : start + octets]) for start in (0, octets))
    port, local_port = (int.from_bytes(rest[start : start + 2], "big") for start in (2 * octets, 2 * octets + 2))
    return Announced(plain_address(ip), port, plain_address(local_ip), local_port)


def plain_address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As we write it everywhere: IPv4 unmapped."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip)
