"""TLS reports that others sent us (RFC 8460 §4, §5.3), read out of the messages that brought them. Pure and total.

Laws
- A message without a report, or with one that is none, gives nothing; of a report what has the wrong type is left out.
- Bounded: PACKED_OCTETS as it comes, OCTETS unpacked, POLICIES and DETAILS of each; strings are cut.
- Nobody vouches for what a report says but the message that brought it.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from shared.mail.index import build_index, unpack_parts
from shared.mail.parts import Part
from shared.mail.transfer import make_decoder

PACKED_OCTETS: Final = 2 * 1024 * 1024
OCTETS: Final = 8 * 1024 * 1024
POLICIES: Final = 100
DETAILS: Final = 1000
_STRING: Final = 255
_COUNT: Final = 2**53
_GZIP: Final = 16 + zlib.MAX_WBITS


@attrs.frozen
class FailureDetail:
    """Sessions that failed alike. `result`: RFC 8460 §4.3, or whatever else the reporter says."""

    result: str
    host: str
    sessions: int


@attrs.frozen
class ReportedPolicy:
    """What was seen of one domain under one policy."""

    domain: str
    type: str
    successes: int
    failures: int
    details: tuple[FailureDetail, ...]


@attrs.frozen
class TlsReport:
    """`begin` and `end` as they were written (RFC 3339)."""

    organization: str
    report_id: str
    begin: str
    end: str
    policies: tuple[ReportedPolicy, ...]


def find_reports(content: bytes) -> list[TlsReport]:
    """The reports in a message."""
    found = []
    for part in unpack_parts(build_index(content).parts):
        if part.media == "application" and part.subtype in ("tlsrpt+gzip", "tlsrpt+json") and part.octets <= 2 * PACKED_OCTETS:
            report = _report_of(content, part)
            if report is not None:
                found.append(report)
    return found


def _report_of(content: bytes, part: Part) -> TlsReport | None:
    decoder = make_decoder(part.encoding)
    if decoder is None:
        return None
    data = decoder.feed(content[part.body_start : part.body_end]) + decoder.finish()
    if part.subtype == "tlsrpt+json":
        return parse_report(data)
    try:
        unpacking = zlib.decompressobj(_GZIP)
        plain = unpacking.decompress(data, OCTETS)
    except zlib.error:
        return None
    return parse_report(plain) if unpacking.eof else None


def parse_report(data: bytes) -> TlsReport | None:
    """The JSON; None where it is no report."""
    if len(data) > OCTETS:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    dates = _object(found, "date-range")
    policies = tuple(_policies(found))
    report = TlsReport(
        _text(found, "organization-name"),
        _text(found, "report-id"),
        _text(dates, "start-datetime"),
        _text(dates, "end-datetime"),
        policies,
    )
    return report if report.report_id and policies else None


def _policies(found: Mapping[str, Any]) -> Iterator[ReportedPolicy]:
    for one in _objects(found, "policies", POLICIES):
        policy, summary = _object(one, "policy"), _object(one, "summary")
        details = (
            FailureDetail(
                _text(each, "result-type"), _text(each, "receiving-mx-hostname"), _count(each, "failed-session-count")
            )
            for each in _objects(one, "failure-details", DETAILS)
        )
        yield ReportedPolicy(
            _text(policy, "policy-domain").lower(),
            _text(policy, "policy-type"),
            _count(summary, "total-successful-session-count"),
            _count(summary, "total-failure-session-count"),
            tuple(details),
        )


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _objects(found: Mapping[str, Any], name: str, most: int) -> list[Mapping[str, Any]]:
    value = found.get(name)
    return [one for one in value[:most] if isinstance(one, dict)] if isinstance(value, list) else []


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value[:_STRING] if isinstance(value, str) else ""


def _count(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    return value if type(value) is int and 0 <= value <= _COUNT else 0
