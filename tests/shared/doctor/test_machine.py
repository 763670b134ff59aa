"""The looks at the machine, against a DNS server, a mail server and a clock of the test's own."""

import datetime as dt
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from shared.config.schema import DnsSettings
from shared.dns.configure import make_resolver
from shared.dns.resolver import Resolver
from shared.doctor import machine
from shared.doctor.findings import Level
from shared.testing import trio_test
from shared.testing.certificates import Authority, make_certificate
from shared.testing.dns_server import DnsServer, Trouble

NAME, GOOD, BAD, HOME = "mx.d.test", "8.8.8.8", "8.8.4.4", "9.9.9.9"
ZONES = {
    NAME: {"A": [GOOD]},
    "inside.test": {"A": ["192.168.1.2"]},
    "silent.test": Trouble.SERVFAIL,
    "8.8.8.8.in-addr.arpa": {"PTR": [f"{NAME}."]},
    "4.4.8.8.in-addr.arpa": {"PTR": ["other.test."]},
    "other.test": {"A": [BAD]},
    "9.9.9.9.in-addr.arpa": {"PTR": ["liar.test."]},
    "4.4.8.8.zen.spamhaus.org": {"A": ["127.0.0.2"]},
    "9.9.9.9.zen.spamhaus.org": {"A": ["127.0.0.10"]},
    "1.1.1.1.zen.spamhaus.org": {"A": ["127.255.255.254"]},
    "probe.test": {"MX": ["10 here.test."]},
    "here.test": {"A": ["127.0.0.1"]},
    "nowhere.test": {"MX": ["10 gone.test."]},
}


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with DnsServer(ZONES) as dns:
        yield make_resolver(attrs.evolve(DnsSettings(), resolvers=(dns.setting,), timeout_seconds=1.0, lifetime_seconds=2.0))


@trio_test
async def test_the_name(resolver: Resolver) -> None:
    (found,), addresses = await machine.look_at_name(resolver, NAME)
    assert (found.level, addresses) == (Level.OK, [GOOD])
    for name, level in (("inside.test", Level.PROBLEM), ("missing.test", Level.PROBLEM), ("silent.test", Level.UNKNOWN)):
        (found,), addresses = await machine.look_at_name(resolver, name)
        assert (found.level, addresses) == (level, [])


@trio_test
async def test_names_back_and_block_lists(resolver: Resolver) -> None:
    names = await machine.look_at_addresses(resolver, NAME, [GOOD, BAD, HOME, "1.1.1.1"])
    assert [found.level for found in names] == [Level.OK, Level.NOTE, Level.PROBLEM, Level.PROBLEM]
    listed = await machine.look_at_block_lists(resolver, [GOOD, BAD, HOME, "1.1.1.1", "2001:db8::1"])
    assert [found.level for found in listed] == [Level.OK, Level.PROBLEM, Level.PROBLEM, Level.UNKNOWN, Level.OK]
    assert "127.0.0.2" in listed[1].seen
    assert "home line" in listed[2].seen


def test_the_certificate(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    own, _ = make_certificate(tmp_path / "own", NAME)
    look = machine.look_at_certificate
    assert (look(own, NAME, now).level, "by itself" in look(own, NAME, now).seen) == (Level.NOTE, True)
    assert "ends in 9 days" in look(own, NAME, now + dt.timedelta(days=20)).seen
    assert look(own, NAME, now + dt.timedelta(days=40)).level is Level.PROBLEM
    assert "not for other.test" in look(own, "other.test", now).seen
    assert look(tmp_path / "none.pem", NAME, now).level is Level.PROBLEM
    (tmp_path / "odd.pem").write_text("no")
    assert "no certificate" in look(tmp_path / "odd.pem", NAME, now).seen


@contextmanager
def mail_server(greeting: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(greeting)
                client.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@trio_test
async def test_the_way_out(resolver: Resolver) -> None:
    with mail_server(b"220 here.test ESMTP\r\n") as port:
        assert (await machine.look_at_way_out(resolver, "probe.test", port, 5.0)).level is Level.OK
    with mail_server(b"554 go away\r\n") as port:
        assert (await machine.look_at_way_out(resolver, "probe.test", port, 5.0)).level is Level.PROBLEM
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = await machine.look_at_way_out(resolver, "probe.test", closed.getsockname()[1], 5.0)
        assert (found.level, "smart host" in found.advice) == (Level.PROBLEM, True)
    for probe in ("nowhere.test", "silent.test"):
        assert (await machine.look_at_way_out(resolver, probe, 25, 5.0)).level is Level.UNKNOWN


@contextmanager
def time_server(off_seconds: float, first: int = 0x24) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            _, client = sock.recvfrom(100)
            now = time.time() + off_seconds + machine.NTP_EPOCH
            stamp = struct.pack(">II", int(now) % 2**32, int(now % 1 * 2**32))
            sock.sendto(bytes([first]) + bytes(39) + stamp, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield sock.getsockname()[1]
        thread.join(10)


@trio_test
async def test_the_clock(resolver: Resolver) -> None:
    for off, level, seen in ((0.0, Level.OK, "right"), (90.0, Level.PROBLEM, "behind"), (-90.0, Level.PROBLEM, "ahead")):
        with time_server(off) as port:
            found = await machine.look_at_clock(resolver, "here.test", port, 5.0)
            assert (found.level, seen in found.seen) == (level, True), found
    with time_server(0.0, first=0x23) as port:
        assert (await machine.look_at_clock(resolver, "here.test", port, 5.0)).level is Level.UNKNOWN
    assert (await machine.look_at_clock(resolver, "missing.test", 123, 5.0)).level is Level.UNKNOWN


def test_a_certificate_of_an_authority(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    authority = Authority(tmp_path)
    authority.server_context(NAME)
    (path,) = tmp_path.glob(f"{NAME}-*.pem")
    found = machine.look_at_certificate(path, NAME, now)
    assert (found.level, found.advice) == (Level.OK, "")
    authority.server_context("*.d.test")
    (path,) = tmp_path.glob("_.d.test-*.pem")
    assert machine.look_at_certificate(path, NAME, now).level is Level.OK
