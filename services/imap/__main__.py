"""``python -m services.imap``: listeners, sessions, views."""

import math
import sys
from importlib import metadata

import trio

from services.imap.accounts import Accounts
from services.imap.context import AccountCounter, Shared
from services.imap.limits import SessionLimits
from services.imap.protocol.responses import build_untagged
from services.imap.rendered import RenderedCache
from services.imap.session import Session
from services.imap.views import Views, open_views
from shared.net.configure import listen_limits_of, watch_clients
from shared.net.limits import Refusal
from shared.net.listen import Endpoint, Listener, bound_ports, open_listeners, serve
from shared.net.stream import ClientStream
from shared.net.tls import ServerTls
from shared.service import Service, run_service

GIVE_BACK_SECONDS = 600.0
"""Rendered metadata that nobody used for so long is given back."""
SILENCE_GRAIN_SECONDS = 1.0
"""How much longer than it may a client is silent at the most."""


def refusal_line(listener: Listener, refusal: Refusal) -> bytes:
    """What a client that is one too many hears."""
    return build_untagged("BYE", refusal.value.capitalize(), "UNAVAILABLE")


class Server:
    """The sessions of this process."""

    def __init__(self, service: Service, views: Views, watched: Accounts) -> None:
        settings = service.settings
        limits = SessionLimits.from_settings(settings)
        paths = service.paths
        tls = ServerTls(
            paths.certificate(settings),
            paths.private_key(settings),
            on_error=lambda why: service.log.error("certificate not reloaded", why=why),
        )
        self.clients = watch_clients(service.metrics)
        plaintext = self.clients.trusted(settings.auth.plaintext_networks)
        commands = service.metrics.counter("imap_commands_total", "Commands by name and status.", ("command", "status"))
        rendered = RenderedCache(settings.imap.view_octets)
        spool = paths.spool("imap")
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.tls = tls
        self.shared = Shared(
            store=service.store,
            views=views,
            watched=watched,
            rendered=rendered,
            limits=limits,
            log=service.log,
            accounts=AccountCounter(limits.connections_per_account),
            spool=spool,
            tls=tls.context,
            passwords_without_tls=lambda ip: ip in plaintext,
            count=lambda name, status: commands.inc(1, name, status),
            version=metadata.version("pillarbox") if _is_installed() else "0",
        )
        self._sessions: set[Session] = set()
        gauge = service.metrics.gauge
        gauge("imap_sessions", "Sessions that are open.").read_from(lambda: len(self._sessions))
        gauge("imap_views", "Mailboxes kept in memory.").read_from(lambda: views.statistics()["views"])
        gauge("imap_watched_accounts", "Accounts that NOTIFY watches.").read_from(lambda: watched.statistics()["accounts"])
        gauge("imap_view_octets", "Memory of their columns.").read_from(lambda: views.statistics()["octets"])
        gauge("imap_rendered_octets", "Memory of rendered metadata.").read_from(lambda: rendered.statistics()["octets"])

    async def handle(self, stream: ClientStream, listener: Listener) -> None:
        """One connection."""
        session = Session(self.shared, stream)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def stop_sessions(self, draining: trio.Event) -> None:
        """Once the process drains: each session ends when its command is done."""
        await draining.wait()
        for session in tuple(self._sessions):
            session.stop()

    async def end_silent_sessions(self) -> None:
        """One look at all sessions now and then costs less than a timer in each."""
        limits = self.shared.limits
        # no wait that begins after a look ends sooner, unless its session's time to log in does
        shortest = min(limits.idle_seconds, limits.unauthenticated_seconds)
        while True:
            now = trio.current_time()
            soonest = min((session.end_if_silent(now) for session in tuple(self._sessions)), default=math.inf)
            await trio.sleep_until(max(min(soonest, now + shortest), now + SILENCE_GRAIN_SECONDS))

    async def give_back(self) -> None:
        """Forget what nobody used for a while."""
        while True:
            await trio.sleep(GIVE_BACK_SECONDS / 4)
            self.shared.rendered.give_back(trio.current_time() - GIVE_BACK_SECONDS)


def _is_installed() -> bool:
    try:
        metadata.version("pillarbox")
    except metadata.PackageNotFoundError:
        return False
    return True


async def main(service: Service) -> None:
    """Serve until the process drains."""
    settings = service.settings
    async with open_views(service.store) as views:
        endpoints = [
            endpoint
            for host in settings.server.listen
            for endpoint in (
                Endpoint("imap", host, settings.listen_port(settings.imap.port)),
                Endpoint("imaps", host, settings.listen_port(settings.imap.tls_port), implicit_tls=True),
            )
        ]
        listeners = open_listeners(endpoints, reuse_port=settings.imap.workers > 1)
        async with trio.open_nursery() as nursery:
            server = Server(service, views, Accounts(service.store, nursery))
            nursery.start_soon(server.stop_sessions, service.draining)
            nursery.start_soon(server.give_back)
            nursery.start_soon(server.end_silent_sessions)
            service.ready(bound_ports(listeners))
            await serve(
                listeners,
                server.handle,
                limits=listen_limits_of(settings),
                draining=service.draining,
                log=service.log,
                metrics=service.metrics,
                tls=server.tls.context,
                refusal=refusal_line,
                clients=server.clients,
            )
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    sys.exit(run_service("imap", main))
