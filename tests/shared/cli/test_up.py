"""`pillarbox up`: all five services under the supervisor, as a person starts them."""

import imaplib
import os
import poplib
import random
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.testing.process import ROOT, Process

PORTS = (25, 465, 587, 143, 993, 110, 995, 9180, 9181, 9182, 9183, 9184)
READY = re.compile(
    r"^ready: smtp 127\.0\.0\.1:(\d+), submission 127\.0\.0\.1:(\d+), submissions 127\.0\.0\.1:(\d+), "
    r"imap 127\.0\.0\.1:(\d+), imaps 127\.0\.0\.1:(\d+), pop3 127\.0\.0\.1:(\d+), pop3s 127\.0\.0\.1:(\d+)$"
)

pytestmark = pytest.mark.timeout(180)


def free_offset() -> int:
    """An offset at which none of our ports is taken now."""
    while True:
        offset = random.randrange(11000, 32000 - max(PORTS))
        try:
            for port in PORTS:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset


def environment(data: Path, **more: str) -> dict[str, str]:
    """Of a shell; loopback only."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PILLARBOX_")}
    ours = {"PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(data), "PILLARBOX_SERVER__LISTEN": "127.0.0.1"}
    return {**plain, **ours, **more}


def up(data: Path, *words: str, **more: str) -> Process:
    """`pillarbox up words` as a child; call `stop`."""
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "up", *words]
    return Process("pillarbox up", argv, environment(data, **more))


def passwords_in(process: Process) -> dict[str, str]:
    """What the demonstration printed."""
    lines = process.wait_for_log(r"^demo: account \S+ password \S+$", count=2)
    return {words[2]: words[4] for words in (line.split() for line in lines)}


def tls(data: Path) -> ssl.SSLContext:
    """Trusts the server's certificate."""
    context = ssl.create_default_context(cafile=str(data / "tls" / "cert.pem"))
    context.check_hostname = False
    return context


@pytest.fixture
def stopped() -> Iterator[list[Process]]:
    """Whatever is put here is stopped at the end."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.stop(40)


def test_the_demonstration(tmp_path: Path, stopped: list[Process]) -> None:
    data, offset = tmp_path / "data", free_offset()
    process = up(data, "--demo", "--port-offset", str(offset))
    stopped.append(process)
    process.start()
    (line,) = process.wait_for_log("^ready:", seconds=60)
    ports = [int(port) for port in READY.match(line).groups()]
    assert ports == [port + offset for port in (25, 587, 465, 143, 993, 110, 995)]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    first = passwords_in(process)
    assert set(first) == {"alice@example.test", "bob@example.test"}
    process.wait_for_log("^demo: alice@example.test sent a message to bob@example.test through submission")
    process.wait_for_log("^demo: bob@example.test sees it by IMAP over TLS: UID 1 in INBOX$")
    process.wait_for_log("^demo: bob@example.test sees it by POP3 over TLS: number 1 of 1")
    process.wait_for_log(f"incoming +IMAP, this machine's address, port {993 + offset} with TLS")

    # A second `up` on the same data is refused, and harms nothing.
    second = subprocess.run(
        [*process.argv[:5], "--port-offset", str(offset + 1)], env=environment(data), capture_output=True, timeout=40
    )
    assert second.returncode == 1
    assert second.stderr.decode() == f"pillarbox: already running with {data} (process {process.pid})\n"
    # So is one elsewhere on the same ports, with the port's and the service's name.
    third = subprocess.run(
        [*process.argv[:5], "--port-offset", str(offset)], env=environment(tmp_path / "other"), capture_output=True,
        timeout=40,
    )  # fmt: skip
    assert third.returncode == 1
    assert third.stderr.decode().startswith(f"pillarbox: port {25 + offset} (SMTP of smtp_in, 127.0.0.1:{25 + offset}) is in use")

    # One that dies comes back; the others keep their sessions.
    pop3 = poplib.POP3_SSL("127.0.0.1", 995 + offset, context=tls(data), timeout=30)
    pop3.user("bob@example.test")
    pop3.pass_(first["bob@example.test"])
    os.kill(pid_of("imap", process), signal.SIGKILL)
    process.wait_for_log(r"^imap +\| .*was killed by SIGKILL, starts again in 0\.2 s")
    process.wait_for_log(r"^imap +\| .*ready", count=2)
    with imaplib.IMAP4_SSL("127.0.0.1", 993 + offset, ssl_context=tls(data), timeout=30) as imap:
        imap.login("bob@example.test", first["bob@example.test"])
        assert imap.select("INBOX")[1] == [b"1"]
    assert pop3.stat()[0] == 1
    pop3.quit()

    assert process.stop(40) == 0
    assert sum(line.startswith("ready:") for line in process.lines) == 1
    stops = [line.split(" | ")[0].strip() for line in process.lines if re.search(r"\| .*\bstopped\b", line)]
    assert sorted(stops) == ["imap", "pop3", "smtp_in", "smtp_out", "store"]
    assert stops[-1] == "store"

    # Again on the same data: new passwords, one more message.
    again = up(data, "--demo", "--port-offset", str(offset))
    stopped.append(again)
    again.start()
    again.wait_for_log("^demo: bob@example.test sees it by POP3 over TLS: number 2 of 2", seconds=60)
    now = passwords_in(again)
    assert set(now) == set(first)
    assert not set(now.values()) & set(first.values())
    with imaplib.IMAP4_SSL("127.0.0.1", 993 + offset, ssl_context=tls(data), timeout=30) as imap:
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("bob@example.test", first["bob@example.test"])
        imap.login("bob@example.test", now["bob@example.test"])
    assert again.stop(40) == 0


def pid_of(service: str, process: Process) -> int:
    """A child of the supervisor, by what its command line says."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    # Children started by the supervisor's helper threads are listed under those threads.
    listed = [path.read_text().split() for path in children.parent.parent.glob("*/children")]
    for pid in (int(pid) for pids in listed for pid in pids):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if service.encode() in words:
            return pid
    raise AssertionError(f"no {service} below {process.pid}")


def test_workers_share_the_ports(tmp_path: Path, stopped: list[Process]) -> None:
    offset = free_offset()
    process = up(tmp_path / "data", PILLARBOX_PORT_OFFSET=str(offset), PILLARBOX_IMAP__WORKERS="2", PILLARBOX_POP3__WORKERS="2")
    stopped.append(process)
    process.start()
    (line,) = process.wait_for_log("^ready:", seconds=60)
    assert line.count(f"127.0.0.1:{143 + offset}") == 1
    ready = process.wait_for_log(r"\| .*\bready\b", count=7)
    assert {line.split(" | ")[0].strip() for line in ready} == {
        *("store", "smtp_in", "smtp_out", "imap.1", "imap.2", "pop3.1", "pop3.2"),
    }
    for _ in range(8):
        with imaplib.IMAP4("127.0.0.1", 143 + offset, timeout=30) as imap:
            assert imap.state == "NONAUTH"
    assert process.stop(40) == 0


def test_the_default_offset_is_ten_thousand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from shared.cli import up as module
    from shared.cli.main import run_command

    seen: list[int] = []

    def check_ports(settings: object) -> None:
        seen.append(settings.port_offset)
        raise module.PortUnavailable("enough")

    monkeypatch.setattr(module, "check_ports", check_ports)
    for words, variable in ((["up"], ""), (["up"], "7"), (["up", "--port-offset", "0"], "7")):
        monkeypatch.setenv("PILLARBOX_PORT_OFFSET", variable)
        assert run_command([*words, "--data", str(tmp_path / "data")]) == 1
    assert seen == [10000, 7, 0]
