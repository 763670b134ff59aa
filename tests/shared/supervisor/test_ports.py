"""A port in use is named with its service before anything starts."""

import socket

import attrs
import pytest

from shared.config.load import load_settings
from shared.config.schema import Settings
from shared.supervisor.ports import PortUnavailable, check_ports, wanted_ports


def settings(**ports: str) -> Settings:
    """All ports 0 but those named."""
    zero = {
        **dict.fromkeys(("SMTP_IN__PORT", "SMTP_IN__SUBMISSION_PORT", "SMTP_IN__SUBMISSIONS_PORT"), "0"),
        **dict.fromkeys(("IMAP__PORT", "IMAP__TLS_PORT", "POP3__PORT", "POP3__TLS_PORT"), "0"),
        **{f"OBSERVE__{name}_PORT": "0" for name in ("STORE", "SMTP_IN", "SMTP_OUT", "IMAP", "POP3")},
        "SERVER__LISTEN": "127.0.0.1",
    }
    return load_settings(None, {f"PILLARBOX_{key}": value for key, value in {**zero, **ports}.items()})


def test_names_port_and_service() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable) as refused:
            check_ports(settings(IMAP__TLS_PORT=str(port)))
    assert str(refused.value) == (
        f"port {port} (IMAP over TLS of imap, 127.0.0.1:{port}) is in use by another program: stop it, or choose --port-offset"
    )
    check_ports(settings(IMAP__TLS_PORT=str(port)))


def test_ports_above_the_last_are_refused() -> None:
    with pytest.raises(PortUnavailable, match="above 65535"):
        check_ports(attrs.evolve(settings(POP3__PORT="2000"), port_offset=64000))


def test_every_port_of_the_settings_is_looked_at() -> None:
    wanted = wanted_ports(attrs.evolve(load_settings(None, {}), port_offset=10000))
    mail = {(entry.service, entry.port) for entry in wanted if entry.purpose != "health"}
    assert mail == {
        *(("smtp_in", port) for port in (10025, 10465, 10587)),
        *(("imap", port) for port in (10143, 10993)),
        *(("pop3", port) for port in (10110, 10995)),
    }
    assert {entry.host for entry in wanted if entry.service == "imap" and entry.purpose != "health"} == {"0.0.0.0", "::"}
    assert len([entry for entry in wanted if entry.purpose == "health"]) == 5
