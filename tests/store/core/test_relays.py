"""What a relay and a rule may be; how a day's cap is counted."""

import attrs
import pytest

from services.store.domain.relays import InvalidRelayError, check_config, check_name, granted, normal_rule
from shared.contract.relay_types import RelayConfig, RelayRule, RelayTls

CONFIG = RelayConfig("smtp.provider.test", 587, username="me")


@pytest.mark.parametrize("name", ["a", "provider", "mail-2", "smtp.b.test", "9"])
def test_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "a" * 33, "direct", "rules", "settings", "ipv4", "ü", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidRelayError):
        check_name(name)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        attrs.evolve(CONFIG, host="192.0.2.1"),
        attrs.evolve(CONFIG, host="2001:db8::1", port=465, tls=RelayTls.IMPLICIT),
        attrs.evolve(CONFIG, host="127.0.0.1", tls=RelayTls.NONE),
        attrs.evolve(CONFIG, host="LOCALHOST", tls=RelayTls.NONE),
        attrs.evolve(CONFIG, daily_cap=500, fallback=True),
    ],
)
def test_relays(config: RelayConfig) -> None:
    check_config(config, "secret")
    check_config(attrs.evolve(config, username=""), "")


@pytest.mark.parametrize(
    ("change", "password"),
    [
        ({"host": ""}, "secret"),
        ({"host": "a b"}, "secret"),
        ({"host": "-a"}, "secret"),
        ({"host": "a" * 256}, "secret"),
        ({"port": 0}, "secret"),
        ({"port": 65536}, "secret"),
        ({"tls": RelayTls.NONE}, "secret"),
        ({"daily_cap": -1}, "secret"),
        ({"daily_cap": 10**9}, "secret"),
        ({"username": "x" * 321}, "secret"),
        ({}, "secret" * 200),
        ({}, "secret\n"),
        ({"username": "a\0"}, "secret"),
        ({}, ""),
        ({"username": ""}, "secret"),
    ],
)
def test_relays_that_are_none(change: dict[str, object], password: str) -> None:
    with pytest.raises(InvalidRelayError) as caught:
        check_config(attrs.evolve(CONFIG, **change), password)
    assert "secret" not in str(caught.value)


def test_rules_have_domains_as_they_are_compared() -> None:
    assert normal_rule(RelayRule("BÜCHER.test.", "", "a")) == RelayRule("xn--bcher-kva.test", "", "a")
    with pytest.raises(InvalidRelayError):
        normal_rule(RelayRule("", "a b", "a"))


@pytest.mark.parametrize(
    ("cap", "sent", "wanted", "count"), [(0, 9, 5, 5), (10, 0, 5, 5), (10, 8, 5, 2), (10, 10, 5, 0), (10, 12, 5, 0)]
)
def test_a_cap(cap: int, sent: int, wanted: int, count: int) -> None:
    assert granted(cap, sent, wanted) == count
