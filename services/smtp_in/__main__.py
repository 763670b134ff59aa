"""The process: listeners up, sessions served, drained on SIGTERM. `python -m services.smtp_in`, no arguments."""

from __future__ import annotations

import sys
import time

import trio

from services.smtp_in.deliver import Deliverer
from services.smtp_in.door import greylist_of, policies_at_the_door, strangers_of
from services.smtp_in.front import Counters, Front, Timeouts
from services.smtp_in.policy.authenticity import Authenticity, Options
from services.smtp_in.policy.author import AuthorOwnership
from services.smtp_in.policy.chain import Chain, Policy
from services.smtp_in.policy.content import HeaderLimits
from services.smtp_in.policy.daily import DailyAllowance
from services.smtp_in.policy.device import DevicePort, DeviceRecipients
from services.smtp_in.policy.groups import TruePoster
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.policy.recipient import KnownRecipient
from services.smtp_in.policy.sender import SenderOwnership
from services.smtp_in.ports import LMTP, LMTP_MODE, Profiles, endpoints_of, limits_of
from services.smtp_in.protocol import replies
from services.smtp_in.refusals import Refusals
from services.smtp_in.rejects import Rejects
from services.smtp_in.session import Session
from services.smtp_in.spool import MemoryBudget, SpoolLimits
from services.smtp_in.way import HoldLimit
from shared.config.smtp import DmarcHandling, DmarcOrganisation, OverQuotaReply
from shared.dns.configure import make_resolver
from shared.dns.resolver import Resolver
from shared.mailauth.suffix_list import load_suffix_list
from shared.net.configure import listen_limits_of, watch_clients
from shared.net.hidden import ClientsWatch
from shared.net.limits import Refusal
from shared.net.listen import Listener, bound_ports, open_listeners, serve
from shared.net.local import open_local_listener
from shared.net.networks import PRIVATE_NETWORKS
from shared.net.stream import ClientStream
from shared.net.tls import ServerTls
from shared.service import Service, run_service

LAST_NOTES_SECONDS = 2.0
WATCH_SECONDS = 1.0
"""How often all sessions are looked at for clients that are silent; timeouts are minutes."""


async def main(service: Service) -> None:
    """Serve until the drain is over."""
    settings = service.settings
    tls = _server_tls(service)
    clients = watch_clients(service.metrics)
    front = _front(service, tls, clients)
    listeners = open_listeners(endpoints_of(settings), reuse_port=settings.smtp_in.workers > 1)
    local = _local_listeners(service)

    async def handle(stream: ClientStream, listener: Listener) -> None:
        await Session(front, stream, listener).run()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_drain, service, front)
        watch = await nursery.start(_watch_silence, front)
        noting = await nursery.start(front.refusals.run)

        async def listen(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await serve(
                [*listeners, *local],
                handle,
                limits=listen_limits_of(settings),
                draining=service.draining,
                log=service.log,
                metrics=service.metrics,
                tls=tls.context,
                refusal=_refusal,
                clients=clients,
                task_status=task_status,
            )
            watch.cancel()
            noting.cancel()
            with trio.move_on_after(LAST_NOTES_SECONDS):
                await front.refusals.flush()

        await nursery.start(listen)
        for listener in local:
            service.log.info("listening", listener=listener.name, socket=listener.host)
        service.ready(bound_ports(listeners))


def _server_tls(service: Service, *, old_clients: bool = False) -> ServerTls:
    settings = service.settings
    return ServerTls(
        service.paths.certificate(settings),
        service.paths.private_key(settings),
        on_error=lambda reason: service.log.error("certificate not reloaded", reason=reason),
        on_reload=lambda: service.log.info("certificate reloaded"),
        old_clients=old_clients,
    )


def _local_listeners(service: Service) -> list[Listener]:
    name = service.settings.smtp_in.lmtp_socket
    if not name:
        return []
    path = service.paths.local_socket(name)
    if path == service.paths.socket:
        raise OSError(f"smtp_in.lmtp_socket: {name} is the store's socket")
    return [open_local_listener(LMTP, path, LMTP_MODE)]


def _front(service: Service, tls: ServerTls, clients: ClientsWatch) -> Front:
    settings = service.settings
    own = settings.smtp_in
    profiles = Profiles.of(settings, clients)
    directory = service.store.directory
    counters = Counters(service.metrics)
    pauses = Pauses()
    resolver = make_resolver(settings.dns)
    strangers = strangers_of(settings, clients)
    spool = service.paths.spool(service.name)
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    deferral, correspondents = greylist_of(settings, strangers, resolver, counters, spool, service.log)
    policy = Chain(
        (
            DevicePort(clients.trusted(PRIVATE_NETWORKS)),
            SenderOwnership(directory),
            DeviceRecipients(service.store.devices),
            HoldLimit(time.time, own.future_release_seconds),
            *policies_at_the_door(
                settings,
                KnownRecipient(
                    directory, DailyAllowance(service.store.sending), profiles.hostname, own.over_quota, deferral
                ),
                strangers,
                resolver,
                pauses,
                counters,
                service.log,
            ),
            HeaderLimits(own.hops, own.header_octets),
            AuthorOwnership(directory, own.check_from, service.log),
            *_authenticity(service, profiles.hostname, clients, resolver),
            TruePoster(),
            *correspondents,
        )
    )
    full = (
        replies.MAILBOX_FULL_FOR_GOOD if own.over_quota is OverQuotaReply.PERMANENT else replies.MAILBOX_FULL
    )
    rejects = Rejects(service.store.messages, service.log, own.keep_rejects_per_minute) if own.keep_rejects_days else None
    budget = MemoryBudget(own.memory_total_octets)
    gauge = service.metrics.gauge("smtp_in_memory_octets", "Contents under way that are held in memory.")
    gauge.read_from(lambda: budget.used)
    return Front(
        store=service.store,
        policy=policy,
        deliverer=Deliverer(
            service.store,
            policy,
            profiles.hostname,
            full=full,
            rejects=rejects,
            hold_seconds=own.hold_seconds,
            language=settings.server.language,
        ),
        profiles=profiles,
        limits=limits_of(settings),
        spool=SpoolLimits(spool, own.memory_octets, own.header_octets, budget),
        timeouts=Timeouts(own.command_seconds, own.data_seconds, settings.limits.tls_handshake_seconds),
        tls=tls.context,
        is_draining=service.draining.is_set,
        log=service.log,
        counters=counters,
        device_tls=_server_tls(service, old_clients=True).context if own.device_port else None,
        refusals=Refusals(service.store.history, service.log, own.noted_refusals_per_minute),
        pauses=pauses,
    )


def _authenticity(service: Service, hostname: str, clients: ClientsWatch, resolver: Resolver) -> tuple[Policy, ...]:
    wanted = service.settings.authenticity
    if not wanted.check:
        return ()
    options = Options(
        hostname,
        wanted.dmarc is DmarcHandling.ENFORCE,
        wanted.seconds,
        clients.trusted(wanted.unchecked_networks),
        load_suffix_list() if wanted.dmarc_organisational is DmarcOrganisation.SUFFIX_LIST else None,
    )
    return (Authenticity(resolver, options, service.log),)


async def _watch_silence(front: Front, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    """End the sessions whose clients are silent, as long as sessions are served."""
    shortest = min(front.timeouts.command, front.timeouts.data)
    with trio.CancelScope() as scope:
        task_status.started(scope)
        while True:
            await trio.sleep(min(WATCH_SECONDS, shortest / 4))
            now = trio.current_time()
            for session in list(front.sessions):
                session.end_if_silent(now)


async def _drain(service: Service, front: Front) -> None:
    await service.draining.wait()
    front.pauses.end()
    for session in list(front.sessions):
        session.drain()


def _refusal(listener: Listener, refusal: Refusal) -> bytes:
    return replies.TOO_MANY_CONNECTIONS.wire


if __name__ == "__main__":
    sys.exit(run_service("smtp_in", main))
