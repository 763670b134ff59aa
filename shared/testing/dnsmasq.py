"""A DNS server for one test run: dnsmasq on a loopback address of its own, with the records that the test names.

Everything below the names given is answered from here, nothing is ever forwarded; an unknown name is NXDOMAIN.
"""

import socket
from collections.abc import Iterable, Mapping

from shared.testing.process import Process
from shared.testing.runner import require


def free_port(address: str) -> int:
    """A port that is free for TCP and UDP on `address` now; use an address of your own so that it stays free."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((address, port))
            except OSError:
                continue
            return port


class Dnsmasq(Process):
    """dnsmasq on `address`:`port`.

    `mx`: domain -> hosts, most preferred first. `hosts`: name -> IP address. `texts`: name -> one TXT record without a
    comma. `domains`: further domains that exist only here (their unknown names are NXDOMAIN); those of `mx` and `hosts`
    are included.
    """

    def __init__(
        self,
        mx: Mapping[str, Iterable[str]],
        hosts: Mapping[str, str],
        domains: Iterable[str] = ("test",),
        address: str = "127.0.0.1",
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.address = address
        self.port = free_port(address)
        argv = [
            require("dnsmasq"),
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            f"--port={self.port}",
            f"--listen-address={address}",
            "--bind-interfaces",
            "--no-resolv",
            "--no-hosts",
            "--no-poll",
            "--user=",
            "--pid-file=",
            "--log-facility=-",
            *(f"--local=/{domain}/" for domain in domains),
            *(f"--host-record={name},{ip}" for name, ip in hosts.items()),
            *(f"--txt-record={name},{_strings(text)}" for name, text in (texts or {}).items()),
            *(
                f"--mx-host={domain},{host},{10 * rank}"
                for domain, ranked in mx.items()
                for rank, host in enumerate(ranked, 1)
            ),
        ]
        super().__init__("dnsmasq", argv)

    @property
    def resolver(self) -> str:
        """As `dns.resolvers` wants it."""
        return f"{self.address}:{self.port}"

    def start(self, pass_fds: Iterable[int] = ()) -> None:
        """Start it and wait until it answers."""
        super().start(tuple(pass_fds))
        self.wait_for_log("started, version")


def _strings(text: str) -> str:
    """RFC 1035 §3.3.14: a TXT record is strings of at most 255 octets, which dnsmasq takes by commas."""
    return ",".join(text[at : at + 255] for at in range(0, len(text), 255))
