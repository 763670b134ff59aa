"""What every test folder shares: the logs of the child processes in the report of a failed test; how hypothesis runs.

Examples have no deadline and may be drawn slowly: the suite must pass on a machine whose two cores are busy, and what must
be fast is measured in tests/bench, never timed here. Examples are not kept between runs.
"""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from shared.testing.process import report_logs

settings.register_profile("pillarbox", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pillarbox")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last log lines of every service and peer that runs while a test fails."""
    report = yield
    if report.failed:
        report.sections.extend(report_logs())
    return report
