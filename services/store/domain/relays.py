"""What a relay and a rule may be, and how much of a day's cap is left. Pure."""

import ipaddress
import re
from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, normalize_domain
from shared.contract.relay_types import ANYWHERE, BY_RULES, DIRECT, SETTINGS, RelayConfig, RelayRule, RelayTls

MAX_CAP: Final = 100_000_000
MAX_USERNAME_OCTETS: Final = 320
MAX_PASSWORD_OCTETS: Final = 1024
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?", re.ASCII)
_RESERVED: Final = frozenset({DIRECT, BY_RULES, SETTINGS, "ipv4", "default"})


class InvalidRelayError(ValueError):
    """Not a relay, or not a rule, that could be; the text says why."""


def check_name(name: str) -> None:
    """Raises InvalidRelayError."""
    if not _NAME.fullmatch(name):
        raise InvalidRelayError("a relay's name has at most 32 small letters, digits, dots and hyphens")
    if name in _RESERVED:
        raise InvalidRelayError(f"{name} means something else")


def check_config(config: RelayConfig, password: str) -> None:
    """Raises InvalidRelayError; the password is not in its text."""
    if not _is_address(config.host) and not _HOST.fullmatch(config.host):
        raise InvalidRelayError("not a host")
    if not 1 <= config.port <= 65535:
        raise InvalidRelayError("a port is 1 to 65535")
    if config.tls is RelayTls.NONE and not _is_loopback(config.host):
        raise InvalidRelayError("without TLS only a relay on this machine (127.0.0.1, localhost)")
    if not 0 <= config.daily_cap <= MAX_CAP:
        raise InvalidRelayError(f"the cap is at most {MAX_CAP} recipients per day, 0 for none")
    if len(config.username.encode()) > MAX_USERNAME_OCTETS or len(password.encode()) > MAX_PASSWORD_OCTETS:
        raise InvalidRelayError("user name or password is too long")
    if any(character < " " for character in config.username + password):
        raise InvalidRelayError("control characters in user name or password")
    if bool(config.username) != bool(password):
        raise InvalidRelayError("a user name needs a password, and a password a user name")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if _is_address(host) else host.lower() == "localhost"


def normal_rule(rule: RelayRule) -> RelayRule:
    """With domains as they are compared. Raises InvalidRelayError."""
    return attrs.evolve(
        rule, sender_domain=rule_domain(rule.sender_domain), recipient_domain=rule_domain(rule.recipient_domain)
    )


def rule_domain(name: str) -> str:
    """Empty: any. Raises InvalidRelayError."""
    if not name:
        return ""
    try:
        return normalize_domain(name)
    except InvalidAddressError as error:
        raise InvalidRelayError(str(error)) from None


def check_destination(name: str) -> None:
    """Of a learned way. Raises InvalidRelayError."""
    if name != ANYWHERE and not 0 < len(name) <= 255:
        raise InvalidRelayError("not a destination")


def granted(cap: int, sent: int, wanted: int) -> int:
    """How many of ``wanted`` recipients a relay still takes today. ``cap`` 0: all."""
    return wanted if cap == 0 else max(0, min(wanted, cap - sent))
