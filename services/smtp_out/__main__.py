"""The process: `python -m services.smtp_out`. Listens on nothing but its health address."""

from __future__ import annotations

import random
import secrets
import sys
import time
from functools import partial

from services.smtp_out.configure import (
    ConfigureError,
    make_dane,
    make_options,
    make_report_options,
    make_sts_options,
    resolver_of,
)
from services.smtp_out.connector import Connector
from services.smtp_out.egress.guide import Guide
from services.smtp_out.mta_sts.finder import PolicyFinder
from services.smtp_out.options import Options
from services.smtp_out.report import Reporter
from services.smtp_out.route import Router
from services.smtp_out.sign import Signer
from services.smtp_out.tls_reports.book import Book
from services.smtp_out.tls_reports.counter import SessionCounter
from services.smtp_out.tls_reports.reporter import DayReporter
from services.smtp_out.tls_reports.seen import Note, note_nothing
from services.smtp_out.worker import Worker
from shared.dns.resolver import Resolver
from shared.net.tls import verifying_client_context
from shared.service import Service, run_service


def _statistic(resolver: Resolver, counter: str) -> float:
    return resolver.statistics()[counter]


async def _policies(service: Service, options: Options, resolver: Resolver, note: Note) -> PolicyFinder | None:
    """MTA-STS, with what the file remembers; None where it is off."""
    sts = make_sts_options(service.settings, service.paths.kept(service.name))
    if sts is None:
        return None
    context = verifying_client_context(options.ca_file, common_name=False)
    finder = PolicyFinder(sts, resolver, context, service.log, time.time, note)
    await finder.load()
    service.nursery.start_soon(finder.run)
    for counter in finder.statistics():
        gauge = service.metrics.gauge(f"pillarbox_smtp_out_mta_sts_{counter}", f"MTA-STS: {counter}.")
        gauge.read_from(partial(_of, finder, counter))
    return finder


def _note(service: Service, options: Options, resolver: Resolver, name: str, rng: random.Random) -> Note:
    """Where sessions are counted for TLS reports, which are sent meanwhile. Raises ConfigureError."""
    reports = make_report_options(service.settings)
    if reports is None:
        return note_nothing
    book = Book(service.paths.kept(service.name) / "tls-reports.sqlite")
    counter = SessionCounter(book, service.log, time.time)
    context = verifying_client_context(options.ca_file, common_name=False)
    signer = Signer(service.store.queue, service.log, time.time, time.monotonic)
    reporter = DayReporter(reports, book, resolver, service.store.queue, signer, name, service.log, time.time, rng, context)
    service.nursery.start_soon(counter.run)
    service.nursery.start_soon(reporter.run)
    service.metrics.gauge("pillarbox_smtp_out_tls_results_lost", "TLS results that found no room.").read_from(
        lambda: counter.lost
    )
    return counter.note


def _of(finder: PolicyFinder, counter: str) -> float:
    return finder.statistics()[counter]


async def main(service: Service) -> None:
    """Work until the process drains."""
    rng = random.Random()
    name = f"smtp_out-{secrets.token_hex(6)}"
    try:
        options = make_options(service.settings)
        resolver = resolver_of(service.settings)
        note = _note(service, options, resolver, name, rng)
    except ConfigureError as error:
        raise OSError(str(error)) from None
    policies = await _policies(service, options, resolver, note)
    reporter = Reporter(options, service.store, name, service.log, service.metrics, rng)
    router = Router(
        options, resolver, rng, policies.find if policies else None, make_dane(service.settings, resolver), note
    )
    worker = Worker(
        name,
        options,
        service.store,
        Guide(options, service.store.relays, router, service.log),
        Connector(options, note=note),
        reporter,
        service.log,
        service.metrics,
    )
    for counter in ("hits", "misses", "failures", "cached"):
        gauge = service.metrics.gauge(f"pillarbox_smtp_out_dns_{counter}", f"DNS look-ups: {counter}.")
        gauge.read_from(partial(_statistic, resolver, counter))
    service.ready({})
    await worker.run(service.draining.wait)


if __name__ == "__main__":
    sys.exit(run_service("smtp_out", main))
