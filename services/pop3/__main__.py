"""The POP3 service: `python -m services.pop3`. Settings: sections pop3, auth, limits, server, tls."""

from __future__ import annotations

import socket
import sys
from functools import partial

import trio

from services.pop3.protocol import replies
from services.pop3.session import Session
from services.pop3.shared_state import Shared
from shared.config.schema import MaildropLock, Settings
from shared.net.configure import listen_limits_of
from shared.net.limits import Refusal
from shared.net.listen import Endpoint, Listener, bound_ports, open_listeners, serve
from shared.net.stream import ClientStream
from shared.net.tls import ServerTls
from shared.service import Service, run_service


async def main(service: Service) -> None:
    """Opens the ports, serves until the service drains."""
    settings, log = service.settings, service.log
    if settings.pop3.maildrop_lock is MaildropLock.EXCLUSIVE and settings.pop3.workers > 1:
        # the lock lives in this process; two of them would each grant it
        raise OSError("pop3.maildrop_lock = exclusive needs pop3.workers = 1")
    tls = ServerTls(
        service.paths.certificate(settings),
        service.paths.private_key(settings),
        on_error=lambda reason: log.error("new certificate not usable, the old one stays", reason=reason),
        on_reload=lambda: log.info("new certificate in use"),
    )
    hostname = settings.server.hostname or socket.gethostname()
    shared = Shared(settings, service.store, log, service.metrics, tls, hostname)
    listeners = open_listeners(_endpoints(settings), reuse_port=settings.pop3.workers > 1)
    serving = partial(
        serve,
        listeners,
        partial(_handle, shared),
        limits=listen_limits_of(settings),
        draining=service.draining,
        log=log,
        metrics=service.metrics,
        tls=tls.context,
        refusal=_refusal,
        clients=shared.clients,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serving)
        service.ready(bound_ports(listeners))
        await service.draining.wait()
        shared.drain()


def _endpoints(settings: Settings) -> list[Endpoint]:
    pop3, hosts = settings.pop3, settings.server.listen
    plain = [Endpoint("pop3", host, settings.listen_port(pop3.port)) for host in hosts]
    return plain + [Endpoint("pop3s", host, settings.listen_port(pop3.tls_port), implicit_tls=True) for host in hosts]


async def _handle(shared: Shared, stream: ClientStream, listener: Listener) -> None:
    await Session(stream, shared).run()


def _refusal(listener: Listener, why: Refusal) -> bytes:
    return replies.refused(why.value)


if __name__ == "__main__":
    sys.exit(run_service("pop3", main))
