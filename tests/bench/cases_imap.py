"""IMAP: reading, searching, changing, appending, logging in, and how soon an idle client hears of a delivery."""

import json
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from bench import Bench, Server
from drive import Commands, Imap, load
from measure import Meter
from messages import COMMON_WORD, message
from servers import DOMAIN

METADATA = "FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)"
BODIES = "FETCH 1:* BODY.PEEK[]"
PARTS = ("fetch", "body4k", "body100k", "search", "change", "append", "login", "idle")
BIG, LARGE, OTHER, IDLER = 50, 57, 58, 59
"""Users: 50.. one for each round with the mailbox of 4 KB messages, 57 has messages of 100 KB, 58 is whom others must not delay."""


def run(bench: Bench, parts: Sequence[str], *, count: int, large: int, small: int) -> None:
    """The cases of the parts: mailboxes of `count` and `large` messages, `small` appends and logins."""
    if "fetch" in parts:
        fetch(bench, count)
    if "body4k" in parts:
        bodies(bench, BIG, count, 4096)
    if "body100k" in parts:
        bodies(bench, LARGE, large, 102_400)
    if "search" in parts:
        search(bench, count)
    if "change" in parts:
        change(bench, count)
    if "append" in parts:
        for connections, share in ((1, 4), (16, 1)):
            append(bench, connections, 4096, small // share)
    if "login" in parts:
        for connections, share in ((1, 4), (16, 1)):
            login(bench, connections, small // share)
    if "idle" in parts:
        idle(bench, max(5, small // 40))


def _commands(bench: Bench, server: Server, user: int, *before: str) -> Commands:
    commands = Commands(bench.driver, server.imap, f"user{user}@{DOMAIN}")
    for command in before:
        commands.run(command)
    return commands


def _timed(
    bench: Bench, server: Server, commands: Commands, command: str, units: int, label: str
) -> tuple[float, float]:
    """Run a command; (units per second, CPU ms per unit)."""
    with Meter(server.roots) as meter:
        answer = commands.run(command)
    bench.note(label, server, meter, units)
    return units / answer["wall"], 1e3 * meter.total / units


def fetch(bench: Bench, count: int) -> None:
    """Metadata of all messages, at first sight and again; a fresh mailbox in each round."""
    for number in range(bench.rounds):
        bench.fill(BIG + number, count, 4096)

    def fetching(*, fresh: bool) -> Callable[[Server, int], tuple[float, float]]:
        def once(server: Server, number: int) -> tuple[float, float]:
            commands = _commands(bench, server, BIG + number, "SELECT INBOX", *([] if fresh else [METADATA]))
            figures = _timed(
                bench, server, commands, METADATA, count, "FETCH metadata, " + ("first" if fresh else "warm")
            )
            commands.close()
            return figures

        return once

    bench.case(f"FETCH metadata of {count}, first", fetching(fresh=True))
    bench.case(f"FETCH metadata of {count}, warm", fetching(fresh=False))


def bodies(bench: Bench, user: int, count: int, octets: int) -> None:
    """Whole messages of a mailbox."""
    bench.fill(user, count, octets)
    name = f"FETCH bodies of {count}, {octets // 1024} KB"

    def once(server: Server, number: int) -> tuple[float, float]:
        commands = _commands(bench, server, user, "SELECT INBOX", *([] if number else [BODIES]))
        with Meter(server.roots) as meter:
            answer = commands.run(BODIES)
        commands.close()
        if answer["untagged"] < count or answer["bytes"] < count * octets * 0.8:
            raise SystemExit(f"{server.name}: {answer['untagged']} of {count} bodies, {answer['bytes']} octets")
        bench.note(name, server, meter, count)
        return count / answer["wall"], 1e3 * meter.total / count

    bench.case(name, once)


def search(bench: Bench, count: int) -> None:
    """SEARCH in one mailbox; units are its messages. Both servers must find the same number."""
    bench.fill(BIG, count, 4096)
    some = count * 2 // 5
    cases = {
        "UNSEEN": "UNSEEN",
        "SINCE": "SINCE 1-Jan-2026",
        "SENTSINCE": "SENTSINCE 15-Jun-2026",
        "LARGER": "LARGER 4000",
        "FROM": "FROM sender123@",
        "SUBJECT": f"SUBJECT {COMMON_WORD}",
        "HEADER": f"HEADER Message-ID {some}.4096@",
        "TEXT absent": "TEXT xylophone",
        "TEXT rare": f"TEXT {some}.4096@",
        "TEXT common": f"TEXT {COMMON_WORD}",
        "BODY common": f"BODY {COMMON_WORD}",
    }
    for name, keys in cases.items():
        found = [_hits(server, keys) for server in bench.servers]
        if len(set(found)) > 1:
            bench.remark(f"SEARCH {keys}: found {dict(zip((s.name for s in bench.servers), found, strict=True))}")

        def once(server: Server, number: int, name: str = name, keys: str = keys) -> tuple[float, float]:
            commands = _commands(bench, server, BIG, "SELECT INBOX")
            figures = _timed(bench, server, commands, f"SEARCH {keys}", count, f"SEARCH {name}")
            commands.close()
            return figures

        bench.case(f"SEARCH {name} in {count}", once)


def _hits(server: Server, keys: str) -> int:
    client = Imap(server.imap, f"user{BIG}@{DOMAIN}")
    client.command("SELECT INBOX")
    lines = client.command(f"SEARCH {keys}")
    client.close()
    return sum(len(line.split()) - 2 for line in lines if line.startswith(b"* SEARCH"))


def change(bench: Bench, count: int) -> None:
    """STORE, COPY, MOVE and EXPUNGE of a whole mailbox; and how long another session had to wait meanwhile."""
    bench.fill(BIG, count, 4096)
    bench.fill(OTHER, 20, 4096)
    part = max(1, count // 10)
    for server in bench.servers:
        client = Imap(server.imap, f"user{BIG}@{DOMAIN}")
        for number in range(bench.rounds):
            for name in ("Few", "Copied", "Moved"):
                client.command(f"CREATE {name}{number}")
        client.close()
    for server in bench.servers:
        with _Probe(bench, server) as probe:
            time.sleep(0.5)
        texts = [f"{what} {longest:.1f} ms" for what, (_, _, longest) in probe.times.items()]
        bench.remark(f"nothing going on, {server.name}: a session's longest wait in half a second: {', '.join(texts)}")
    steps = (
        (f"STORE +FLAGS of {count}", "INBOX", "STORE 1:* +FLAGS (\\Flagged)", count),
        (f"STORE -FLAGS.SILENT of {count}", "INBOX", "STORE 1:* -FLAGS.SILENT (\\Flagged)", count),
        (f"COPY of {part}", "INBOX", f"COPY 1:{part} Few{{}}", part),
        (f"COPY of {count}", "INBOX", "COPY 1:* Copied{}", count),
        (f"MOVE of {count}", "Copied{}", "MOVE 1:* Moved{}", count),
        (f"EXPUNGE of {count}", "Moved{}", "EXPUNGE", count),
    )
    for name, mailbox, command, units in steps:
        delays: dict[str, dict[str, list[float]]] = {server.name: {} for server in bench.servers}

        def once(
            server: Server,
            number: int,
            name: str = name,
            mailbox: str = mailbox,
            command: str = command,
            units: int = units,
            delays: dict[str, dict[str, list[float]]] = delays,
        ) -> tuple[float, float]:
            commands = _commands(bench, server, BIG, f"SELECT {mailbox.format(number)}")
            if command == "EXPUNGE":
                commands.run("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            with _Probe(bench, server) as probe:
                figures = _timed(bench, server, commands, command.format(number), units, name)
            for what, (_, _, longest) in probe.times.items():
                delays[server.name].setdefault(what, []).append(longest)
            commands.close()
            return figures

        bench.case(name, once)
        for server in bench.servers:
            texts = [f"{what} {statistics.median(longest):.1f} ms" for what, longest in delays[server.name].items()]
            bench.remark(f"{name}, {server.name}: another session's longest wait meanwhile: {', '.join(texts)}")


class _Probe:
    """Another user's session that sends small commands all the time; `times`: what -> (how often, median ms, longest ms)."""

    def __init__(self, bench: Bench, server: Server) -> None:
        command = [str(bench.driver), "probe", "-P", str(server.imap), "-U", f"user{OTHER}@{DOMAIN}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.times: dict[str, tuple[int, float, float]] = {}

    def __enter__(self) -> Self:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"NOOP\nFETCH 1:* (UID FLAGS)\nSTORE 1 +FLAGS (\\Answered)\nbegin\n")
        self._process.stdin.flush()
        self._process.stdout.readline()
        time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.02)
        output, _errors = self._process.communicate(b"end\n")
        self.times = json.loads(output)


def append(bench: Bench, connections: int, octets: int, count: int) -> None:
    """APPEND with LITERAL+, one message at a time on each connection, each to a user of its own."""

    def once(server: Server, number: int) -> tuple[float, float]:
        sizes = ("-P", server.imap, "-c", connections, "-n", count, "-l", octets, "-u", connections)
        with Meter(server.roots) as meter:
            answer = load(bench.driver, "append", *sizes)
        if answer["failed"]:
            raise SystemExit(f"{server.name}: {answer['failed']} APPENDs failed")
        bench.note(f"APPEND {connections}x{octets}", server, meter, count)
        return count / answer["wall"], 1e3 * meter.total / count

    bench.case(f"APPEND, {connections} connections, {octets // 1024} KB", once)


def login(bench: Bench, connections: int, count: int) -> None:
    """Connect, greeting, LOGIN, LOGOUT."""

    def once(server: Server, number: int) -> tuple[float, float]:
        sizes = ("-P", server.imap, "-c", connections, "-n", count, "-u", 48)
        if number == 0:
            load(bench.driver, "login", "-P", server.imap, "-c", 8, "-n", 96, "-u", 48)  # passwords are known
        with Meter(server.roots) as meter:
            answer = load(bench.driver, "login", *sizes)
        if answer["failed"]:
            raise SystemExit(f"{server.name}: {answer['failed']} logins failed")
        bench.note(f"LOGIN {connections}", server, meter, count)
        return count / answer["wall"], 1e3 * meter.total / count

    bench.case(f"LOGIN, {connections} connections", once)


def idle(bench: Bench, samples: int) -> None:
    """From the end of a message by SMTP to the EXISTS of an idle client: 1 / the median."""

    def once(server: Server, number: int) -> tuple[float, float]:
        client = Imap(server.imap, f"user{IDLER}@{DOMAIN}")
        client.command("SELECT INBOX")
        client.begin(b"IDLE")
        client.wait_for(b"+")
        waits = []
        with Meter(server.roots) as meter, _Smtp(*server.smtp) as smtp:
            for sample in range(samples):
                text = message(sample, 1024, f"user{IDLER}@{DOMAIN}")
                heard = threading.Thread(target=client.wait_for, args=(b"EXISTS",))
                heard.start()
                started = smtp.deliver(f"user{IDLER}@{DOMAIN}", text)
                heard.join()
                waits.append(time.perf_counter() - started)
                time.sleep(0.01 + 0.003 * (sample % 7))
        client.close()
        wait = statistics.median(waits)
        bench.remark(
            f"delivery to IDLE, {server.name}: median {1e3 * wait:.1f} ms, 90 % {1e3 * sorted(waits)[len(waits) * 9 // 10]:.1f} ms"
        )
        return 1 / wait, 1e3 * meter.total / samples

    bench.case("delivery to IDLE notification", once)


class _Smtp:
    """A connection that delivers one message after the other."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        self._reply()
        self._ask(b"EHLO load.test")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def deliver(self, recipient: str, text: bytes) -> float:
        """Send a message; when its end was sent."""
        for command in (b"MAIL FROM:<sender@load.test>", b"RCPT TO:<%b>" % recipient.encode(), b"DATA"):
            self._ask(command)
        started = time.perf_counter()
        self._ask(text + b".")
        return started

    def _ask(self, command: bytes) -> None:
        self._socket.sendall(command + b"\r\n")
        self._reply()

    def _reply(self) -> None:
        while (line := self._file.readline())[3:4] == b"-":
            pass
        if line[:1] not in b"23":
            raise RuntimeError(line.decode())
