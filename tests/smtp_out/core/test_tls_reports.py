"""TLS reports: what is counted, who is told, what the report says; and the file of the counts."""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_out.dane.judge import Dane
from services.smtp_out.dane.tlsa import usable_records
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.tls_reports.book import KEPT_DAYS, Book, day_of
from services.smtp_out.tls_reports.counter import MAX_WAITING, SessionCounter
from services.smtp_out.tls_reports.document import MAX_DETAILS, MAX_POLICIES, Counted, DayReport, build_document
from services.smtp_out.tls_reports.message import build_message
from services.smtp_out.tls_reports.record import MAX_PLACES, parse_record, split_url
from services.smtp_out.tls_reports.seen import (
    TRACE_PREFIX,
    Applied,
    Failure,
    PolicyType,
    Seen,
    applied,
    failure_by_words,
)
from shared.observe.log import Level, Logger
from shared.observe.trace import TRACE, new_trace

STS = Policy(Mode.ENFORCE, 86400, ("mx.b.test", "*.b.test"))
STS_TEXT = ("version: STSv1", "mode: enforce", "mx: mx.b.test", "mx: *.b.test", "max_age: 86400")
DIGEST = "3 1 1 " + "ab" * 32
NOW = 1_800_000_000.0
DAY = day_of(NOW)


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        (["v=TLSRPTv1;rua=mailto:reports@b.test"], ("reports@b.test",)),
        (["v=TLSRPTv1 ; rua=mailto:a@b.test , https://b.test/r ,mailto:c%2Bd@b.test;"], ("a@b.test", "https://b.test/r", "c+d@b.test")),
        (["v=TLSRPTv1; ext=1; rua=MAILTO:a@b.test?subject=x", "v=spf1 -all"], ("a@b.test",)),
        (["v=TLSRPTv1; rua=https://b.test/r"], ("https://b.test/r",)),
        (["v=TLSRPTv1; rua=https://b.test:8443"], ("https://b.test:8443",)),
        (["v=TLSRPTv1; rua=http://b.test/r,https://u@b.test/,https://b/,https://b.test/ x,https://b.test/#f,https:///r"], ()),
        (["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@b.test"], ()),
        (["v=tlsrptv1; rua=mailto:a@b.test"], ()),
        (["v=TLSRPTv1"], ()),
        (["v=TLSRPTv1; ruf=mailto:a@b.test"], ()),
        (["v=TLSRPTv1; rua=mailto:a%0d%0aBcc%3ac@b.test"], ()),
        (["v=TLSRPTv1; rua=mailto:a@b@c.test, mailto:<a@b.test>, mailto:, a@b.test"], ()),
        (["v=TLSRPTv1; rua=" + ",".join(f"mailto:{n}@b.test" for n in range(9))], tuple(f"{n}@b.test" for n in range(MAX_PLACES))),
        ([], ()),
    ],
)
def test_who_is_told(texts: list[str], addresses: tuple[str, ...]) -> None:
    assert parse_record(texts) == addresses


def test_urls_in_parts() -> None:
    assert split_url("https://B.test/r?x=1") == ("b.test", 443, "/r?x=1")
    assert split_url("https://b.test:8443") == ("b.test", 8443, "/")


@given(st.lists(st.text(max_size=60).map(lambda text: "v=TLSRPTv1;rua=" + text), max_size=2))
def test_any_text_is_a_record_or_none(texts: list[str]) -> None:
    for address in parse_record(texts):
        assert address.isascii()
        assert "\n" not in address


def test_the_policy_that_holds() -> None:
    dane = Dane("mx.b.test", usable_records([DIGEST]), ())
    assert applied(None, "mx.b.test", None) == Applied()
    assert applied(Policy(Mode.NONE, 5), "mx.b.test", None) == Applied()
    assert applied(STS, "mx.b.test", None) == Applied(PolicyType.STS, STS_TEXT, ("mx.b.test", "*.b.test"))
    assert applied(STS, "mx.b.test", dane) == Applied(PolicyType.TLSA, (DIGEST,), ("mx.b.test",))


@pytest.mark.parametrize(
    ("why", "failure"),
    [
        ("Hostname mismatch, certificate is not valid for 'mx.b.test'", Failure.CERTIFICATE_HOST_MISMATCH),
        ("leaf certificate has no matching subjectAltName", Failure.CERTIFICATE_HOST_MISMATCH),
        ("certificate has expired", Failure.CERTIFICATE_EXPIRED),
        ("cert is not valid at validation time", Failure.CERTIFICATE_EXPIRED),
        ("self-signed certificate", Failure.CERTIFICATE_NOT_TRUSTED),
        ("unable to get local issuer certificate", Failure.CERTIFICATE_NOT_TRUSTED),
        ("no TLSA record fits the certificate", Failure.VALIDATION_FAILURE),
    ],
)
def test_failures_by_their_words(why: str, failure: Failure) -> None:
    assert failure_by_words(why) is failure


def report(*rows: Counted) -> DayReport:
    return DayReport("b.test", DAY, "example.test", "tls@example.test", rows)


ROWS = (
    Counted(applied(STS, "", None), None, "", "", 40),
    Counted(applied(STS, "", None), Failure.CERTIFICATE_EXPIRED, "mx.b.test", "192.0.2.1", 3),
    Counted(applied(STS, "", None), Failure.STARTTLS_NOT_SUPPORTED, "mx2.b.test", "2001:db8::1", 5),
    Counted(Applied(), None, "", "", 2),
)


def test_the_document() -> None:
    assert json.loads(build_document(report(*ROWS))) == {
        "organization-name": "example.test",
        "date-range": {"start-datetime": "2027-01-15T00:00:00Z", "end-datetime": "2027-01-15T23:59:59Z"},
        "contact-info": "tls@example.test",
        "report-id": "2027-01-15.b.test@example.test",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": list(STS_TEXT),
                    "policy-domain": "b.test",
                    "mx-host": ["mx.b.test", "*.b.test"],
                },
                "summary": {"total-successful-session-count": 40, "total-failure-session-count": 8},
                "failure-details": [
                    {
                        "result-type": "starttls-not-supported",
                        "receiving-mx-hostname": "mx2.b.test",
                        "receiving-ip": "2001:db8::1",
                        "failed-session-count": 5,
                    },
                    {
                        "result-type": "certificate-expired",
                        "receiving-mx-hostname": "mx.b.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 3,
                    },
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "b.test"},
                "summary": {"total-successful-session-count": 2, "total-failure-session-count": 0},
            },
        ],
    }


def test_the_document_is_bounded() -> None:
    many = [Counted(Applied(), Failure.VALIDATION_FAILURE, f"mx{n}.b.test", "", 1) for n in range(MAX_DETAILS + 5)]
    (policy,) = json.loads(build_document(report(*many)))["policies"]
    assert len(policy["failure-details"]) == MAX_DETAILS
    assert policy["summary"]["total-failure-session-count"] == MAX_DETAILS + 5
    kinds = [Counted(Applied(PolicyType.TLSA, (str(n),)), None, "", "", 1) for n in range(MAX_POLICIES + 5)]
    assert len(json.loads(build_document(report(*kinds)))["policies"]) == MAX_POLICIES


def test_the_message() -> None:
    content = build_message(report(*ROWS), "tls@example.test", "reports@b.test", int(NOW), "abc123")
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    message: Any = email.message_from_bytes(content, policy=email.policy.default)
    assert message["To"] == "reports@b.test"
    assert message["Subject"] == "Report Domain: b.test Submitter: example.test Report-ID: <2027-01-15.b.test@example.test>"
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("b.test", "example.test")
    assert message["TLS-Required"] == "No"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    words, attached = message.iter_parts()
    assert words.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == f"example.test!b.test!{DAY * 86400}!{DAY * 86400 + 86399}.json.gz"
    assert gzip.decompress(attached.get_content()) == build_document(report(*ROWS))


# --- the book ---

GOOD = Seen("b.test", applied(STS, "", None))
BAD = Seen("b.test", applied(STS, "", None), Failure.CERTIFICATE_EXPIRED, "mx.b.test", "192.0.2.1")
RNG = random.Random(1)


def test_counts_add_up_over_restarts_and_workers(tmp_path: Path) -> None:
    path = tmp_path / "smtp_out" / "book.sqlite"
    for _ in range(3):
        assert Book(path).add(DAY, {GOOD: 2, BAD: 1}) == 0
    book = Book(path)
    book.close_days(DAY, NOW, 0, RNG)
    assert book.take(NOW, 60) is None  # the day is not over
    book.close_days(DAY + 1, NOW, 0, RNG)
    found = book.take(NOW, 60)
    assert found is not None
    assert (found.domain, found.day) == ("b.test", DAY)
    assert {(row.failure, row.host, row.sessions) for row in found.rows} == {
        (None, "", 6),
        (Failure.CERTIFICATE_EXPIRED, "mx.b.test", 3),
    }
    assert {row.policy for row in found.rows} == {GOOD.policy}


def test_a_day_is_one_workers_and_comes_again_until_it_is_dropped(tmp_path: Path) -> None:
    one, other = Book(tmp_path / "b"), Book(tmp_path / "b")
    one.add(DAY, {GOOD: 1})
    other.close_days(DAY + 1, NOW, 0, RNG)
    one.close_days(DAY + 1, NOW + 1, 0, RNG)
    assert one.take(NOW, 60) is not None
    assert other.take(NOW, 60) is None
    assert other.take(NOW + 60, 60) is not None
    one.tell("b.test", DAY, "a@b.test")
    again = one.take(NOW + 120, 60)
    assert again is not None
    assert again.told == {"a@b.test"}
    one.drop("b.test", DAY)
    one.close_days(DAY + 1, NOW + 120, 0, RNG)
    assert one.take(NOW + 1000, 60) is None


def test_reports_are_spread_and_old_days_forgotten(tmp_path: Path) -> None:
    book = Book(tmp_path / "b")
    for number in range(20):
        book.add(DAY, {Seen(f"{number}.test", Applied()): 1})
    book.close_days(DAY + 1, NOW, 1000, RNG)
    moments = [moment for moment in range(0, 1001, 10) if book.take(NOW + moment, 10_000)]
    assert len(moments) > 10
    book.close_days(DAY + KEPT_DAYS + 1, NOW + 20_000, 0, RNG)
    assert book.take(NOW + 30_000, 1) is None


def test_the_book_is_bounded_and_a_broken_one_begun_anew(tmp_path: Path) -> None:
    book = Book(tmp_path / "b", rows=2)
    counts = {Seen(f"{number}.test", Applied()): 1 for number in range(5)}
    assert book.add(DAY, counts) == 3
    assert book.add(DAY, counts) == 3
    (tmp_path / "b").write_bytes(b"this is no database, whatever its name says" * 100)
    assert book.add(DAY, {GOOD: 1}) == 0
    (tmp_path / "c").mkdir()
    with pytest.raises(OSError, match="unable to open"):
        Book(tmp_path / "c").add(DAY, {GOOD: 1})


# --- the counter ---


def test_what_is_noted_is_written_at_the_latest_at_the_end(tmp_path: Path) -> None:
    book = Book(tmp_path / "b")
    lines: list[str] = []
    counter = SessionCounter(book, Logger("smtp_out", Level.DEBUG, True, lines.append), lambda: NOW)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(counter.run)
            await trio.testing.wait_all_tasks_blocked()
            TRACE.set(new_trace())
            counter.note(GOOD)
            counter.note(GOOD)
            # a report's own delivery is nobody's business
            TRACE.set(TRACE_PREFIX + "1")
            counter.note(GOOD)
            nursery.cancel_scope.cancel()

    trio.run(main)
    book.close_days(DAY + 1, NOW, 0, RNG)
    found = book.take(NOW, 1)
    assert found is not None
    assert [row.sessions for row in found.rows] == [2]
    assert counter.lost == 0


def test_the_recorder_is_bounded_and_outlives_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    lines: list[str] = []
    counter = SessionCounter(Book(tmp_path / "b"), Logger("smtp_out", Level.DEBUG, True, lines.append), lambda: NOW)
    for number in range(MAX_WAITING + 7):
        counter.note(Seen(f"{number}.test", Applied()))
    assert counter.lost == 7
    trio.run(counter.write)
    assert counter.lost == MAX_WAITING + 7
    assert "cannot be written" in lines[0]
