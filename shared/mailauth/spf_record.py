"""An SPF record's text as terms, checked whole before anything is evaluated (RFC 7208 §4.6, §12).

`parse_spf` is total: it gives a record or raises SpfSyntaxError, for which check_host() answers permerror. Bounds: a record longer
than MAX_RECORD_CHARACTERS is a syntax error (RFC 7208 §3.4 asks publishers for 450 octets).
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import attrs

MAX_RECORD_CHARACTERS: Final = 8192
"""Beyond what the largest publishers need, far below what could cost us time."""


class SpfSyntaxError(ValueError):
    """The record cannot be read; the text says where."""


class Qualifier(StrEnum):
    """RFC 7208 §4.6.2: what a match means."""

    PASS = "+"  # noqa: S105  a qualifier, no password
    FAIL = "-"
    SOFTFAIL = "~"
    NEUTRAL = "?"


class Kind(StrEnum):
    """The mechanisms of RFC 7208 §5."""

    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"


@attrs.frozen
class Mechanism:
    """One directive. ``domain`` is a domain-spec with its macros, empty where the record names none."""

    qualifier: Qualifier
    kind: Kind
    domain: str = ""
    prefix4: int = 32
    prefix6: int = 128
    network: IPv4Network | IPv6Network | None = None

    @property
    def text(self) -> str:
        """As a person would name it in an explanation."""
        target = str(self.network) if self.network is not None else self.domain
        sign = "" if self.qualifier is Qualifier.PASS else str(self.qualifier)
        return f"{sign}{self.kind}" + (f":{target}" if target else "")


@attrs.frozen
class SpfRecord:
    """RFC 7208 §4.6.1; ``redirect`` and ``explanation`` are domain-specs, empty where absent."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str = ""
    explanation: str = ""


# RFC 7208 §7.1
_EXPAND: Final = r"%(?:\{[A-Za-z]\d{0,3}[rR]?[-.+,/_=]*\}|[%_-])"
_MACRO_STRING: Final = re.compile(rf"(?:{_EXPAND}|[!-$&-~])*")
# toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
_TOP_LABEL: Final = r"(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])"
_DOMAIN_END: Final = re.compile(rf"(?:\.{_TOP_LABEL}\.?|%\{{[A-Za-z]\d{{0,3}}[rR]?[-.+,/_=]*\}})\Z")
_MACRO_LETTERS: Final = re.compile(r"%\{([A-Za-z])(\d*)")
_TERM_LETTERS: Final = frozenset("slodiphv")
# dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
_CIDR: Final = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?\Z")
# name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)\Z", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([-+?~]?)([A-Za-z][A-Za-z0-9]*)(.*)\Z", re.DOTALL)
_VERSION: Final = "v=spf1"


def is_spf_record(text: str) -> bool:
    """RFC 7208 §4.5: the version section is followed by a space or the end."""
    return text[:6].lower() == _VERSION and (len(text) == 6 or text[6] == " ")


def parse_spf(text: str) -> SpfRecord:
    """Read a record that `is_spf_record` found. Raises SpfSyntaxError."""
    if len(text) > MAX_RECORD_CHARACTERS:
        raise SpfSyntaxError("the record is too long")
    mechanisms: list[Mechanism] = []
    found: dict[str, str] = {}
    for term in text[len(_VERSION) :].split(" "):
        if not term:
            continue
        modifier = _MODIFIER.match(term)
        if modifier is None:
            mechanisms.append(_mechanism(term))
            continue
        name, value = modifier.group(1).lower(), modifier.group(2)
        if name in ("redirect", "exp"):
            # RFC 7208 §6: at most one of each
            if name in found:
                raise SpfSyntaxError(f"{name} appears twice")
            found[name] = _domain_spec(value, term)
        elif not _MACRO_STRING.fullmatch(value):
            raise SpfSyntaxError(f"the modifier {term[:60]!r} is malformed")
    return SpfRecord(tuple(mechanisms), found.get("redirect", ""), found.get("exp", ""))


def _mechanism(term: str) -> Mechanism:
    match = _DIRECTIVE.match(term)
    if match is None:
        raise SpfSyntaxError(f"{term[:60]!r} is no term")
    sign, name, rest = match.groups()
    try:
        kind = Kind(name.lower())
    except ValueError:
        raise SpfSyntaxError(f"the mechanism {name[:60]!r} is unknown") from None
    qualifier = Qualifier(sign or "+")
    match kind:
        case Kind.ALL:
            if rest:
                raise SpfSyntaxError(f"{term[:60]!r}: all takes no argument")
            return Mechanism(qualifier, kind)
        case Kind.IP4 | Kind.IP6:
            return Mechanism(qualifier, kind, network=_network(kind, rest, term))
        case Kind.INCLUDE | Kind.EXISTS:
            return Mechanism(qualifier, kind, _domain_spec(rest[1:] if rest[:1] == ":" else "", term))
        case Kind.PTR:
            return Mechanism(qualifier, kind, _domain_spec(rest[1:], term) if rest[:1] == ":" else _none(rest, term))
    return _with_prefixes(qualifier, kind, rest, term)


def _none(rest: str, term: str) -> str:
    if rest:
        raise SpfSyntaxError(f"{term[:60]!r} is malformed")
    return ""


def _with_prefixes(qualifier: Qualifier, kind: Kind, rest: str, term: str) -> Mechanism:
    """RFC 7208 §5.3, §5.4: [":" domain-spec] [dual-cidr-length]. A slash can be part of a macro: the lengths are at the end."""
    spec, lengths = rest, ""
    cut = re.search(r"(?:/\d{1,3})?(?://\d{1,3})?\Z", rest)
    if cut is not None:
        spec, lengths = rest[: cut.start()], rest[cut.start() :]
    cidr = _CIDR.match(lengths)
    if cidr is None:
        raise SpfSyntaxError(f"{term[:60]!r}: the prefix length is malformed")
    prefix4, prefix6 = int(cidr.group(1) or 32), int(cidr.group(2) or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise SpfSyntaxError(f"{term[:60]!r}: the prefix length is too large")
    domain = _domain_spec(spec[1:], term) if spec[:1] == ":" else _none(spec, term)
    return Mechanism(qualifier, kind, domain, prefix4, prefix6)


def _network(kind: Kind, rest: str, term: str) -> IPv4Network | IPv6Network:
    """RFC 7208 §5.6; the host part is ignored."""
    address, slash, length = rest[1:].partition("/")
    if rest[:1] != ":" or (slash and not re.fullmatch(r"0|[1-9]\d{0,2}", length)) or "%" in address:
        raise SpfSyntaxError(f"{term[:60]!r} is malformed")
    try:
        text = f"{address}/{length}" if slash else address
        return IPv4Network(text, strict=False) if kind is Kind.IP4 else IPv6Network(text, strict=False)
    except ValueError:
        raise SpfSyntaxError(f"{term[:60]!r}: not an address") from None


def _domain_spec(text: str, term: str) -> str:
    """RFC 7208 §7.1: macro-string domain-end."""
    if not text or not _MACRO_STRING.fullmatch(text) or not _DOMAIN_END.search(text):
        raise SpfSyntaxError(f"{term[:60]!r}: the domain is missing or malformed")
    check_macros(text, _TERM_LETTERS)
    return text


def check_macros(text: str, letters: frozenset[str]) -> None:
    """The letters of all macros are known, and no transformer is zero (RFC 7208 §7.3). Raises SpfSyntaxError."""
    for letter, digits in _MACRO_LETTERS.findall(text):
        if letter.lower() not in letters or (digits and int(digits) == 0):
            raise SpfSyntaxError(f"the macro %{{{letter}{digits}}} is not allowed here")
