"""A validating resolver for one test run: unbound on a loopback address, with zones of the test's own, signed or not.

    zones = {"b.test": {"@": {"MX": ["10 mx"]}, "mx": {"A": ["127.0.0.1"]}}}
    with Unbound(folder, zones, signed=["b.test"], broken=[("b.test", "mx", "A")]) as resolver:
        resolver.setting     # for dns.resolvers

unbound holds the zones itself and validates what comes from them, by the keys that the signing made: nothing is asked elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import dns.dnssec
import dns.dnssectypes
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.RRSIG
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from shared.testing.dnsmasq import free_port
from shared.testing.process import Process
from shared.testing.runner import require

Zone = Mapping[str, Mapping[str, Iterable[str]]]
_LIFETIME_SECONDS = 86400
_HEAD = "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
_CONFIG = """\
server:
  interface: {address}@{port}
  port: {port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  verbosity: 1
  module-config: "validator iterator"
  do-not-query-localhost: no
  local-zone: "test." nodefault
  root-hints: ""
"""
_ZONE = """\
auth-zone:
  name: "{zone}"
  zonefile: "{file}"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
"""


class Unbound(Process):
    """unbound on `address`. Each zone maps a name below it ("@": itself) to {type: [text, ...]}.

    `signed`: the zones with DNSSEC; `broken`: zone, name below it and type of records whose
    signatures are spoiled.
    """

    def __init__(
        self,
        folder: Path,
        zones: Mapping[str, Zone],
        signed: Collection[str] = (),
        broken: Collection[tuple[str, str, str]] = (),
        address: str = "127.0.0.1",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port(address)
        self.setting = f"{address}:{self.port}"
        server = [_CONFIG.format(address=address, port=self.port, folder=folder)]
        parts = []
        for name, nodes in zones.items():
            zone = dns.zone.from_text(_HEAD + _lines(nodes), origin=name)
            if name in signed:
                server.append(f'  trust-anchor: "{name}. DNSKEY {_sign(zone)}"\n')
                for _, node, rdtype in (one for one in broken if one[0] == name):
                    _spoil(zone, node, rdtype)
            else:
                server.append(f'  domain-insecure: "{name}"\n')
            zone.to_file(str(folder / name))
            parts.append(_ZONE.format(zone=name, file=folder / name))
        config = folder / "unbound.conf"
        config.write_text("".join(server + parts))
        super().__init__("unbound", [require("unbound"), "-d", "-c", str(config)])

    def start(self, pass_fds: Iterable[int] = ()) -> None:
        """Start it and wait until it answers."""
        super().start(tuple(pass_fds))
        self.wait_for_log("start of service")


def _lines(nodes: Zone) -> str:
    rows = [
        f"{node} {rdtype} {text}" for node, types in nodes.items() for rdtype, texts in types.items() for text in texts
    ]
    return "\n".join(rows) + "\n"


def _sign(zone: dns.zone.Zone) -> str:
    """Sign a zone with a new key; the key in presentation format."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
    dns.dnssec.sign_zone(zone, keys=[(private, key)], lifetime=_LIFETIME_SECONDS, dnskey_ttl=60)
    return f"{key.flags} {key.protocol} {int(key.algorithm)} {base64.b64encode(key.key).decode()}"


def _spoil(zone: dns.zone.Zone, node: str, rdtype: str) -> None:
    """Change one octet of the signatures of a name's records."""
    signatures = zone.find_rdataset(node, dns.rdatatype.RRSIG, dns.rdatatype.from_text(rdtype))
    spoiled = [
        old.replace(signature=bytes([old.signature[0] ^ 1]) + old.signature[1:])
        for old in signatures
        if isinstance(old, dns.rdtypes.ANY.RRSIG.RRSIG)
    ]
    zone.replace_rdataset(node, dns.rdataset.from_rdata_list(signatures.ttl, spoiled))
