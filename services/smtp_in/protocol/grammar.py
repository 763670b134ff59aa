"""The grammar of RFC 5321 §4.1.2 and §4.1.3 with the extension of RFC 6531 §3.3, as compiled regular expressions.

Laws: every expression is anchored by `fullmatch` or by what follows it and cannot backtrack more than linearly; nothing
here raises but `InvalidPath`. Decisions beyond the grammar, each at its place: SP after "FROM:" and "TO:" is tolerated;
source routes are accepted and ignored; a local part is kept in its minimal spelling, so that all quoted forms compare equal.
"""

from __future__ import annotations

import ipaddress
import re

from attrs import frozen

# RFC 5321 §4.1.2: Atom = 1*atext; atext of RFC 5322 §3.2.3; RFC 6531 §3.3 adds UTF8-non-ascii.
_ATEXT = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff]"

# RFC 5321 §4.1.2: Dot-string = Atom *("." Atom)
_DOT_STRING = rb"%(a)s+(?:\.%(a)s+)*" % {b"a": _ATEXT}

# RFC 5321 §4.1.2: Quoted-string = DQUOTE *QcontentSMTP DQUOTE; qtextSMTP = %d32-33 / %d35-91 / %d93-126;
# quoted-pairSMTP = %d92 %d32-126; RFC 6531 §3.3 adds UTF8-non-ascii to qtextSMTP.
_QUOTED_STRING = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*"'

# RFC 5321 §4.1.2: sub-domain = Let-dig [Ldh-str]; RFC 6531 §3.3 adds U-label.
_LET_DIG = rb"[A-Za-z0-9\x80-\xff]"
_SUB_DOMAIN = rb"%(l)s+(?:-+%(l)s+)*" % {b"l": _LET_DIG}

# RFC 5321 §4.1.2: Domain = sub-domain *("." sub-domain)
_DOMAIN = rb"%(s)s(?:\.%(s)s)*" % {b"s": _SUB_DOMAIN}

# RFC 5321 §4.1.3: address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]";
# dcontent = %d33-90 / %d94-126. Which of the three it is, `_valid_literal` decides.
_LITERAL = rb"\[[\x21-\x5a\x5e-\x7e]+\]"

# RFC 5321 §4.1.2: A-d-l = At-domain *( "," At-domain )
_ROUTE = rb"@%(d)s(?:,@%(d)s)*:" % {b"d": _DOMAIN}

# RFC 5321 §4.1.2: Path = "<" [ A-d-l ":" ] Mailbox ">"
_PATH = re.compile(
    rb"<(?:%(r)s)?(?P<local>%(dot)s|%(quoted)s)@(?P<domain>%(domain)s|%(literal)s)>"
    % {b"r": _ROUTE, b"dot": _DOT_STRING, b"quoted": _QUOTED_STRING, b"domain": _DOMAIN, b"literal": _LITERAL}
)

# The extent of a path that may be wrong inside: up to the ">" that ends it, quoted strings and literals skipped over. Each octet has one
# meaning (possessive quantifiers), so nothing is looked at twice.
_PATH_EXTENT = re.compile(rb'<(?:%(literal)s|[^"<>]|"(?:[^"\\]|\\.)*+")*+>' % {b"literal": _LITERAL})

_DOT_STRING_ONLY = re.compile(_DOT_STRING)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(rb'(["\\])')
_POSTMASTER = re.compile(rb"<postmaster>", re.IGNORECASE)

# RFC 5321 §4.1.3: IPv4-address-literal = Snum 3("." Snum)
_IPV4 = re.compile(rb"(?:(?:25[0-5]|2[0-4]\d|[01]?\d?\d)(?:\.(?!\Z)|\Z)){4}")
# RFC 5321 §4.1.3: Standardized-tag = Ldh-str
_GENERAL = re.compile(rb"[A-Za-z0-9-]*[A-Za-z0-9]:.+")
_IPV6_CHARACTERS = re.compile(rb"[0-9A-Fa-f:.]+")

# RFC 5321 §4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value]; esmtp-value = 1*(%d33-60 / %d62-126)
# RFC 6531 §3.3 adds UTF8-non-ascii to esmtp-value.
_PARAMETER = re.compile(rb"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[\x21-\x3c\x3e-\x7e\x80-\xff]+))?")

# RFC 3461 §4: xtext = *( xchar / hexchar ); xchar = %d33-42 / %d44-60 / %d62-126; hexchar = "+" 2(HEXDIG upper case)
_XTEXT = re.compile(rb"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+")

# What EHLO and HELO are given in the wild: printable, no space. Windows hosts send "_", so Domain alone would refuse mail.
_HOST_LIKE = re.compile(rb"[\x21-\x7e\x80-\xff]{1,255}")


class InvalidPath(Exception):
    """A path that the grammar or its length refuses. `too_long` says which."""

    def __init__(self, reason: str, *, too_long: bool = False) -> None:
        super().__init__(reason)
        self.too_long = too_long


@frozen
class Mailbox:
    """An address of the envelope, in its minimal spelling: `address` is what travels on."""

    local_part: str
    domain: str
    """A domain name as it was written, an address literal with its brackets, or "" for a bare <postmaster>."""

    @property
    def address(self) -> str:
        """`local_part@domain`, or the local part alone without a domain."""
        return f"{self.local_part}@{self.domain}" if self.domain else self.local_part

    @property
    def is_ascii(self) -> bool:
        """No SMTPUTF8 needed."""
        return self.local_part.isascii() and self.domain.isascii()


def path_extent(text: bytes) -> int:
    """How long the path is with which `text` begins, 0 if it does not begin with one. Its inside may be wrong."""
    match = _PATH_EXTENT.match(text)
    return match.end() if match else 0


def parse_mailbox(path: bytes, *, max_local_part_octets: int, max_domain_octets: int) -> Mailbox:
    """The mailbox of a non-empty path `<...>`; a source route in it is ignored. Raises InvalidPath."""
    # RFC 5321 §3.3, Appendix C: servers accept and SHOULD ignore source routes.
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidPath("not an address")
    local, domain = match["local"], match["domain"]
    if domain.startswith(b"["):
        if not _valid_literal(domain[1:-1]):
            raise InvalidPath("not an address literal")
    elif max(map(len, domain.split(b"."))) > 63:
        # RFC 1035 §2.3.4
        raise InvalidPath("domain label is too long", too_long=True)
    if local.startswith(b'"'):
        local = _minimal_local_part(local)
    if len(local) > max_local_part_octets:
        raise InvalidPath("local part is too long", too_long=True)
    if len(domain) > max_domain_octets:
        raise InvalidPath("domain is too long", too_long=True)
    try:
        return Mailbox(local.decode(), domain.decode())
    except UnicodeDecodeError:
        raise InvalidPath("address is not UTF-8") from None


def is_postmaster(path: bytes) -> bool:
    """RFC 5321 §4.1.1.3: <Postmaster> without a domain is a valid forward-path, in any case."""
    return _POSTMASTER.fullmatch(path) is not None


def _minimal_local_part(quoted: bytes) -> bytes:
    """RFC 5321 §4.1.2: all quoted forms are equivalent; the minimal one is used."""
    plain = _QUOTED_PAIR.sub(rb"\1", quoted[1:-1])
    if _DOT_STRING_ONLY.fullmatch(plain):
        return plain
    return b'"' + _NEEDS_PAIR.sub(rb"\\\1", plain) + b'"'


def _valid_literal(inside: bytes) -> bool:
    if _IPV4.fullmatch(inside):
        return True
    if inside[:5].lower() == b"ipv6:":
        text = inside[5:]
        if not _IPV6_CHARACTERS.fullmatch(text):
            return False
        head, _, tail = text.rpartition(b":")
        if _IPV4.fullmatch(tail):
            # RFC 5321 §4.1.3: its numbers may have leading zeros, which `ipaddress` refuses
            text = head + b":0.0.0.0"
        try:
            ipaddress.IPv6Address(text.decode())
        except ValueError:
            return False
        return True
    return _GENERAL.fullmatch(inside) is not None


def is_host_like(text: bytes) -> bool:
    """What we accept as the argument of EHLO and HELO, see `_HOST_LIKE`. It may not be a Domain: quote it with care."""
    return _HOST_LIKE.fullmatch(text) is not None


def is_xtext(text: bytes) -> bool:
    """xtext of RFC 3461 §4."""
    return _XTEXT.fullmatch(text) is not None


def split_parameters(text: bytes) -> list[tuple[bytes, bytes | None]] | None:
    """Keyword (upper case) and value of each ESMTP parameter, or None where the grammar is broken."""
    parameters: list[tuple[bytes, bytes | None]] = []
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            return None
        parameters.append((match["keyword"].upper(), match["value"]))
    return parameters
