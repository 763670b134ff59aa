"""TLSA records: parsed, chosen, and matched against certificates. Pure and total.

Laws
- Usable for SMTP are the usages DANE-TA(2) and DANE-EE(3) with known selectors and matching types, and a digest of the right
  length (RFC 7672 §3.1, RFC 7671 §9); whatever else a zone holds is as if it were not there.
- What is matched is the certificate as it was sent, octet by octet: a certificate that does not parse matches nothing by its key.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Iterable

import attrs

MAX_DATA_OCTETS = 16 * 1024  # a whole certificate; the largest in use have about 4 KiB


class Usage(enum.IntEnum):
    """RFC 7671 §5; PKIX-TA(0) and PKIX-EE(1) are of no use between strangers (RFC 7672 §3.1.3)."""

    TRUST_ANCHOR = 2
    END_ENTITY = 3


class Selector(enum.IntEnum):
    """RFC 6698 §2.1.2."""

    CERTIFICATE = 0
    PUBLIC_KEY = 1


class Matching(enum.IntEnum):
    """RFC 6698 §2.1.3."""

    FULL = 0
    SHA2_256 = 1
    SHA2_512 = 2


_HASHES = {Matching.SHA2_256: hashlib.sha256, Matching.SHA2_512: hashlib.sha512}


@attrs.frozen
class TlsaRecord:
    """A usable record."""

    usage: Usage
    selector: Selector
    matching: Matching
    data: bytes

    @property
    def text(self) -> str:
        """In presentation format."""
        return f"{self.usage:d} {self.selector:d} {self.matching:d} {self.data.hex()}"

    def matches(self, certificate: bytes) -> bool:
        """Whether a certificate (DER) is the one, or has the key, that the record means."""
        selected = certificate if self.selector is Selector.CERTIFICATE else public_key_of(certificate)
        if selected is None:
            return False
        make = _HASHES.get(self.matching)
        return hmac.compare_digest(self.data, selected if make is None else make(selected).digest())


def parse_tlsa(text: str) -> TlsaRecord | None:
    """A record in presentation format ("3 1 1 0a1b..."); None where SMTP cannot use it."""
    usage, _, rest = text.partition(" ")
    selector, _, rest = rest.partition(" ")
    matching, _, data_text = rest.partition(" ")
    try:
        # RFC 6698 §2.2: white space may divide the data
        data = bytes.fromhex(data_text)
        record = TlsaRecord(Usage(int(usage)), Selector(int(selector)), Matching(int(matching)), data)
    except ValueError:
        return None
    make = _HASHES.get(record.matching)
    fits = 0 < len(data) <= MAX_DATA_OCTETS if make is None else len(data) == make().digest_size
    return record if fits else None


def usable_records(texts: Iterable[str]) -> tuple[TlsaRecord, ...]:
    """The records to go by. RFC 7671 §9: of digests for one usage and selector, the strongest algorithm alone counts."""
    records = [record for text in texts if (record := parse_tlsa(text)) is not None]
    strongest: dict[tuple[Usage, Selector], Matching] = {}
    for record in records:
        place = (record.usage, record.selector)
        strongest[place] = max(strongest.get(place, Matching.FULL), record.matching)
    return tuple(
        record for record in records if record.matching in (Matching.FULL, strongest[record.usage, record.selector])
    )


def public_key_of(certificate: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo of a certificate, as it stands in its DER; None where that does not parse.

    RFC 5280 §4.1: Certificate ::= SEQUENCE { TBSCertificate ::= SEQUENCE { [0] version OPTIONAL, serialNumber, signature,
    issuer, validity, subject, subjectPublicKeyInfo, ... }, ... }
    """
    try:
        _, at, end = _element(certificate, 0, len(certificate))
        _, at, end = _element(certificate, at, end)
        tag, _, after = _element(certificate, at, end)
        if tag == _VERSION:
            at = after
        for _ in range(5):
            _, _, at = _element(certificate, at, end)
        tag, _, after = _element(certificate, at, end)
    except IndexError:
        return None
    return certificate[at:after] if tag == _SEQUENCE else None


_SEQUENCE = 0x30
_VERSION = 0xA0  # [0] EXPLICIT


def _element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, begin of the content, end of the element at `at`, which lies within `end`. Raises IndexError."""
    tag, first = data[at], data[at + 1]
    begin, octets = at + 2, first
    if first >= 0x80:
        count = first & 0x7F
        if not 1 <= count <= 4 or begin + count > end:
            raise IndexError
        octets = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + octets > end:
        raise IndexError
    return tag, begin, begin + octets
