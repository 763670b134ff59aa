"""From the settings to the worker's options. What can fail: `ConfigureError`, one line for the operator."""

from __future__ import annotations

import re
from pathlib import Path

from services.smtp_out.dane.finder import DaneFinder
from services.smtp_out.mta_sts.finder import StsOptions
from services.smtp_out.options import Options, SmartHost, tls_policy
from services.smtp_out.pace import Rates
from services.smtp_out.retry import Schedule
from services.smtp_out.tls_reports.reporter import ReportOptions
from shared.config.load import server_hostname
from shared.config.schema import Settings
from shared.config.smtp import Egress, SmtpOutSettings
from shared.dns.configure import make_resolver
from shared.dns.resolver import Resolver
from shared.net.tls import CertificateError, verifying_client_context

_REPORT_SECONDS = 2.0  # of the drain time, kept for the last reports
_MAX_PASSWORD_OCTETS = 1024
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")


class ConfigureError(Exception):
    """The settings name something that cannot be used."""


def make_options(settings: Settings) -> Options:
    """The options; reads the smart host's password and checks its authorities. Raises ConfigureError."""
    out = settings.smtp_out
    ca_file = _ca_file(out)
    return Options(
        hostname=_hostname(settings),
        smart_host=_smart_host(out, ca_file),
        learns=out.egress is Egress.AUTO,
        mx_port=out.mx_port,
        allow_private=out.allow_private,
        ca_file=ca_file,
        schedule=Schedule(first_seconds=out.first_retry_seconds, longest_seconds=out.last_retry_seconds),
        connect_timeout_seconds=out.connect_seconds,
        command_seconds=out.command_seconds,
        end_seconds=out.data_seconds,
        chunking=out.chunking,
        idle_seconds=out.idle_seconds,
        lease_seconds=out.lease_seconds,
        batch=out.batch,
        max_leased=out.held,
        max_sessions=out.connections,
        max_opening=2 * out.connections,
        max_per_destination=out.connections_per_destination,
        destination_sessions={one.domain: one.connections for one in out.destinations if one.connections is not None},
        rates=_rates(out),
        language=settings.server.language,
        dialogues=out.dialogues,
        grace_seconds=max(0.0, settings.server.drain_seconds - _REPORT_SECONDS),
    )


def _rates(out: SmtpOutSettings) -> Rates:
    """Each process takes its part."""
    return Rates(
        per_destination=out.rate_per_destination / out.workers,
        per_account=out.rate_per_account / out.workers,
        destinations={one.domain: one.per_minute / out.workers for one in out.destinations if one.per_minute is not None},
    )


def make_sts_options(settings: Settings, folder: Path) -> StsOptions | None:
    """What MTA-STS needs, its file in `folder`; None where it is off."""
    out = settings.smtp_out
    if not out.mta_sts:
        return None
    return StsOptions(
        shelf=folder / "mta-sts.json",
        port=out.mta_sts_port,
        seconds=out.mta_sts_seconds,
        entries=out.mta_sts_policies,
        allow_private=out.allow_private,
    )


def make_dane(settings: Settings, resolver: Resolver) -> DaneFinder | None:
    """DANE; None where nobody vouches for what the resolver says of DNSSEC, or a smart host does the sending."""
    # RFC 4035 §4.9.3: AD is only as good as the resolver and the way to it, of which the owner knows
    if not settings.dns.validating or settings.smtp_out.smart_host:
        return None
    return DaneFinder(resolver, settings.smtp_out.mx_port)


def make_report_options(settings: Settings) -> ReportOptions | None:
    """TLS reports; None where nobody is named to answer for them, or a smart host does the sending. Raises ConfigureError."""
    out = settings.smtp_out
    if not out.tls_reports_from or out.smart_host:
        return None
    if not _ADDRESS.fullmatch(out.tls_reports_from):
        raise ConfigureError(f"smtp_out.tls_reports_from: {out.tls_reports_from}: must be an address as in reports@example.org")
    return ReportOptions(out.tls_reports_from, out.tls_reports_spread_seconds, out.allow_private)


def resolver_of(settings: Settings) -> Resolver:
    """The resolver of the settings' servers. Raises ConfigureError (names: nobody could resolve them)."""
    try:
        return make_resolver(settings.dns)
    except ValueError as error:
        raise ConfigureError(str(error)) from None


def _hostname(settings: Settings) -> str:
    name = server_hostname(settings)
    # a machine's odd name must not break every session
    return name if _HOST_NAME.fullmatch(name) else "localhost"


def _smart_host(out: SmtpOutSettings, ca_file: Path | None) -> SmartHost | None:
    if not out.smart_host:
        return None
    host, _, port_text = out.smart_host.rpartition(":")
    port = int(port_text)
    tls = tls_policy(out.smart_host_tls.value, port)
    return SmartHost(host.strip("[]"), port, tls, out.smart_host_username, _password(out), ca_file)


def _ca_file(out: SmtpOutSettings) -> Path | None:
    ca_file = Path(out.ca_file) if out.ca_file else None
    try:
        verifying_client_context(ca_file)
    except CertificateError as error:
        raise ConfigureError(f"smtp_out.ca_file: {error}") from None
    return ca_file


def _password(out: SmtpOutSettings) -> str:
    if not out.smart_host_username:
        return ""
    try:
        with open(out.smart_host_password_file, encoding="utf-8") as file:
            return file.read(_MAX_PASSWORD_OCTETS).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigureError(f"smtp_out.smart_host_password_file {out.smart_host_password_file}: {reason}") from None
