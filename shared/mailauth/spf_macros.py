"""SPF macros (RFC 7208 §7): what %{...} stands for in a term or an explanation. Pure; the p macro's value is passed in."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import attrs

_EXPAND: Final = re.compile(r"%(?:\{([A-Za-z])(\d{0,3})([rR]?)([-.+,/_=]*)\}|([%_-]))")
_ESCAPES: Final = {"%": "%", "_": " ", "-": "%20"}
MAX_NAME_CHARACTERS: Final = 253


@attrs.frozen
class MacroValues:
    """RFC 7208 §4.1 and §7.2: the arguments of check_host(), for one level of it."""

    ip: IPv4Address | IPv6Address
    sender: str
    """local-part@domain; the local part was set where the sender had none."""
    domain: str
    """<domain> of this level: the record's that is being evaluated."""
    helo: str
    receiver: str = "unknown"
    validated_name: str = "unknown"
    """The p macro."""
    now: int = 0
    """Seconds since 1970."""

    def value(self, letter: str) -> str:
        """The value of a lower-case macro letter."""
        local_part, _, sender_domain = self.sender.rpartition("@")
        match letter:
            case "s":
                return self.sender
            case "l":
                return local_part
            case "o":
                return sender_domain
            case "d":
                return self.domain
            case "i":
                return dotted(self.ip)
            case "p":
                return self.validated_name
            case "v":
                return "in-addr" if self.ip.version == 4 else "ip6"
            case "h":
                return self.helo
            case "c":
                return str(self.ip)
            case "r":
                return self.receiver
            case "t":
                return str(self.now)
        raise ValueError(f"no macro {letter!r}")


def dotted(ip: IPv4Address | IPv6Address) -> str:
    """The i macro: dotted quad, or for IPv6 a dot between each two nibbles."""
    return str(ip) if ip.version == 4 else ".".join(f"{int(ip):032x}")


def expand(text: str, values: MacroValues) -> str:
    """A macro-string with its macros replaced; the text was checked by `spf_record`."""
    return _EXPAND.sub(lambda match: _expansion(match, values), text) if "%" in text else text


def _expansion(match: re.Match[str], values: MacroValues) -> str:
    letter, digits, reverse, delimiters, escape = match.groups()
    if escape:
        return _ESCAPES[escape]
    value = values.value(letter.lower())
    if digits or reverse or delimiters:
        parts = re.split(f"[{re.escape(delimiters or '.')}]", value)
        if reverse:
            parts.reverse()
        if digits:
            parts = parts[-int(digits) :]
        value = ".".join(parts)
    return quote(value, safe="-._~") if letter.isupper() else value


def expand_domain(spec: str, values: MacroValues) -> str:
    """The target name of a domain-spec; labels are taken off its left side until it fits (RFC 7208 §7.3)."""
    name = expand(spec, values).removesuffix(".")
    while len(name) > MAX_NAME_CHARACTERS:
        _, dot, rest = name.partition(".")
        if not dot:
            return name[:MAX_NAME_CHARACTERS]
        name = rest
    return name
