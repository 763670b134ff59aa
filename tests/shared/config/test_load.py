"""Settings from file and environment, and the errors that a person can act on."""

from pathlib import Path

import attrs
import pytest

from shared.config.keys import DOC
from shared.config.load import SettingsError, load_settings
from shared.config.schema import SECTIONS, LogLevel
from shared.config.smtp import TlsRequirement


def load(tmp_path: Path, toml: str = "", **environ: str) -> object:
    file = tmp_path / "pillarbox.toml"
    file.write_text(toml)
    return load_settings(str(file), {"PILLARBOX_DATA": str(tmp_path), **environ})


def test_every_key_has_a_default_and_a_line_of_documentation() -> None:
    for name, cls in SECTIONS.items():
        cls()
        for field in attrs.fields(cls):
            assert field.metadata[DOC], f"{name}.{field.name}"


def test_the_file_is_overridden_by_the_environment(tmp_path: Path) -> None:
    settings = load_settings(None, {"PILLARBOX_DATA": str(tmp_path)})
    assert settings.imap.port == 143
    (tmp_path / "pillarbox.toml").write_text('[imap]\nport = 1143\n[log]\nlevel = "debug"\n')
    settings = load_settings(None, {"PILLARBOX_DATA": str(tmp_path), "PILLARBOX_IMAP__PORT": "0"})
    assert (settings.imap.port, settings.log.level) == (0, LogLevel.DEBUG)


def test_lists_and_truths_in_variables(tmp_path: Path) -> None:
    environ = {
        "PILLARBOX_DATA": str(tmp_path),
        "PILLARBOX_AUTH__PLAINTEXT_NETWORKS": "127.0.0.0/8, ::1/128",
        "PILLARBOX_SMTP_OUT__ALLOW_PRIVATE": "yes",
        "PILLARBOX_DNS__RESOLVERS": "127.0.0.1:5353,[::1]:53",
        "PILLARBOX_PORT_OFFSET": "10000",
    }
    settings = load_settings(None, environ)
    assert settings.auth.plaintext_networks == ("127.0.0.0/8", "::1/128")
    assert settings.smtp_out.allow_private is True
    assert settings.listen_port(25) == 10025
    assert settings.listen_port(0) == 0
    assert settings.smtp_out.smart_host_tls is TlsRequirement.REQUIRED


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[imapp]\n", ["imapp", "did you mean imap?"]),
        ("[imap]\nprt = 1\n", ["prt", "did you mean port?"]),
        ("[imap]\nport = 70000\n", ["imap.port", "70000", "at most 65535"]),
        ('[imap]\nport = "x"\n', ["imap.port", "'x'", "a whole number"]),
        ("[imap]\nport = true\n", ["imap.port", "a whole number"]),
        ('[log]\nlevel = "loud"\n', ["log.level", "'loud'", "debug, info, warning, error"]),
        ('[auth]\nplaintext_networks = ["10.0.0.300"]\n', ["10.0.0.300", "192.168.1.0/24"]),
        ('[auth]\nplaintext_networks = "127.0.0.1"\n', ["a list of strings"]),
        ('[dns]\nresolvers = ["9.9.9.9"]\n', ["9.9.9.9", "host:port"]),
        ('[smtp_in]\ndns_blocklists = ["zen"]\n', ["smtp_in.dns_blocklists", "'zen'", "zone=127.0.0.2-11"]),
        ('[smtp_out]\nsmart_host = "relay.example"\n', ["smtp_out.smart_host", "host:port"]),
        ('[smtp_out]\nsmart_host = "relay.example:25"\nsmart_host_tls = "none"\n', ["loopback", "relay.example"]),
        ('[smtp_out]\nsmart_host_username = "me"\n', ["smart_host_password_file"]),
        ("[imap\n", ["not TOML"]),
        ("imap = 1\n", ["[imap]"]),
        ("[server]\nlisten = []\n", ["server.listen"]),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, toml: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, toml)
    for word in ["pillarbox.toml", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PILLARBOX_IMAP__PORT", "x"),
        ("PILLARBOX_IMAP__NOPE", "1"),
        ("PILLARBOX_NOPE__PORT", "1"),
        ("PILLARBOX_SMTP_OUT__ALLOW_PRIVATE", "perhaps"),
        ("PILLARBOX_PORT_OFFSET", "-1"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load(tmp_path, **{variable: value})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(str(tmp_path / "none.toml"), {})


def test_a_smart_host_on_loopback_may_do_without_tls(tmp_path: Path) -> None:
    load(tmp_path, '[smtp_out]\nsmart_host = "127.0.0.1:2525"\nsmart_host_tls = "none"\n')
