"""Connections that we open: one TCP connection to one IP address, with a deadline. Names are for the resolver."""

from __future__ import annotations

import socket

import trio

from shared.net.stream import SEND_TIMEOUT_SECONDS, ClientStream, ConnectionLost


class ConnectFailed(ConnectionLost):
    """No connection came about; `reason` is fit for a log and for a bounce."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def connect(
    ip: str,
    port: int,
    timeout_seconds: float,
    *,
    source_ip: str | None = None,
    send_timeout_seconds: float = SEND_TIMEOUT_SECONDS,
) -> ClientStream:
    """Connects to `ip` (IPv4 or IPv6, no name) within `timeout_seconds`; raises ConnectFailed."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    raw.setblocking(False)
    sock = trio.socket.from_stdlib_socket(raw)
    try:
        with trio.fail_after(timeout_seconds):
            if source_ip is not None:
                await sock.bind((source_ip, 0))
            await sock.connect((ip, port))
        return ClientStream(raw, send_timeout_seconds=send_timeout_seconds)
    except trio.TooSlowError:
        sock.close()
        raise ConnectFailed(f"no connection to {ip} port {port} within {timeout_seconds:g} s") from None
    except OSError as error:
        sock.close()
        raise ConnectFailed(f"cannot connect to {ip} port {port}: {error.strerror or error}") from None
    except BaseException:
        sock.close()
        raise
