"""Who wants a domain's reports: the TXT record of _smtp._tls.DOMAIN. Pure and total."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

HTTPS_PORT = 443
MAX_PLACES = 5  # that one record may name; the rest gets nothing

# tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]; tlsrpt-version = %s"v=TLSRPTv1"   RFC 8460 §3
_RECORD = re.compile(r"v=TLSRPTv1[ \t]*;")
# field-delim = *WSP ";" *WSP
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")
# tlsrpt-rua = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
_PLACES_DELIMITER = re.compile(r"[ \t]*,[ \t]*")
# RFC 3986 §3 as far as a report needs it: a host's name, no user, no fragment
_URL = re.compile(
    r"https://[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,20}(:[1-9][0-9]{0,4})?(/[\x21\x24-\x3b\x3d\x3f-\x7e]{0,500})?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9._-]{1,253}")


def parse_record(texts: Sequence[str]) -> tuple[str, ...]:
    """The places that want the reports, MAX_PLACES at most: addresses and https: URLs; none without one valid record."""
    # RFC 8460 §3: others are left out; if not exactly one is left, there is no record
    records = [text for text in texts if _RECORD.match(text)]
    if len(records) != 1:
        return ()
    fields = _DELIMITER.split(records[0].strip(" \t"))
    values = [field[4:] for field in fields if field.startswith("rua=")]
    places = _PLACES_DELIMITER.split(values[0]) if values else []
    found = (place if is_url(place) else _address(place) for place in places)
    return tuple(dict.fromkeys(place for place in found if place))[:MAX_PLACES]


def is_url(place: str) -> bool:
    """Whether a report is sent there by POST, not by mail."""
    return _URL.fullmatch(place) is not None


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and what stands behind them."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or HTTPS_PORT, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


def _address(uri: str) -> str:
    """The address of a mailto: URI (RFC 6068 §2), without its fields; empty for what is none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return ""
    address = unquote(rest.partition("?")[0])
    return address if _ADDRESS.fullmatch(address) else ""
