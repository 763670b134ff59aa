"""A report as mail (RFC 8460 §5.3): multipart/report with words for people and the compressed JSON. Pure."""

from __future__ import annotations

import base64
import gzip

from services.smtp_out.tls_reports.document import DayReport, build_document
from shared.mail.date import format_date

MEDIA_TYPE = "application/tlsrpt+gzip"  # RFC 8460 §6.4
_LINE_CHARACTERS = 76


def pack_document(report: DayReport) -> bytes:
    """The JSON, compressed."""
    # the file's time is left out: the same report is the same octets
    return gzip.compress(build_document(report), mtime=0)


def build_message(report: DayReport, sender: str, recipient: str, now: int, unique: str) -> bytes:
    """The message, unsigned. `unique` makes Message-ID and boundary: letters and digits, at most 40."""
    boundary = f"=_{unique}"
    packed = base64.b64encode(pack_document(report)).decode("ascii")
    attachment = [packed[at : at + _LINE_CHARACTERS] for at in range(0, len(packed), _LINE_CHARACTERS)]
    # RFC 8460 §5.1
    name = f"{report.submitter}!{report.domain}!{report.begin}!{report.end}.json.gz"
    lines = [
        f"From: <{sender}>",
        f"To: <{recipient}>",
        # RFC 8460 §5.3: folded, as its parts may be long
        f"Subject: Report Domain: {report.domain}",
        f" Submitter: {report.submitter}",
        f" Report-ID: <{report.report_id}>",
        f"Date: {format_date(now)}",
        f"Message-ID: <{unique}.tlsrpt@{report.submitter}>",
        f"TLS-Report-Domain: {report.domain}",
        f"TLS-Report-Submitter: {report.submitter}",
        # RFC 8689 §5, RFC 8460 §3: the report is to arrive where TLS does not work
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt"; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is what {report.submitter} saw of TLS with the mail servers of",
        f"{report.domain} on one day, for machines to read (RFC 8460).",
        f"Questions: {report.contact}",
        "",
        f"--{boundary}",
        f"Content-Type: {MEDIA_TYPE}",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{name}"',
        "",
        *attachment,
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")
