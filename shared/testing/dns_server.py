"""A small authoritative DNS server on one free loopback port (UDP and TCP), fed from a dict, for tests.

It runs in threads of its own, so that synchronous tests, trio tests and tests that start real processes use it alike:

    with DnsServer({"example.test": {"MX": ["10 mx.example.test."]}, "mx.example.test": {"A": ["127.0.0.1"]}}) as dns:
        dns.address      # ("127.0.0.1", 40123), for the setting dns.resolvers
        dns.setting      # "127.0.0.1:40123"
        dns.queries      # every question so far, in order
        dns.set("late.test", {"A": ["127.0.0.1"]})

Laws
- It answers for every name itself (there is no recursion): a name that the zones do not hold is NXDOMAIN, a name that
  is held without that type, or is only a node above a held one, is an empty answer (RFC 2308 §2.2). Both carry an SOA.
- CNAMEs are followed inside the zones, at most eight (RFC 1034 §3.6.2); a loop answers with the chain alone.
- A name may hold a `Trouble` instead of records; it then misbehaves so, for every type. A type may hold one, too.
- Below a name given to `sign` it behaves as a validating resolver whose word is taken: AD on every answer to whoever asked for it,
  as long as all names of the chain are there (RFC 6840 §5.8). There are no signatures: `shared.testing.unbound` has them.
- An answer that does not fit the client's UDP size is cut with TC set (RFC 2181 §9); TCP gives the whole.
"""

from __future__ import annotations

import enum
import socket
import socketserver
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

_CNAME_LIMIT = 8
_SOA = "ns.invalid. hostmaster.invalid. 1 3600 600 86400 {ttl}"


class Trouble(enum.Enum):
    """How a name misbehaves."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    DROP = "drop"  # no answer at all: the client's timeout
    GARBAGE = "garbage"  # bytes that are no DNS message


Records = Sequence[str] | Trouble
Node = Mapping[str, Records] | Trouble


@attrs.frozen
class Query:
    """One question that arrived."""

    name: str  # lower case, without the final dot
    rdtype: str
    transport: str  # "udp" or "tcp"


def _key(name: str) -> str:
    return name.rstrip(".").lower()


class DnsServer:
    """The server; a context manager. `zones` maps a name to {type: [record text, ...]} (master file format).

    RFC 1035 §5. `ttl` is in seconds and applies to every record and to negative answers.
    """

    def __init__(self, zones: Mapping[str, Node] | None = None, *, ttl: int = 60, host: str = "127.0.0.1") -> None:
        self._zones: dict[str, Node] = {_key(name): node for name, node in (zones or {}).items()}
        self._ttl = ttl
        self._signed: set[str] = set()
        self._lock = threading.Condition()
        self._queries: list[Query] = []
        self._udp, self._tcp = _bind_pair(host, self)
        self.address: tuple[str, int] = (host, self._tcp.server_address[1])
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), name="dns-server", daemon=True)
            for server in (self._udp, self._tcp)
        ]

    @property
    def setting(self) -> str:
        """host:port, as the setting dns.resolvers takes it."""
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def queries(self) -> list[Query]:
        with self._lock:
            return list(self._queries)

    def count(self, name: str, rdtype: str | None = None) -> int:
        """How often `name` was asked (of one type, or of any)."""
        return sum(q.name == _key(name) and rdtype in (None, q.rdtype) for q in self.queries)

    def wait_query(self, name: str, rdtype: str | None = None, *, times: int = 1, timeout_seconds: float = 10) -> None:
        """Block until `name` was asked `times` times; TimeoutError after that. (In trio: from a worker thread.)"""

        def seen() -> bool:
            return sum(q.name == _key(name) and rdtype in (None, q.rdtype) for q in self._queries) >= times

        with self._lock:
            if not self._lock.wait_for(seen, timeout_seconds):
                raise TimeoutError(f"{name} was not asked {times} times")

    def set(self, name: str, node: Node) -> None:
        """Replace what the zones hold for a name."""
        with self._lock:
            self._zones[_key(name)] = node

    def sign(self, *names: str) -> None:
        """Answer from now on as from signed zones for these names and all below them."""
        with self._lock:
            self._signed.update(map(_key, names))

    def remove(self, name: str) -> None:
        with self._lock:
            self._zones.pop(_key(name), None)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def handle_query(self, wire: bytes, transport: str) -> bytes | None:
        """One request's bytes -> the answer's bytes; None: say nothing. Total: unparsable bytes get no answer."""
        try:
            request = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if request.opcode() != dns.opcode.QUERY or len(request.question) != 1:
            response = dns.message.make_response(request)
            response.set_rcode(dns.rcode.NOTIMP)
            return response.to_wire()
        question = request.question[0]
        name = _key(question.name.to_text())
        with self._lock:
            self._queries.append(Query(name, dns.rdatatype.to_text(question.rdtype), transport))
            self._lock.notify_all()
            response, trouble = self._respond(request, question.name, question.rdtype)
        if trouble is Trouble.DROP:
            return None
        if trouble is Trouble.GARBAGE:
            return wire[:2] + b"\xff" * 7
        if transport == "tcp":
            return response.to_wire(max_size=65535)
        try:
            return response.to_wire(max_size=max(512, request.payload))
        except dns.exception.TooBig:
            return _truncated(request)

    def _respond(
        self, request: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> tuple[dns.message.Message, Trouble | None]:
        response = dns.message.make_response(request, recursion_available=True)
        response.flags |= dns.flags.AA
        wanted = dns.rdatatype.to_text(rdtype)
        trouble: Trouble | None = None
        authentic = bool(request.flags & dns.flags.AD)
        for _ in range(_CNAME_LIMIT):
            node = self._zones.get(_key(name.to_text()))
            authentic = authentic and self._is_signed(name)
            if node is None:
                if not self._has_below(name):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                self._add_soa(response)
                break
            records = node if isinstance(node, Trouble) else node.get(wanted)
            if isinstance(records, Trouble):
                trouble = records
                if trouble in (Trouble.SERVFAIL, Trouble.REFUSED):
                    response.set_rcode(dns.rcode.from_text(trouble.name))
                break
            if records:
                response.answer.append(dns.rrset.from_text_list(name, self._ttl, "IN", rdtype, list(records)))
                break
            alias = None if isinstance(node, Trouble) else node.get("CNAME")
            if not alias or isinstance(alias, Trouble):
                self._add_soa(response)
                break
            response.answer.append(dns.rrset.from_text_list(name, self._ttl, "IN", "CNAME", list(alias)))
            name = dns.name.from_text(alias[0])
        if authentic:
            response.flags |= dns.flags.AD
        return response, trouble

    def _is_signed(self, name: dns.name.Name) -> bool:
        key = _key(name.to_text())
        return any(key == zone or key.endswith(f".{zone}") for zone in self._signed)

    def _has_below(self, name: dns.name.Name) -> bool:
        suffix = "." + _key(name.to_text())
        return any(key.endswith(suffix) for key in self._zones)

    def _add_soa(self, response: dns.message.Message) -> None:
        zone = dns.name.from_text("test.")
        soa = dns.rrset.from_text_list(zone, self._ttl, "IN", "SOA", [_SOA.format(ttl=self._ttl)])
        response.authority.append(soa)


def _truncated(request: dns.message.Message) -> bytes:
    response = dns.message.make_response(request)
    response.flags |= dns.flags.TC
    return response.to_wire()


class _UdpServer(socketserver.UDPServer):
    max_packet_size = 4096

    def __init__(self, address: tuple[str, int], owner: DnsServer) -> None:
        self.owner = owner
        super().__init__(address, _UdpHandler)


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], owner: DnsServer) -> None:
        self.owner = owner
        super().__init__(address, _TcpHandler)


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _UdpServer

    def handle(self) -> None:
        data, sock = self.request
        answer = self.server.owner.handle_query(data, "udp")
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _TcpServer
    timeout = 10

    def handle(self) -> None:
        while True:
            try:
                head = self.rfile.read(2)
                wire = self.rfile.read(int.from_bytes(head, "big")) if len(head) == 2 else b""
                answer = self.server.owner.handle_query(wire, "tcp") if wire else None
                if answer is None:
                    return
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                return


def _bind_pair(host: str, owner: DnsServer) -> tuple[_UdpServer, _TcpServer]:
    """UDP and TCP on one port number that is free for both."""
    for _ in range(50):
        tcp = _TcpServer((host, 0), owner)
        try:
            return _UdpServer((host, tcp.server_address[1]), owner), tcp
        except OSError:
            tcp.server_close()
    raise OSError("no port is free for both UDP and TCP")


def free_loopback_port() -> int:
    """A TCP port on 127.0.0.1 where nothing listens now (a destination that refuses connections)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
