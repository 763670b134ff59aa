"""The rules of app passwords: names, passwords, who may enter where; pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.devices import (
    ALPHABET,
    MAX_NAME,
    MAX_NETWORKS,
    MAX_RECIPIENTS,
    Device,
    InvalidDeviceError,
    LoginName,
    Uses,
    device_key,
    is_inside,
    matching,
    may_send_to,
    named,
    normalize_name,
    normalize_networks,
    normalize_recipients,
    pack_uses,
    parse_login,
    permits,
    plain_password,
    unpack_uses,
    write_password,
)
from shared.contract.device_types import DeviceUse
from shared.sasl.scram_keys import ScramKeys

KEYS = ScramKeys(b"salt", 1, b"stored", b"server")


def device(number: int = 1, name: str = "Phone", uses: Uses = Uses.IMAP, networks: tuple[str, ...] = ()) -> Device:
    return Device(number, name, bytes([number]) * 32, uses, networks, KEYS)


@pytest.mark.parametrize(
    ("username", "expected"),
    [
        ("Anna@Example.ORG", LoginName("anna@example.org")),
        ("Anna@Example.ORG/Anna's  PHONE", LoginName("anna@example.org", "anna's phone")),
        ("a/b@example.org", LoginName("a/b@example.org")),
        ("a/b@example.org/tv", LoginName("a/b@example.org", "tv")),
        ("anna@example.org/", LoginName("anna@example.org/")),
        ("anna@example.org/ ", LoginName("anna@example.org/ ")),
        ("anna@example.org/a/b", LoginName("anna@example.org", "a/b")),
        ("anna", LoginName("anna")),
        ("anna/phone", LoginName("anna/phone")),
        ("", LoginName("")),
    ],
)
def test_user_names(username: str, expected: LoginName) -> None:
    assert parse_login(username) == expected


@given(st.text(max_size=60))
def test_any_text_is_a_user_name(username: str) -> None:
    assert parse_login(username).text is not None


def test_names_are_compared_without_case_and_form() -> None:
    assert normalize_name("  Anna's \t phone ") == "Anna's phone"
    assert device_key("ANNA'S phone") == device_key("anna's  Phone")
    assert device_key("Café") == device_key("CAFE\N{COMBINING ACUTE ACCENT}")
    for wrong in ("", "  ", "x" * (MAX_NAME + 1), "a/b", "a@b", "a\x00b", "a\N{RIGHT-TO-LEFT OVERRIDE}b"):
        with pytest.raises(InvalidDeviceError):
            normalize_name(wrong)
    assert normalize_name("x" * MAX_NAME)


@given(st.binary(min_size=16, max_size=16))
def test_a_password_is_a_hundred_bits_however_it_is_typed(random: bytes) -> None:
    password = write_password(random)
    letters = password.replace("-", "")
    assert len(password) == 23
    assert len(set(ALPHABET)) == 32
    assert [ALPHABET.index(letter) for letter in letters] == [
        int.from_bytes(random, "big") >> 5 * place & 31 for place in range(20)
    ]
    for typed in (letters, password.upper(), password.replace("-", " "), f" {password} "):
        assert plain_password(typed) == letters


def test_networks() -> None:
    assert normalize_networks((" 10.0.0.0/8", "::1", "10.0.0.0/8")) == ("10.0.0.0/8", "::1/128")
    for wrong in (("10.0.0.1/8",), ("home",), ("10.0.0.0/8",) * (MAX_NETWORKS + 1)):
        with pytest.raises(InvalidDeviceError):
            normalize_networks(wrong)
    inside = ("10.0.0.0/8", "fd00::/8")
    assert all(is_inside(client, inside) for client in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"))
    assert not any(is_inside(client, inside) for client in ("11.1.2.3", "::1", "", "x", "10.1.2"))


@given(st.sampled_from(list(Uses)), st.integers(0, 7))
def test_a_device_enters_where_its_uses_say_and_nowhere_else(use: Uses, packed: int) -> None:
    assert permits(device(uses=Uses(packed)), use, "192.0.2.1") == bool(packed & use)
    assert not permits(device(uses=Uses(packed), networks=("10.0.0.0/8",)), use, "192.0.2.1")
    assert permits(device(uses=Uses(packed), networks=("10.0.0.0/8",)), use, "10.9.9.9") == bool(packed & use)
    assert pack_uses(unpack_uses(packed)) == packed


def test_uses_have_the_words_of_the_contract() -> None:
    assert unpack_uses(7) == tuple(DeviceUse)


def test_a_digest_finds_its_device_and_no_other() -> None:
    devices = [device(1, "One"), device(2, "Two")]
    assert matching(devices, bytes([2]) * 32, 4) is devices[1]
    assert matching(devices, bytes([2]) * 32, 1) is devices[1]
    assert matching(devices, bytes([3]) * 32, 4) is None
    # what stands in for devices that are not there is nobody's
    assert matching(devices, bytes(32), 4) is None
    assert matching([], bytes(32), 4) is None
    assert named(devices, "two") is devices[1]
    assert named(devices, "three") is None


def test_secrets_are_in_no_repr() -> None:
    assert "digest" not in repr(device())
    assert "stored" not in repr(device())


def test_recipients_of_a_scanner() -> None:
    some = normalize_recipients(["Example.ORG", "Boss@Elsewhere.test", "example.org", "bücher.example"])
    assert some == ("example.org", "boss@elsewhere.test", "xn--bcher-kva.example")
    allowed = ("a@example.org", "A@EXAMPLE.org", "boss@elsewhere.test", "x@bücher.example")
    refused = ("a@sub.example.org", "a@notexample.org", "other@elsewhere.test", "example.org", "postmaster", "", "a@b@c d")
    assert [address for address in (*allowed, *refused) if may_send_to(some, address)] == list(allowed)
    assert all(may_send_to((), address) for address in (*allowed, *refused))
    for wrong in ("@example.org", "a b", "", "a@"):
        with pytest.raises(InvalidDeviceError):
            normalize_recipients([wrong])
    with pytest.raises(InvalidDeviceError):
        normalize_recipients([f"d{number}.test" for number in range(MAX_RECIPIENTS + 1)])
