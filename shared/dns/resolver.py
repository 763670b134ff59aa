"""The resolver: asks the configured servers over UDP (TCP when the answer is cut), keeps answers for their TTL.

Theory: a stub resolver on trio. For each question the servers are asked in order, `rounds` times over, each with its
own timeout; the first answer that the zone stands by wins (NOERROR or NXDOMAIN). SERVFAIL, REFUSED, a timeout, a broken
or mismatched packet: the next server. When all have failed: DnsFailure, which callers treat as temporary.

Laws
- The name is what was asked; answers for anything else are dropped by dnspython's checks (id, question, address).
- The same question under way is asked once: later askers wait for the first (a burst to one domain is one packet).
- Records per answer, CNAME hops and cached answers are bounded (`Limits`).
- A name that is not a valid DNS name is NO_NAME without a packet: nobody can ever have registered it.

RFC 1034 §5.3, RFC 1035 §4.2 and §7, RFC 2308, RFC 6891 (EDNS, 1232 octets).
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Sequence

import attrs
import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import trio
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus, MxRecord, parse_mx
from shared.dns.cache import DnsCache

Server = tuple[str, int]
_EDNS_PAYLOAD = 1232  # fits every path without fragments (the value agreed at DNS flag day 2020)
_DEFAULT_NEGATIVE_TTL_SECONDS = 60  # a negative answer without SOA


@attrs.frozen
class Limits:
    """Bounds of the resolver."""

    timeout_seconds: float = 5.0  # for one server's answer
    lifetime_seconds: float = 15.0  # for one question altogether
    rounds: int = 2  # how often the list of servers is walked
    records: int = 256  # of one answer; more are cut off
    cache_size: int = 10_000  # answers


class _Flight:
    """A question under way and who waits for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.result: DnsAnswer | DnsFailure | None = None


class Resolver:
    """Asks `servers` (address, port). An empty list means the system's (`system_servers`)."""

    def __init__(
        self,
        servers: Sequence[Server] = (),
        limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = tuple(servers) or system_servers()
        self._limits = limits or Limits()
        self._cache = DnsCache(self._limits.cache_size, clock)
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._backend = dns.asyncbackend.get_backend("trio")
        self._failures = 0

    async def resolve(self, name: str, rdtype: str) -> DnsAnswer:
        """Ask for one name and type ("A", "MX", ...). Raises DnsFailure (temporary)."""
        key = (name.rstrip(".").lower(), rdtype)
        while True:
            cached = self._cache.get(*key)
            if cached is not None:
                return cached
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(key)
            await flight.done.wait()
            if isinstance(flight.result, DnsFailure):
                raise DnsFailure(key[0], key[1], flight.result.reason)
            if flight.result is not None:
                return flight.result
            # The one who asked was cancelled: the next takes over.

    async def mx(self, domain: str) -> tuple[DnsAnswer, tuple[MxRecord, ...]]:
        """The domain's MX answer and its records. Raises DnsFailure."""
        answer = await self.resolve(domain, "MX")
        return answer, parse_mx(answer)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The host's IPv6 and IPv4 addresses, IPv6 first; empty when it has none.

        Raises DnsFailure when no address is known and one of the two questions failed.
        """
        found: dict[str, tuple[str, ...]] = {}
        failures: list[DnsFailure] = []

        async def ask(rdtype: str) -> None:
            try:
                found[rdtype] = (await self.resolve(host, rdtype)).records
            except DnsFailure as failure:
                failures.append(failure)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "AAAA")
            nursery.start_soon(ask, "A")
        result = found.get("AAAA", ()) + found.get("A", ())
        if failures and not result:
            raise failures[0]
        return result

    def statistics(self) -> dict[str, int]:
        """Counters for /metrics and tests."""
        return {
            "cached": len(self._cache),
            "hits": self._cache.hits,
            "misses": self._cache.misses,
            "failures": self._failures,
            "in_flight": len(self._flights),
        }

    async def _lead(self, key: tuple[str, str]) -> DnsAnswer:
        flight = self._flights[key] = _Flight()
        try:
            flight.result = await self._ask(*key)
            self._cache.put(flight.result)
            return flight.result
        except DnsFailure as failure:
            self._failures += 1
            flight.result = failure
            raise
        finally:
            del self._flights[key]
            flight.done.set()

    async def _ask(self, name: str, rdtype: str) -> DnsAnswer:
        try:
            # RFC 5891 §5: an internationalized name is asked in its A-label form
            qname = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_Practical if not name.isascii() else None)
            kind = dns.rdatatype.from_text(rdtype)
        except dns.exception.DNSException:
            return DnsAnswer(name, rdtype, DnsStatus.NO_NAME, (), name, _DEFAULT_NEGATIVE_TTL_SECONDS)
        reasons: list[str] = []
        with trio.move_on_after(self._limits.lifetime_seconds):
            for server in self._servers * self._limits.rounds:
                outcome = await self._ask_server(server, qname, kind)
                if not isinstance(outcome, str):
                    return self._read(name, rdtype, outcome)
                reasons.append(outcome)
        raise DnsFailure(name, rdtype, reasons[-1] if reasons else "no resolver answered in time")

    async def _ask_server(
        self, server: Server, qname: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.message.Message | str:
        """One server's answer, or in words why there is none."""
        query = dns.message.make_query(qname, kind, use_edns=0, payload=_EDNS_PAYLOAD)
        query.flags |= dns.flags.AD  # RFC 6840 §5.7: tell us whether the answer is authentic
        with trio.move_on_after(self._limits.timeout_seconds):
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, server[0], port=server[1], ignore_unexpected=True, backend=self._backend
                )
            except (dns.exception.DNSException, OSError, EOFError) as error:
                return f"{type(error).__name__} from the resolver"
            if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return response
            return f"the resolver answered {dns.rcode.to_text(response.rcode())}"
        return "the resolver did not answer in time"

    def _read(self, name: str, rdtype: str, response: dns.message.Message) -> DnsAnswer:
        assert isinstance(response, dns.message.QueryMessage)  # noqa: S101 - make_query answers with one
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException as error:
            raise DnsFailure(name, rdtype, f"the answer is broken ({type(error).__name__})") from None
        authentic = bool(response.flags & dns.flags.AD)
        canonical = _host(chain.canonical_name)
        if chain.answer is None:
            status = DnsStatus.NO_NAME if response.rcode() == dns.rcode.NXDOMAIN else DnsStatus.NO_DATA
            # RFC 2308 §5: without an SOA there is no TTL to go by
            ttl = chain.minimum_ttl if response.authority else _DEFAULT_NEGATIVE_TTL_SECONDS
            return DnsAnswer(name, rdtype, status, (), canonical, ttl, authentic)
        records = tuple(_text(rdata) for rdata in list(chain.answer)[: self._limits.records])
        return DnsAnswer(name, rdtype, DnsStatus.FOUND, records, canonical, chain.minimum_ttl, authentic)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")


def _text(rdata: dns.rdata.Rdata) -> str:
    if isinstance(rdata, MX):
        return f"{rdata.preference} {_host(rdata.exchange)}"
    if isinstance(rdata, (CNAME, PTR, NS)):
        return _host(rdata.target)
    if isinstance(rdata, TXT):
        # RFC 7208 §3.3: the strings of one record are joined without spaces
        return b"".join(rdata.strings).decode("utf-8", "replace")
    return rdata.to_text()


def system_servers(path: pathlib.Path = pathlib.Path("/etc/resolv.conf")) -> tuple[Server, ...]:
    """The nameservers of the system's resolv.conf (at most 3, as resolv.conf(5) has it); the local host without any."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = [fields[1] for line in lines if len(fields := line.split()) >= 2 and fields[0] == "nameserver"]
    return tuple((address, 53) for address in found[:3]) or (("127.0.0.1", 53),)
