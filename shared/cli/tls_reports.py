"""`pillarbox domain tls-reports NAME --account ADDRESS`: what others saw of TLS with a domain's servers, from the reports they mailed."""

import time
from collections.abc import Sequence
from typing import Any, Final

import attrs

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, CommandFailed, Invocation
from shared.cli.nouns import Word
from shared.cli.output import print_json, print_table, printable
from shared.cli.store_access import StoreClient, ask
from shared.mail.tls_report import TlsReport, find_reports
from shared.moving.account import Account

WORDS: Final[tuple[Word, ...]] = (
    ("name", {"metavar": "NAME"}),
    ("--account", {"metavar": "ADDRESS", "required": True, "help": "who gets the reports"}),
    ("--mailbox", {"metavar": "MAILBOX", "default": "INBOX", "help": "where they are (INBOX)"}),
    ("--days", {"metavar": "N", "type": int, "default": 30, "help": "how far back (30)"}),
)
MESSAGE_OCTETS: Final = 4 * 1024 * 1024
"""A larger message is no report."""
_DAY_SECONDS: Final = 86_400


@attrs.define
class Seen:
    """What one reporter told."""

    reports: int = 0
    last: str = ""
    successes: int = 0
    failures: int = 0


@attrs.define
class Summary:
    """All reports on one domain."""

    domain: str
    senders: dict[str, Seen] = attrs.field(factory=dict)
    failures: dict[tuple[str, str, str], int] = attrs.field(factory=dict)
    """By result, host and reporter."""


def summarise(domain: str, reports: Sequence[TlsReport]) -> Summary:
    """What several copies of a report say counts once."""
    summary = Summary(domain)
    for report in {(one.organization, one.report_id): one for one in reports}.values():
        policies = [policy for policy in report.policies if policy.domain == domain]
        if not policies:
            continue
        seen = summary.senders.setdefault(report.organization, Seen())
        seen.reports += 1
        seen.last = max(seen.last, report.end[:10])
        for policy in policies:
            seen.successes += policy.successes
            seen.failures += policy.failures
            for detail in policy.details:
                key = (detail.result, detail.host, report.organization)
                summary.failures[key] = summary.failures.get(key, 0) + detail.sessions
    return summary


def as_json(summary: Summary) -> dict[str, Any]:
    """Stable fields."""
    failures = sorted(summary.failures.items(), key=lambda row: (-row[1], row[0]))
    return {
        "domain": summary.domain,
        "reporters": [
            {"name": name, "reports": s.reports, "last_day": s.last, "successes": s.successes, "failures": s.failures}
            for name, s in sorted(summary.senders.items())
        ],
        "failures": [
            {"result": result, "host": host, "reporter": reporter, "sessions": sessions}
            for (result, host, reporter), sessions in failures
        ],
    }


def show_reports(invocation: Invocation) -> int:
    """One line for each reporter, then what failed."""
    options = invocation.options
    domain, address = options.name.lower(), check_address(options.account)
    since = time.time() - options.days * _DAY_SECONDS

    async def read(store: StoreClient) -> list[TlsReport] | None:
        account = await Account.enter(store, address)
        state = await account.state(options.mailbox)
        if state is None:
            return None
        stored, _ = await account.stored(state)
        recent = [one for one in stored if one.internal_date >= since and one.octets <= MESSAGE_OCTETS]
        return [report async for _, content in account.contents(state.mailbox_id, recent) for report in find_reports(content)]

    reports = ask(invocation, read, f"account {address}")
    if reports is None:
        raise CommandFailed(f"account {address}: there is no mailbox {options.mailbox}")
    summary = summarise(domain, reports)
    if invocation.json:
        print_json(as_json(summary))
    elif summary.senders:
        _print(summary)
    else:
        print(f"no TLS reports on {domain}; to ask for them publish:")
        print(f'_smtp._tls.{domain}. IN TXT "v=TLSRPTv1; rua=mailto:{address}"')
    return EXIT_OK


def _print(summary: Summary) -> None:
    told = as_json(summary)
    print_table(
        ("REPORTER", "REPORTS", "LAST DAY", "SESSIONS", "FAILED"),
        [
            (printable(one["name"]), one["reports"], printable(one["last_day"]), one["successes"] + one["failures"], one["failures"])
            for one in told["reporters"]
        ],
    )
    if told["failures"]:
        print()
        print_table(
            ("FAILURE", "HOST", "REPORTER", "SESSIONS"),
            [
                (printable(one["result"]), printable(one["host"]), printable(one["reporter"]), one["sessions"])
                for one in told["failures"]
            ],
        )
