"""At the day's end: for each domain that was written to, its record is asked for and the report goes out, spread over some hours.

Laws
- A report that goes by mail is signed with DKIM as our domain's (RFC 8460 §5.3), or it is not sent. By HTTPS it goes to whose
  certificate verifies.
- Mail goes into the queue through the store with the null sender, as bounces do: nobody is told when it does not arrive.
- DNS, a web server or the store in trouble: tried again after AGAIN_SECONDS until KEPT_DAYS are over (`book`). Whoever has it does
  not get it again because others do not. A crash between the store's answer and the book's repeats one report, with the same id.
"""

from __future__ import annotations

import random
import secrets
import ssl
from collections.abc import Callable

import attrs
import trio

from services.smtp_out.content import ContentLost
from services.smtp_out.plan import refuse_address
from services.smtp_out.sign import Signer
from services.smtp_out.tls_reports.book import Book, DomainDay, day_of
from services.smtp_out.tls_reports.document import DayReport
from services.smtp_out.tls_reports.message import MEDIA_TYPE, build_message, pack_document
from services.smtp_out.tls_reports.record import is_url, parse_record, split_url
from services.smtp_out.tls_reports.seen import TRACE_PREFIX
from shared.contract.queue import QueueApi
from shared.contract.types import Bounce, ContentSource
from shared.dns.answers import DnsFailure
from shared.dns.resolver import Resolver
from shared.errors import StoreError
from shared.http.client import Bounds, FetchFailed, Upload, fetch
from shared.mail.index import build_index
from shared.observe.log import Logger

AGAIN_SECONDS = 3600.0
_BOUNDS = Bounds(body_octets=64 * 1024, seconds=60.0)
LOOK_SECONDS = 300.0  # between two looks for days that are over


@attrs.frozen
class ReportOptions:
    """`sender`: From, an address of a domain of ours, where questions go, too."""

    sender: str
    spread_seconds: float = 4 * 3600.0  # RFC 8460 §5.4 asks for a random delay of up to four hours
    allow_private: bool = False

    @property
    def domain(self) -> str:
        """Of ours, that signs."""
        return self.sender.rpartition("@")[2].lower()


@attrs.frozen
class DayReporter:
    """`run` for the whole life of the process. `worker`: the name that the store knows it by."""

    options: ReportOptions
    book: Book
    resolver: Resolver
    queue: QueueApi
    signer: Signer
    worker: str
    log: Logger
    now: Callable[[], float]
    rng: random.Random
    context: ssl.SSLContext  # verifies those that want reports by HTTPS

    async def run(self) -> None:
        """Look for days that are over; for ever."""
        while True:
            await self.report_due()
            await trio.sleep(LOOK_SECONDS)

    async def report_due(self) -> None:
        """Send what is due now. Raises nothing but cancellation."""
        try:
            await trio.to_thread.run_sync(
                self.book.close_days, day_of(self.now()), self.now(), self.options.spread_seconds, self.rng
            )
            while (due := await trio.to_thread.run_sync(self.book.take, self.now(), AGAIN_SECONDS)) is not None:
                if await self._report(due):
                    await trio.to_thread.run_sync(self.book.drop, due.domain, due.day)
        except OSError as error:
            self.log.warning("TLS results cannot be read", reason=str(error))
        except (StoreError, ContentLost) as error:
            # it would refuse the others, too
            self.log.warning("TLS reports wait for the store", reason=str(error))

    async def _report(self, due: DomainDay) -> bool:
        """Whether that is all that can be done. Raises StoreError, ContentLost, OSError."""
        try:
            answer = await self.resolver.resolve(f"_smtp._tls.{due.domain}", "TXT")
        except DnsFailure as failure:
            self.log.info("TLS report not sent yet", domain=due.domain, reason=str(failure))
            return False
        report = DayReport(due.domain, due.day, self.options.domain, self.options.sender, due.rows)
        done = True
        for place in parse_record(answer.records):
            if place in due.told:
                continue
            try:
                await (self._post(report, place) if is_url(place) else self._mail(report, place))
            except (DnsFailure, FetchFailed) as error:
                self.log.info("TLS report not sent yet", domain=due.domain, place=place, reason=str(error))
                done = False
            else:
                # whatever comes in between, it has it
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self.book.tell, due.domain, due.day, place)
        return done

    async def _mail(self, report: DayReport, recipient: str) -> None:
        """Raises StoreError, ContentLost."""
        message = build_message(report, self.options.sender, recipient, int(self.now()), secrets.token_hex(12))
        signatures = await self.signer.signatures(message, report.submitter)
        if not signatures:
            self.log.error("TLS report not sent: no DKIM key signs for tls_reports_from", domain=report.submitter)
            return
        content = signatures + message
        trace = TRACE_PREFIX + secrets.token_hex(8)
        source = ContentSource(len(content), inline=content)
        bounce = Bounce(recipient=recipient, content=source, index=build_index(content), trace=trace)
        await self.queue.report(self.worker, (), (bounce,))
        self.log.info("TLS report sent", domain=report.domain, place=recipient, trace=trace)

    async def _post(self, report: DayReport, url: str) -> None:
        """Raises FetchFailed, DnsFailure."""
        host, port, target = split_url(url)
        found = await self.resolver.addresses(host)
        addresses = [address for address in found if refuse_address(address, self.options.allow_private) is None]
        upload = Upload(MEDIA_TYPE, pack_document(report))
        answer = await fetch(host, target, addresses, port, self.context, _BOUNDS, upload)
        if not 200 <= answer.status < 300:
            raise FetchFailed(f"{host} answered {answer.status}")
        self.log.info("TLS report sent", domain=report.domain, place=url)
