"""Words of `pillarbox import imap`."""

import argparse

import pytest

from shared.cli.importing_imap import _IMAP_PORTS, parse_choice, parse_rate, parse_server
from shared.cli.invocation import WrongUse
from shared.moving.imap.login import Login, Server, Tls


def test_servers():
    assert parse_server("old.example.org", Tls.IMPLICIT, _IMAP_PORTS, None) == Server("old.example.org", 993, Tls.IMPLICIT)
    assert parse_server("old.example.org:10143", Tls.STARTTLS, _IMAP_PORTS, None).port == 10143
    assert parse_server("[2001:db8::1]:1143", Tls.NONE, _IMAP_PORTS, None) == Server("2001:db8::1", 1143, Tls.NONE)
    for wrong in ("", "a:b", "a:0", "a:65536", "a b", "2001:db8::1", "[x]", ":993"):
        with pytest.raises(WrongUse):
            parse_server(wrong, Tls.IMPLICIT, _IMAP_PORTS, None)


def test_rates():
    assert [parse_rate(text) for text in ("0", "700", "500k", "2M")] == [0, 700, 500_000, 2_000_000]
    for wrong in ("", "fast", "1G", "-1", "1.5M"):
        with pytest.raises(WrongUse):
            parse_rate(wrong)


def test_names():
    options = argparse.Namespace(folder=["a*"], exclude=[], map=["x=y", "a=b=c"], keep_names=False)
    assert parse_choice(options).renamed == {"x": "y", "a": "b=c"}
    for wrong in ("x", "=y", "x="):
        with pytest.raises(WrongUse):
            parse_choice(argparse.Namespace(folder=[], exclude=[], map=[wrong], keep_names=False))


def test_passwords_are_not_shown():
    login = Login("you", "secret-word", "chief")
    assert "secret-word" not in repr(login)
    assert login.plain == b"you\0chief\0secret-word"
    assert Login("you", "secret-word").plain == b"\0you\0secret-word"
