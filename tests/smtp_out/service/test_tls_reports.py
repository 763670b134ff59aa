"""TLS reports as a whole: the real process counts, and tells of the days that are over by mail that verifies."""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest

from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.tls_reports.book import Book, day_of
from services.smtp_out.tls_reports.seen import Failure, Seen, applied
from shared.testing.certificates import Authority
from shared.testing.dns_server import Trouble
from shared.testing.https_peer import HttpsPeer, http_answer
from shared.testing.outbound import ALICE, OutboundWorld

MAIL = b"Subject: x\r\n\r\nbody\r\n"
SENDER = "postmaster@example.test"
POLICY = applied(Policy(Mode.ENFORCE, 86400, ("mx.b.test",)), "", None)
SETTINGS = {"PILLARBOX_SMTP_OUT__TLS_REPORTS_FROM": SENDER, "PILLARBOX_SMTP_OUT__TLS_REPORTS_SPREAD_SECONDS": "0"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OutboundWorld]:
    with OutboundWorld(tmp_path, SETTINGS) as one:
        yield one


def book_of(world: OutboundWorld) -> Book:
    return Book(world.stack.data_dir / "smtp_out" / "tls-reports.sqlite")


def tomorrow(world: OutboundWorld) -> dict[str, list[tuple[Failure | None, int]]]:
    """What would be told tomorrow of today, by domain."""
    book, now = book_of(world), time.time()
    book.close_days(day_of(now) + 1, now, 0, random.Random(1))
    told = {}
    while (found := book.take(now, 60)) is not None:
        if found.day == day_of(now):
            told[found.domain] = [(row.failure, row.sessions) for row in found.rows]
    return told


def yesterday(world: OutboundWorld, *seen: Seen) -> None:
    """The service finds these counts of yesterday when it starts anew."""
    service = world.smtp_out
    service.stop()
    book_of(world).add(day_of(time.time()) - 1, dict.fromkeys(seen, 3))
    service.restart()


def verifies(world: OutboundWorld, content: bytes) -> bool:
    found = world.stack.administer(lambda store: store.admin.domain_dns("example.test"))
    published = {record.name: record.value for record in found if record.type == "TXT"}

    def answer(name: bytes, timeout: float = 5) -> bytes | None:
        return published.get(name.decode().rstrip("."), "").encode() or None

    checker = dkim.DKIM(content)
    return all(checker.verify(idx=index, dnsfunc=answer) for index in range(2))


def test_sessions_are_counted_and_outlive_the_process(world: OutboundWorld) -> None:
    with world.peer("b.test") as peer:
        world.submit(ALICE, ["bob@b.test"], MAIL)
        peer.wait_messages(1)
        world.wait_queue_empty()
        world.smtp_out.stop()
        world.smtp_out.restart()
        world.submit(ALICE, ["bob@b.test"], MAIL)
        peer.wait_messages(2)
        world.wait_queue_empty()
    world.smtp_out.stop()
    assert tomorrow(world) == {"b.test": [(Failure.STARTTLS_NOT_SUPPORTED, 2)]}


def test_a_domain_that_asks_for_it_is_told_once(world: OutboundWorld) -> None:
    world.dns.set("_smtp._tls.b.test", {"TXT": ['"v=TLSRPTv1; rua=mailto:tls@reports.test"']})
    bad = Seen("b.test", POLICY, Failure.CERTIFICATE_EXPIRED, "mx.b.test", "192.0.2.1")
    with world.peer("reports.test") as peer:
        yesterday(world, Seen("b.test", POLICY), bad, Seen("silent.test", POLICY))
        (mail,) = peer.wait_messages(1)
        world.wait_queue_empty()
        world.dns.wait_query("_smtp._tls.silent.test", "TXT")
        world.smtp_out.stop()
        world.smtp_out.restart()
        world.smtp_out.stop()
        assert len(peer.messages) == 1
    assert mail.sender == ""
    assert mail.recipients == ("tls@reports.test",)
    assert verifies(world, mail.content)
    message: Any = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert message["From"] == SENDER
    _, attached = message.iter_parts()
    document = json.loads(gzip.decompress(attached.get_content()))
    (policy,) = document["policies"]
    assert policy["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 3}
    assert policy["failure-details"][0]["result-type"] == "certificate-expired"
    # the session that brought it is not counted: reports must not lead to reports
    assert tomorrow(world) == {}


def test_reports_by_https_and_by_mail_each_once(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    settings = {**SETTINGS, "PILLARBOX_SMTP_OUT__CA_FILE": str(authority.ca_file)}
    with HttpsPeer(authority.server_context("web.test")) as web, OutboundWorld(tmp_path, settings) as world:
        url = f"https://web.test:{web.port}/reports?x=1"
        world.dns.set("web.test", {"A": ["127.0.0.1"]})
        world.dns.set("_smtp._tls.b.test", {"TXT": [f'"v=TLSRPTv1; rua={url},mailto:tls@reports.test"']})
        web.answer(http_answer(b"", "503 Service Unavailable"))
        with world.peer("reports.test") as peer:
            yesterday(world, Seen("b.test", POLICY))
            peer.wait_messages(1)
            world.smtp_out.wait_for_log("TLS report not sent yet.*503")
            world.wait_queue_empty()
        world.smtp_out.stop()
        found = book_of(world).take(time.time() + 3700, -10_000)  # due now
        assert found is not None
        assert found.told == {"tls@reports.test"}
        web.answer(http_answer(b"", "204 No Content"))
        world.smtp_out.restart()
        web.wait_requests(2)
        world.smtp_out.wait_for_log("TLS report sent.*https://web.test")
        assert web.requests[-1] == ("web.test", "/reports?x=1")
        document = json.loads(gzip.decompress(web.bodies[-1]))
        assert document["policies"][0]["summary"]["total-successful-session-count"] == 3
        world.smtp_out.stop()
        # whether it is dropped already or not: nobody is told twice
        found = book_of(world).take(time.time() + 8000, -10_000)
        assert found is None or found.told == {"tls@reports.test", url}
        assert not world.queue()


def test_a_resolver_in_trouble_puts_the_report_off(world: OutboundWorld) -> None:
    world.dns.set("_smtp._tls.b.test", Trouble.SERVFAIL)
    yesterday(world, Seen("b.test", POLICY))
    world.smtp_out.wait_for_log("TLS report not sent yet.*b.test")
    world.smtp_out.stop()
    assert book_of(world).take(time.time(), 60) is None
    assert book_of(world).take(time.time() + 3700, 60) is not None


def test_without_a_key_there_is_no_report(tmp_path: Path) -> None:
    settings = {**SETTINGS, "PILLARBOX_SMTP_OUT__TLS_REPORTS_FROM": "postmaster@nobody.test"}
    with OutboundWorld(tmp_path, settings) as world:
        world.dns.set("_smtp._tls.b.test", {"TXT": ['"v=TLSRPTv1; rua=mailto:tls@reports.test"']})
        yesterday(world, Seen("b.test", POLICY))
        world.smtp_out.wait_for_log("no DKIM key signs for tls_reports_from")
        assert not world.queue()
