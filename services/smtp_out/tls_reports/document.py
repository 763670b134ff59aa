"""A domain's report for one day as JSON (RFC 8460 §4). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from services.smtp_out.tls_reports.seen import DAY_SECONDS, Applied, Failure

MAX_POLICIES = 10  # of one domain and day
MAX_DETAILS = 500  # of one policy: what failed most often


@attrs.frozen
class Counted:
    """How many sessions went alike."""

    policy: Applied
    failure: Failure | None
    host: str
    address: str
    sessions: int


@attrs.frozen
class DayReport:
    """What is told. `day`: days of UTC since 1970; `submitter`: our domain; `contact`: an address there."""

    domain: str
    day: int
    submitter: str
    contact: str
    rows: tuple[Counted, ...]

    @property
    def report_id(self) -> str:
        """The same for the same day, whoever sends it and however often."""
        return f"{_date(self.day)}.{self.domain}@{self.submitter}"

    @property
    def begin(self) -> int:
        """Seconds since 1970."""
        return self.day * DAY_SECONDS

    @property
    def end(self) -> int:
        """Its last second."""
        return self.begin + DAY_SECONDS - 1


def build_document(report: DayReport) -> bytes:
    """The JSON, in ASCII."""
    policies: dict[Applied, list[Counted]] = {}
    for row in report.rows:
        policies.setdefault(row.policy, []).append(row)
    document = {
        "organization-name": report.submitter,
        "date-range": {"start-datetime": _moment(report.begin), "end-datetime": _moment(report.end)},
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [_policy(report.domain, policy, rows) for policy, rows in list(policies.items())[:MAX_POLICIES]],
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _policy(domain: str, policy: Applied, rows: Sequence[Counted]) -> dict[str, Any]:
    told: dict[str, Any] = {"policy-type": policy.type.value}
    if policy.strings:
        told["policy-string"] = list(policy.strings)
    told["policy-domain"] = domain
    if policy.hosts:
        told["mx-host"] = list(policy.hosts)
    failed = sorted((row for row in rows if row.failure is not None), key=lambda row: -row.sessions)
    entry: dict[str, Any] = {
        "policy": told,
        "summary": {
            "total-successful-session-count": sum(row.sessions for row in rows if row.failure is None),
            "total-failure-session-count": sum(row.sessions for row in failed),
        },
    }
    if failed:
        entry["failure-details"] = [_detail(row) for row in failed[:MAX_DETAILS]]
    return entry


def _detail(row: Counted) -> dict[str, Any]:
    detail: dict[str, Any] = {"result-type": row.failure.value if row.failure else ""}
    if row.host:
        detail["receiving-mx-hostname"] = row.host
    if row.address:
        detail["receiving-ip"] = row.address
    detail["failed-session-count"] = row.sessions
    return detail


def _moment(seconds: int) -> str:
    # RFC 8460 §4.4: RFC 3339 §5.6
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_SECONDS, UTC).strftime("%Y-%m-%d")
