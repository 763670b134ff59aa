"""TLS reports of others: read, bounded, never trusted."""

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.tls_report import (
    DETAILS,
    OCTETS,
    POLICIES,
    FailureDetail,
    ReportedPolicy,
    TlsReport,
    find_reports,
    parse_report,
)

POLICY: dict[str, Any] = {
    "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "B.test", "mx-host": ["mx.b.test"]},
    "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
    "failure-details": [
        {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8::1", "receiving-mx-hostname": "mx1.b.test",
         "failed-session-count": 100},
        {"result-type": "validation-failure", "failed-session-count": 203, "failure-reason-code": "X509_V_ERR_PROXY"},
    ],
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
    "contact-info": "sts@company-x.test",
    "report-id": "5065427c",
    "policies": [POLICY],
}
REPORT = TlsReport(
    "Company-X", "5065427c", "2026-04-01T00:00:00Z", "2026-04-01T23:59:59Z",
    (ReportedPolicy("b.test", "sts", 5326, 303, (
        FailureDetail("certificate-expired", "mx1.b.test", 100), FailureDetail("validation-failure", "", 203),
    )),),
)  # fmt: skip


def octets(**changes: Any) -> bytes:
    return json.dumps({**DOCUMENT, **changes}).encode()


def message(subtype: str, body: bytes, encoding: str = "base64") -> bytes:
    shown = base64.encodebytes(body).replace(b"\n", b"\r\n") if encoding == "base64" else body
    return (
        b"From: x@y.test\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type="tlsrpt"; boundary=b\r\n\r\n'
        b"--b\r\n\r\nwords\r\n--b\r\nContent-Type: application/" + subtype.encode() + b"\r\n"
        b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + shown + b"\r\n--b--\r\n"
    )


def test_both_forms_are_read() -> None:
    assert find_reports(message("tlsrpt+gzip", gzip.compress(octets()))) == [REPORT]
    assert find_reports(message("tlsrpt+json", octets(), "7bit")) == [REPORT]
    single = b"Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert find_reports(single + base64.encodebytes(gzip.compress(octets()))) == [REPORT]


@pytest.mark.parametrize(
    "content",
    [
        message("json", octets()),
        message("tlsrpt+gzip", octets()),
        message("tlsrpt+gzip", gzip.compress(octets())[:-9]),
        message("tlsrpt+json", octets(), "x-unknown"),
        message("tlsrpt+gzip", gzip.compress(b" " * (OCTETS + 1) + octets())),
        b"Subject: hello\r\n\r\nworld\r\n",
        b"",
    ],
)
def test_what_is_no_report(content: bytes) -> None:
    assert find_reports(content) == []


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"[" * 100_000, b"1", octets(policies=[]), octets(policies={}), octets(**{"report-id": 5})]
)
def test_json_that_is_no_report(data: bytes) -> None:
    assert parse_report(data) is None


def test_wrong_types_are_left_out() -> None:
    wrong = {"policy": [], "summary": {"total-successful-session-count": -5, "total-failure-session-count": True}, "failure-details": 7}
    found = parse_report(octets(**{"policies": [wrong, "x", None], "date-range": None, "organization-name": None}))
    assert found == TlsReport("", "5065427c", "", "", (ReportedPolicy("", "", 0, 0, ()),))


def test_reports_are_bounded() -> None:
    many = {**POLICY, "failure-details": POLICY["failure-details"] * DETAILS}
    found = parse_report(octets(**{"policies": [many, *[POLICY] * POLICIES], "organization-name": "x" * 1000}))
    assert found is not None
    assert (len(found.policies), len(found.policies[0].details), len(found.organization)) == (POLICIES, DETAILS, 255)
    assert parse_report(octets() + b" " * OCTETS) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["policies", "policy", "summary", "report-id", "failure-details", "date-range"]), inner),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_report_or_none(document: Any) -> None:
    parse_report(json.dumps(document).encode())
