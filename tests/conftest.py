"""What every test folder shares: the logs of the child processes in the report of a failed test."""

from collections.abc import Generator

import pytest

from shared.testing.process import report_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last log lines of every service and peer that runs while a test fails."""
    report = yield
    if report.failed:
        report.sections.extend(report_logs())
    return report
