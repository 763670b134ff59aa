"""`pillarbox domain tls-reports` as typed, against a real store."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.cli.tls_reports import summarise
from shared.contract.registry import Role
from shared.contract.types import Delivery, LocalRecipient
from shared.mail.index import build_index
from shared.mail.tls_report import FailureDetail, ReportedPolicy, TlsReport
from shared.observe.trace import new_trace
from shared.rpc.store_client import StoreClient
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack

ALICE = "alice@example.test"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def report_mail(organization: str, identity: str, good: int, bad: int) -> bytes:
    """A message with a report on example.test."""
    detail = {"result-type": "certificate-expired", "receiving-mx-hostname": "mx.example.test", "failed-session-count": bad}
    document = {
        "organization-name": organization,
        "report-id": identity,
        "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": "example.test"},
                "summary": {"total-successful-session-count": good, "total-failure-session-count": bad},
                "failure-details": [detail] if bad else [],
            }
        ],
    }
    return b"Content-Type: application/tlsrpt+json\r\n\r\n" + json.dumps(document).encode() + b"\r\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("cli") / "data", services=()) as one:
        one.add_account(ALICE)
        yield one


@pytest.fixture
def pillarbox(stack: Stack) -> Command:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir)}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-P", "-m", "shared.cli.main", "domain", "tls-reports", "Example.test", "--account", ALICE, *words]
        return subprocess.run(argv, capture_output=True, env=environ, timeout=40, check=False, text=True)

    return run


def deliver(stack: Stack, *contents: bytes) -> None:
    async def use(store: StoreClient) -> None:
        login = await store.auth.login(ALICE, PASSWORD, "127.0.0.1")
        for content in contents:
            source = await store.put_content(content)
            local = (LocalRecipient(login.account_id, ALICE),)
            await store.messages.deliver(Delivery(new_trace(), "", local, (), source, build_index(content)))

    stack.administer(use, Role.SMTP_IN)


def test_reports_are_summed_up(stack: Stack, pillarbox: Command) -> None:
    assert pillarbox().stdout.splitlines()[-1] == f'_smtp._tls.example.test. IN TXT "v=TLSRPTv1; rua=mailto:{ALICE}"'
    good, bad = report_mail("Big Mail", "1", 40, 0), report_mail("Small Mail\x1b[2J", "7", 1, 3)
    deliver(stack, good, b"Subject: hello\r\n\r\nworld\r\n", bad, bad, report_mail("Big Mail", "2", 2, 1))
    lines = pillarbox().stdout.splitlines()
    assert lines[0].split() == ["REPORTER", "REPORTS", "LAST", "DAY", "SESSIONS", "FAILED"]
    assert lines[1].split() == ["Big", "Mail", "2", "2026-04-01", "43", "1"]
    assert lines[2].split()[-2:] == ["4", "3"]
    assert lines[5].split()[:2] == ["certificate-expired", "mx.example.test"]
    assert "\x1b" not in "".join(lines)
    told: Any = json.loads(pillarbox("--json").stdout)
    assert told["reporters"][0] == {"name": "Big Mail", "reports": 2, "last_day": "2026-04-01", "successes": 42, "failures": 1}
    assert [row["sessions"] for row in told["failures"]] == [3, 1]


def test_where_there_are_none(pillarbox: Command) -> None:
    assert "no TLS reports" in pillarbox("--mailbox", "Junk").stdout
    missing = pillarbox("--mailbox", "Nowhere")
    assert (missing.returncode, missing.stderr) == (1, f"pillarbox: account {ALICE}: there is no mailbox Nowhere\n")


def test_other_domains_and_copies_do_not_count() -> None:
    def policy(domain: str) -> ReportedPolicy:
        return ReportedPolicy(domain, "sts", 1, 2, (FailureDetail("x", "mx", 2),))

    reports = [TlsReport("o", "1", "", "2026-01-01T", (policy("a.test"), policy("b.test")))] * 2
    summary = summarise("a.test", [*reports, TlsReport("p", "1", "", "", (policy("b.test"),))])
    assert list(summary.senders) == ["o"]
    assert (summary.senders["o"].successes, summary.failures) == (1, {("x", "mx", "o"): 2})
