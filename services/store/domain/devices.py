"""App passwords: one per device, so that a lost phone takes one password with it and not the account.

Laws:
- The store makes each password: ``OCTETS`` * 8 bits nobody chose, written in an alphabet without look-alikes. It is shown once.
- A login looks at all devices of the account, found or not, and at as many places where an account has fewer or does not exist.
- A device opens what its uses name, from its networks where it has any, and nothing else.
- ``user@domain/device`` names a device in a login. SCRAM needs that: its server must pick the keys before it sees a proof. Without a
  device in the name SCRAM is about the main password, PLAIN and LOGIN about any.
"""

import hmac
import ipaddress
import unicodedata
from collections.abc import Iterable, Sequence
from enum import IntFlag
from functools import lru_cache
from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, domain_of, normalize_address, normalize_domain
from shared.contract.device_types import DeviceUse
from shared.sasl.scram_keys import ScramKeys

ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters, none of which is read as another: no l, o, 0, 1."""
CHARACTERS: Final = 20
"""Of five bits each: 100 bits. Nobody guesses that, whatever it is hashed with."""
GROUP: Final = 5
MAX_NAME: Final = 64
MAX_NETWORKS: Final = 32
MAX_RECIPIENTS: Final = 32
_FORBIDDEN: Final = frozenset("/@")
_NOTHING: Final = bytes(32)


class InvalidDeviceError(ValueError):
    """Not a device that could be; the text says why."""


class Uses(IntFlag):
    """What a device may log in to, as it is stored."""

    IMAP = 1
    POP3 = 2
    SUBMISSION = 4


_BITS: Final = {
    DeviceUse.IMAP: Uses.IMAP,
    DeviceUse.POP3: Uses.POP3,
    DeviceUse.SUBMISSION: Uses.SUBMISSION,
}


def pack_uses(uses: Iterable[DeviceUse]) -> Uses:
    packed = Uses(0)
    for use in uses:
        packed |= _BITS[use]
    return packed


def unpack_uses(packed: int) -> tuple[DeviceUse, ...]:
    return tuple(use for use, bit in _BITS.items() if packed & bit)


@attrs.frozen
class Device:
    """What a login is checked against."""

    device_id: int
    name: str
    digest: bytes = attrs.field(repr=False)
    uses: Uses
    networks: tuple[str, ...]
    scram: ScramKeys
    recipients: tuple[str, ...] = ()
    """Whom it may send to; empty: anybody."""

    @property
    def key(self) -> str:
        return device_key(self.name)


@attrs.frozen
class LoginName:
    """What stands behind a user name: a normal address (or text that is none), and the key of the device it names, if it does."""

    address: str
    device: str = ""

    @property
    def text(self) -> str:
        """Equal for equal names."""
        return f"{self.address}/{self.device}" if self.device else self.address


def parse_login(username: str) -> LoginName:
    """Total: what is no name is nobody's."""
    local, at, rest = username.rpartition("@")
    domain, slash, name = rest.partition("/")
    device = device_key(name) if at and slash else ""
    address = f"{local}@{domain}" if device else username
    try:
        return LoginName(normalize_address(address), device)
    except InvalidAddressError:
        return LoginName(username)


def normalize_name(name: str) -> str:
    """A device's name as it is shown. Raises InvalidDeviceError."""
    normal = " ".join(unicodedata.normalize("NFC", name).split())
    if not 0 < len(normal) <= MAX_NAME:
        raise InvalidDeviceError(f"a device's name has 1 to {MAX_NAME} characters")
    if not normal.isprintable() or _FORBIDDEN & set(normal):
        raise InvalidDeviceError("a device's name has no / and no @ and nothing that cannot be printed")
    return normal


def device_key(name: str) -> str:
    """A name as it is compared: without case, and SASLprep changes nothing of it any more."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFC", name)).casefold().split())


def normalize_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Raises InvalidDeviceError."""
    if len(networks) > MAX_NETWORKS:
        raise InvalidDeviceError(f"at most {MAX_NETWORKS} networks")
    try:
        return tuple(dict.fromkeys(str(ipaddress.ip_network(text.strip())) for text in networks))
    except ValueError:
        raise InvalidDeviceError("networks are written like 192.168.1.0/24") from None


def normalize_recipients(recipients: Sequence[str]) -> tuple[str, ...]:
    """Domains and addresses, as they are compared. Raises InvalidDeviceError."""
    if len(recipients) > MAX_RECIPIENTS:
        raise InvalidDeviceError(f"at most {MAX_RECIPIENTS} domains and addresses")
    try:
        return tuple(
            dict.fromkeys(normalize_address(text) if "@" in text else normalize_domain(text) for text in recipients)
        )
    except InvalidAddressError:
        raise InvalidDeviceError("recipients are written like example.org or name@example.org") from None


def may_send_to(recipients: Sequence[str], address: str) -> bool:
    """Whether an address is one of a device's recipients, or in a domain of them; what is no address is neither."""
    if not recipients:
        return True
    try:
        normal = normalize_address(address)
    except InvalidAddressError:
        return False
    return normal in recipients or domain_of(normal) in recipients


def write_password(random: bytes) -> str:
    """A password out of at least 13 random octets: groups of five, with hyphens between them."""
    number = int.from_bytes(random, "big")
    letters = [ALPHABET[number >> 5 * place & 31] for place in range(CHARACTERS)]
    return "-".join("".join(letters[at : at + GROUP]) for at in range(0, CHARACTERS, GROUP))


def plain_password(password: str) -> str:
    """As it is hashed: however somebody typed it, with hyphens, spaces and capitals or without."""
    return "".join(password.replace("-", " ").split()).lower()


def matching(devices: Sequence[Device], digest: bytes, least: int) -> Device | None:
    """The device whose password has this digest. Compares ``least`` times where there are fewer devices, always to the end."""
    found = None
    for place in range(max(least, len(devices))):
        device = devices[place] if place < len(devices) else None
        same = hmac.compare_digest(_NOTHING if device is None else device.digest, digest)
        if same and device is not None:
            found = device
    return found


def named(devices: Iterable[Device], key: str) -> Device | None:
    """The device that a user name names."""
    return next((device for device in devices if device.key == key), None)


def permits(device: Device, use: Uses, client: str) -> bool:
    """Whether a device may log in there from there."""
    return bool(device.uses & use) and (not device.networks or is_inside(client, device.networks))


def is_inside(client: str, networks: tuple[str, ...]) -> bool:
    """Whether an IP address is in one of the networks; what is no address is in none."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    # RFC 4291 §2.5.5.2
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network for network in _parsed(networks))


@lru_cache(maxsize=1024)
def _parsed(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))
