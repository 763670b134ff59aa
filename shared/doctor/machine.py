"""The machine as the world sees it: its name and addresses, its certificate, its clock, the way out on port 25, block lists.

Every look is bounded in time, and one that cannot be had (no network, no answer) is "unknown", never a problem.
"""

import datetime as dt
import math
import struct
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio
from cryptography import x509

from shared.dns.answers import DnsFailure, parse_mx
from shared.dns.drive import ask, look_up
from shared.dns.list_name import list_name
from shared.dns.resolver import Resolver
from shared.doctor.findings import Finding, Level
from shared.mailauth.iprev import IprevResult, check_iprev

EXPIRES_SOON_DAYS: Final = 14
CLOCK_SECONDS: Final = 5.0
"""A clock that is off by more makes signatures and logs doubtful."""
NTP_EPOCH: Final = 2_208_988_800
BLOCK_LIST: Final = "zen.spamhaus.org"
_GREETING_OCTETS: Final = 512


async def look_at_name(resolver: Resolver, hostname: str) -> tuple[list[Finding], list[str]]:
    """Whether the name leads to addresses of the internet; these."""
    addresses: list[str] = []
    failures: list[str] = []
    for rdtype in ("A", "AAAA"):
        reply = await ask(resolver, hostname, rdtype)
        if isinstance(reply, DnsFailure):
            failures.append(reply.reason)
        else:
            addresses += reply.records
    public = [address for address in addresses if ip_address(address).is_global]
    if public:
        return [Finding(hostname, Level.OK, f"leads to {', '.join(public)}")], public
    if failures:
        return [Finding(hostname, Level.UNKNOWN, f"could not be asked for: {failures[0]}")], []
    seen = f"leads to {', '.join(addresses)}, which nobody outside can reach" if addresses else "has no address"
    advice = f"publish: {hostname}. IN A <your public address>, or set server.hostname to a name that has one"
    return [Finding(hostname, Level.PROBLEM, seen, advice)], []


async def look_at_addresses(resolver: Resolver, hostname: str, addresses: Sequence[str]) -> list[Finding]:
    """Whether each address has the name back (PTR)."""
    found = []
    for address in addresses:
        verdict = await look_up(check_iprev(ip_address(address)), resolver)
        if verdict.result is IprevResult.TEMPERROR:
            found.append(Finding(address, Level.UNKNOWN, verdict.reason))
        elif verdict.result is not IprevResult.PASS:
            advice = f"ask the provider of the address for a PTR record that says {hostname}; without it send through a smart host"
            found.append(Finding(address, Level.PROBLEM, f"no name back: {verdict.reason}", advice))
        elif verdict.name.rstrip(".").lower() != hostname.lower():
            advice = f"let it say {hostname}, or set server.hostname to {verdict.name}"
            found.append(Finding(address, Level.NOTE, f"its name is {verdict.name}", advice))
        else:
            found.append(Finding(address, Level.OK, f"its name is {verdict.name} (PTR)"))
    return found


def look_at_certificate(path: Path, hostname: str, now: dt.datetime) -> Finding:
    """What mail programs are shown."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no certificate in PEM"
        return Finding("certificate", Level.PROBLEM, f"{path} cannot be read: {why}", "set tls.certificate and tls.private_key")
    left = math.floor((certificate.not_valid_after_utc - now).total_seconds() / 86400)
    if left < 0:
        return Finding("certificate", Level.PROBLEM, f"it ended {-left} days ago", "renew it; services take the new one by themselves")
    if not _is_for(certificate, hostname):
        advice = f"get one for {hostname}, or set server.hostname to a name that it holds"
        return Finding("certificate", Level.PROBLEM, f"it is not for {hostname}", advice)
    if left < EXPIRES_SOON_DAYS:
        return Finding("certificate", Level.NOTE, f"it ends in {left} days", "renew it; services take the new one by themselves")
    if certificate.issuer == certificate.subject:
        advice = "get one from an authority (Let's Encrypt, or your NAS does), so that mail programs do not warn"
        return Finding("certificate", Level.NOTE, f"it is signed by itself, good for {left} days", advice)
    return Finding("certificate", Level.OK, f"good for {hostname}, {left} days left")


def _is_for(certificate: x509.Certificate, hostname: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    wanted = hostname.lower()
    parent = wanted.partition(".")[2]
    return any(name.lower() in (wanted, f"*.{parent}") for name in names.get_values_for_type(x509.DNSName))


async def look_at_way_out(resolver: Resolver, probe: str, port: int, seconds: float) -> Finding:
    """Whether servers of the world can be reached on port 25: by connecting to one, and saying nothing."""
    reply = await ask(resolver, probe, "MX")
    if isinstance(reply, DnsFailure):
        return Finding("port 25", Level.UNKNOWN, f"the servers of {probe} could not be asked for: {reply.reason}")
    hosts = [record.host for record in sorted(parse_mx(reply), key=lambda record: record.preference)]
    host = hosts[0] if hosts else probe
    found = await ask(resolver, host, "A")
    if isinstance(found, DnsFailure) or not found.records:
        return Finding("port 25", Level.UNKNOWN, f"{host} has no address that could be asked for")
    greeting = b""
    with trio.move_on_after(seconds):
        try:
            async with await trio.open_tcp_stream(found.records[0], port) as stream:
                greeting = bytes(await stream.receive_some(_GREETING_OCTETS))
        except OSError:
            pass
    if greeting.startswith(b"220"):
        return Finding("port 25", Level.OK, f"the way out is open ({host} answers)")
    advice = "many providers close port 25: ask yours to open it, or send through a smart host (pillarbox relay add)"
    return Finding("port 25", Level.PROBLEM, f"{host} cannot be reached within {seconds:g} s", advice)


async def look_at_block_lists(resolver: Resolver, addresses: Sequence[str], zone: str = BLOCK_LIST) -> list[Finding]:
    """What the list that most servers ask says of this server. RFC 5782 §2.1."""
    found = []
    for address in addresses:
        reply = await ask(resolver, list_name(address, zone), "A")
        if isinstance(reply, DnsFailure) or any(text.startswith("127.255.255.") for text in reply.records):
            found.append(Finding(address, Level.UNKNOWN, f"{zone} does not answer this resolver"))
        elif reply.records and set(reply.records) <= {"127.0.0.10", "127.0.0.11"}:
            advice = "home lines are not to send by themselves: use a smart host (pillarbox relay add)"
            found.append(Finding(address, Level.PROBLEM, f"{zone} knows it as a home line", advice))
        elif reply.records:
            advice = f"see https://check.spamhaus.org/results/?query={address}; find what was sent from here first"
            found.append(Finding(address, Level.PROBLEM, f"{zone} lists it ({', '.join(reply.records[:5])})", advice))
        else:
            found.append(Finding(address, Level.OK, f"{zone} does not list it"))
    return found


async def look_at_clock(
    resolver: Resolver, server: str, port: int, seconds: float, clock: Callable[[], float] = time.time
) -> Finding:
    """How far this clock is from that of a time server. RFC 4330 §5, in its simplest form."""
    reply = await ask(resolver, server, "A")
    if isinstance(reply, DnsFailure) or not reply.records:
        return Finding("clock", Level.UNKNOWN, f"{server} could not be asked for")
    answer = b""
    sent = clock()
    with trio.move_on_after(seconds), trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        try:
            await sock.connect((reply.records[0], port))
            await sock.send(b"\x23" + bytes(47))
            answer = await sock.recv(512)
        except OSError:
            pass
    received = clock()
    if len(answer) < 48 or answer[0] & 7 != 4:
        return Finding("clock", Level.UNKNOWN, f"{server} does not answer")
    whole, part = struct.unpack_from(">II", answer, 40)
    off = (whole - NTP_EPOCH) % 2**32 + part / 2**32 - (sent + received) / 2
    if abs(off) > CLOCK_SECONDS:
        side = "behind" if off > 0 else "ahead"
        return Finding("clock", Level.PROBLEM, f"it is {abs(off):.0f} s {side}", "let the machine keep its clock by NTP")
    return Finding("clock", Level.OK, f"right within {max(abs(off), 0.1):.1f} s")

