"""From settings to options."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.smtp_out.configure import (
    ConfigureError,
    make_dane,
    make_options,
    make_report_options,
    make_sts_options,
    resolver_of,
)
from services.smtp_out.mta_sts.finder import StsOptions
from services.smtp_out.options import TlsPolicy
from services.smtp_out.tls_reports.reporter import ReportOptions
from shared.config.load import load_settings


def options(tmp_path: Path, **variables: str):  # type: ignore[no-untyped-def]  # the type is what it is about
    environ = {"PILLARBOX_DATA": str(tmp_path), **{f"PILLARBOX_{name}": value for name, value in variables.items()}}
    return make_options(load_settings(None, environ))


@pytest.mark.parametrize(
    ("smart_host", "tls", "policy"),
    [
        ("h.test:587", "required", TlsPolicy.REQUIRED),
        ("h.test:465", "required", TlsPolicy.IMPLICIT),
        ("h.test:2465", "implicit", TlsPolicy.IMPLICIT),
        ("127.0.0.1:25", "none", TlsPolicy.NONE),
        ("[::1]:25", "none", TlsPolicy.NONE),
    ],
)
def test_smart_host(tmp_path: Path, smart_host: str, tls: str, policy: TlsPolicy) -> None:
    smart = options(tmp_path, SMTP_OUT__SMART_HOST=smart_host, SMTP_OUT__SMART_HOST_TLS=tls).smart_host
    assert smart is not None
    assert smart.tls is policy
    assert smart.host == smart_host.rpartition(":")[0].strip("[]")


@pytest.mark.parametrize(("validating", "smart_host", "on"), [("true", "", True), ("false", "", False), ("true", "h.test:587", False)])
def test_the_ad_bit_is_trusted_only_where_the_settings_say_so(tmp_path: Path, validating: str, smart_host: str, on: bool) -> None:
    environ = {
        "PILLARBOX_DATA": str(tmp_path),
        "PILLARBOX_DNS__VALIDATING": validating,
        "PILLARBOX_DNS__RESOLVERS": "127.0.0.1:53",
        "PILLARBOX_SMTP_OUT__SMART_HOST": smart_host,
        "PILLARBOX_SMTP_OUT__MX_PORT": "2525",
    }
    settings = load_settings(None, environ)
    dane = make_dane(settings, resolver_of(settings))
    assert (dane is not None) == on
    assert dane is None or dane.port == 2525


def test_tls_reports_need_somebody_who_answers_for_them(tmp_path: Path) -> None:
    def made(address: str, smart_host: str = "") -> ReportOptions | None:
        environ = {
            "PILLARBOX_DATA": str(tmp_path),
            "PILLARBOX_SMTP_OUT__TLS_REPORTS_FROM": address,
            "PILLARBOX_SMTP_OUT__SMART_HOST": smart_host,
        }
        return make_report_options(load_settings(None, environ))

    assert made("") is None
    assert made("tls@b.test", "h.test:587") is None
    found = made("tls@B.test")
    assert found is not None
    assert (found.sender, found.domain) == ("tls@B.test", "b.test")
    for wrong in ("tls", "tls@b", "tls@b.test\r\nBcc: x@y.test", "<tls@b.test>"):
        with pytest.raises(ConfigureError, match=r"smtp_out\.tls_reports_from"):
            made(wrong)


def sts_options(tmp_path: Path, **variables: str):  # type: ignore[no-untyped-def]  # the type is what it is about
    environ = {"PILLARBOX_DATA": str(tmp_path), **{f"PILLARBOX_SMTP_OUT__{name}": text for name, text in variables.items()}}
    return make_sts_options(load_settings(None, environ), tmp_path / "smtp_out")


def test_mta_sts_is_on_unless_it_is_switched_off(tmp_path: Path) -> None:
    made = sts_options(tmp_path, MTA_STS_SECONDS="5", MTA_STS_POLICIES="7")
    assert made == StsOptions(tmp_path / "smtp_out" / "mta-sts.json", port=443, seconds=5, entries=7)
    assert sts_options(tmp_path, MTA_STS="false") is None
    # a rule may send some mail directly all the same
    assert sts_options(tmp_path, SMART_HOST="h.test:587") is not None


def test_password_is_read_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    made = options(
        tmp_path,
        SMTP_OUT__SMART_HOST="h.test:587",
        SMTP_OUT__SMART_HOST_USERNAME="me",
        SMTP_OUT__SMART_HOST_PASSWORD_FILE=str(tmp_path / "pw"),
    )
    assert made.smart_host is not None
    assert made.smart_host.password == "s3cret"
    assert "s3cret" not in repr(made)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigureError, match="ca_file"):
        options(tmp_path, SMTP_OUT__SMART_HOST="h.test:587", SMTP_OUT__CA_FILE=str(tmp_path / "none"))
    with pytest.raises(ConfigureError, match="password_file"):
        options(
            tmp_path,
            SMTP_OUT__SMART_HOST="h.test:587",
            SMTP_OUT__SMART_HOST_USERNAME="me",
            SMTP_OUT__SMART_HOST_PASSWORD_FILE=str(tmp_path / "none"),
        )


@pytest.mark.parametrize(("name", "hostname"), [("mail.a.test", "mail.a.test"), ("odd name", "localhost"), ("ü", "localhost")])
def test_hostname(tmp_path: Path, name: str, hostname: str) -> None:
    assert options(tmp_path, SERVER__HOSTNAME=name).hostname == hostname


def test_own_names_need_a_dot(tmp_path: Path) -> None:
    assert options(tmp_path, SERVER__HOSTNAME="NAS").own_names == frozenset()
    assert options(tmp_path, SERVER__HOSTNAME="Mail.A.test").own_names == {"mail.a.test"}


def test_resolvers(tmp_path: Path) -> None:
    environ = {"PILLARBOX_DATA": str(tmp_path), "PILLARBOX_DNS__RESOLVERS": "127.0.0.1:53,[::1]:5353"}
    assert resolver_of(load_settings(None, environ)).statistics()["cached"] == 0
    environ["PILLARBOX_DNS__RESOLVERS"] = "resolver.test:53"
    with pytest.raises(ConfigureError, match="IP address"):
        resolver_of(load_settings(None, environ))
