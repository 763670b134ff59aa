"""How a DNS list is written."""

import ipaddress

import pytest

from shared.config.dns_list import parse_dns_list


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("Zen.Example.NET", "zen.example.net", "127.0.0.2", "127.255.255.255"),
        ("bl.example.net.", "bl.example.net", "127.0.0.2", "127.255.255.255"),
        ("key_1.bl.example.net=127.0.0.4", "key_1.bl.example.net", "127.0.0.4", "127.0.0.4"),
        ("bl.example.net=127.0.0.2-11", "bl.example.net", "127.0.0.2", "127.0.0.11"),
    ],
)
def test_good_ones(text: str, zone: str, first: str, last: str) -> None:
    parsed = parse_dns_list(text)
    assert parsed.zone == zone
    assert ipaddress.IPv4Address(parsed.first) == ipaddress.IPv4Address(first)
    assert ipaddress.IPv4Address(parsed.last) == ipaddress.IPv4Address(last)


@pytest.mark.parametrize(
    "text",
    [
        *["", "localhost", "bl..net", "-bl.net", "bl.example.net=", "bl.example.net=10.0.0.1"],
        *["bl.example.net=127.0.0.11-2", "bl.example.net=127.0.0.2-256", "bl.example.net=127.0.0.300"],
        *["bl.example.net=127.0.0.2-", "bl example.net", "a." * 100 + "net", "b" * 64 + ".net"],
    ],
)
def test_bad_ones(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_dns_list(text)
