"""Delivery by SMTP until the message is visible, and POP3."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from bench import Bench, Server
from drive import PASSWORD, Imap, corpus, fill, load
from measure import Meter
from servers import DOMAIN

DELIVERY_USERS = 48
"""user0..47 take deliveries; the later ones hold the mailboxes for reading."""
VISIBLE_SECONDS = 300.0
EMPTY = 53
EMPTY_USERS = 4
"""user53..56 have no mail; user52 has some only while it is deleted."""


def deliver(bench: Bench, connections: int, size: int, count: int) -> None:
    """Durable deliveries over `connections` at once, until all are visible."""
    counters = {
        server.name: [Imap(server.imap, f"user{user}@{DOMAIN}") for user in range(DELIVERY_USERS)]
        for server in bench.servers
    }

    def once(server: Server, number: int) -> tuple[float, float]:
        clients = counters[server.name]
        if number == 0:
            _deliver(bench.driver, server, clients, connections, size, min(count, 100))
        want = _wanted(clients, count)
        with Meter(server.roots) as meter:
            _deliver(bench.driver, server, clients, connections, size, count, want)
        polling = sum(meter.cpu.get(reader, 0.0) for reader in server.readers)
        bench.note(f"deliver {connections}x{size}", server, meter, count)
        return count / meter.wall, 1e3 * (meter.total - polling) / count

    bench.case(f"deliver, {connections} connections, {size // 1024} KB", once)
    for clients in counters.values():
        for client in clients:
            client.close()


def _deliver(
    driver: Path,
    server: Server,
    clients: Sequence[Imap],
    connections: int,
    size: int,
    count: int,
    want: Sequence[int] | None = None,
) -> None:
    want = want or _wanted(clients, count)
    host, port = server.smtp
    sizes = ("-c", connections, "-n", count, "-l", size, "-u", DELIVERY_USERS)
    answer = load(driver, "smtp", "-H", host, "-P", port, *sizes)
    if answer["failed"]:
        raise SystemExit(f"{server.name} refused {answer['failed']} of {count} messages")
    deadline = time.monotonic() + VISIBLE_SECONDS
    waiting = list(range(DELIVERY_USERS))
    while waiting:
        if clients[waiting[-1]].count() >= want[waiting[-1]]:
            waiting.pop()
        elif time.monotonic() > deadline:
            raise SystemExit(f"{server.name}: messages of {len(waiting)} users did not become visible")
        else:
            time.sleep(0.01)


def pop3_login(bench: Bench, connections: int, count: int) -> None:
    """Sessions of an empty maildrop: connect, greeting, USER, PASS, UIDL, QUIT."""

    def once(server: Server, number: int) -> tuple[float, float]:
        who = ("-b", EMPTY, "-u", EMPTY_USERS)
        if number == 0:
            load(bench.driver, "pop3", "-P", server.pop3, "-c", 4, "-n", 32, *who)  # passwords are known
        with Meter(server.roots) as meter:
            answer = load(bench.driver, "pop3", "-P", server.pop3, "-c", connections, "-n", count, *who)
        if answer["failed"]:
            raise SystemExit(f"{server.name}: {answer['failed']} POP3 sessions failed")
        bench.note(f"POP3 login {connections}", server, meter, count)
        return count / answer["wall"], 1e3 * meter.total / count

    bench.case(f"POP3 login, {connections} connections", once)


def pop3_delete(bench: Bench, count: int) -> None:
    """DELE of `count` messages, pipelined, and QUIT."""
    user = f"user{EMPTY - 1}@{DOMAIN}"

    def once(server: Server, number: int) -> tuple[float, float]:
        fill(server.imap, user, corpus(count, 1024))
        server.settle()
        with socket.create_connection(("127.0.0.1", server.pop3)) as connection, connection.makefile("rb") as replies:
            connection.sendall(f"USER {user}\r\nPASS {PASSWORD}\r\n".encode())
            opened = [replies.readline() for _ in range(3)]
            commands = [b"DELE %d\r\n" % index for index in range(1, count + 1)]
            with Meter(server.roots) as meter:
                for start in range(0, count, 100):
                    connection.sendall(b"".join(commands[start : start + 100]))
                    opened += [replies.readline() for _ in commands[start : start + 100]]
                connection.sendall(b"QUIT\r\n")
                opened.append(replies.readline())
        if not all(reply.startswith(b"+OK") for reply in opened):
            raise SystemExit(f"{server.name}: not all of {count} messages were deleted by POP3")
        bench.note("DELE", server, meter, count)
        return count / meter.wall, 1e3 * meter.total / count

    bench.case(f"POP3 DELE of {count} and QUIT", once)


def retrieve(bench: Bench, count: int) -> None:
    """POP3: RETR of `count` messages, one after the other and pipelined."""
    user = 48
    bench.fill(user, count, 4096)
    for window in (1, 32):

        def once(server: Server, number: int, window: int = window) -> tuple[float, float]:
            sizes = ("-c", 1, "-n", 1, "-b", user, "-u", 1, "-W", window)
            load(bench.driver, "pop3", "-P", server.pop3, *sizes)  # processes are up, the password is known
            with Meter(server.roots) as meter:
                answer = load(bench.driver, "pop3", "-P", server.pop3, *sizes)
            if answer["messages_in"] != count or answer["failed"]:
                raise SystemExit(f"{server.name}: {answer['messages_in']} of {count} messages by POP3")
            bench.note(f"RETR window {window}", server, meter, count)
            return count / answer["wall"], 1e3 * meter.total / count

        bench.case(f"POP3 RETR of {count}, {window} in flight", once)


def _wanted(clients: Sequence[Imap], count: int) -> list[int]:
    """How many messages every delivery user has once `count` more are visible."""
    share = [count // DELIVERY_USERS + (user < count % DELIVERY_USERS) for user in range(DELIVERY_USERS)]
    return [client.count() + share[user] for user, client in enumerate(clients)]
