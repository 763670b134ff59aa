"""``dovecot-uidlist``: which file of a Maildir has which UID. Pure.

    3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
    25006 :1276528487.M364837P9451.host,S=1355,W=1394:2,
    25017 W2481 Pold-uidl :1276533073.M242911P3632.host:2,F

A header (version, UIDVALIDITY, next UID, GUID of the mailbox), then one record a line by ascending UID: its extension fields, each a
letter with its value, and behind the colon the file's name, whose flags may be out of date. Records are appended without a new header,
so the next UID may be behind them. Version 1 has ``1 uidvalidity nextuid`` and ``uid name``.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

from shared.model.ids import UID_MAX

MAX_LINE_OCTETS: Final = 8192
MAX_RECORDS: Final = 5_000_000
_HEADER: Final = re.compile(rb"3((?: [A-Z][^ ]*)*) *")
_HEADER_1: Final = re.compile(rb"1 (\d{1,10}) (\d{1,10}) *")
_RECORD: Final = re.compile(rb"(\d{1,10})((?: [A-Z][^ :]*)*) +:(.+)", re.DOTALL)
_RECORD_WITH_COLONS: Final = re.compile(rb"(\d{1,10})((?: [A-Z][^ ]*)*) :(.+)", re.DOTALL)
_RECORD_1: Final = re.compile(rb"(\d{1,10}) (.+)", re.DOTALL)
_NUMBER: Final = re.compile(rb"\d{1,10}")
_GUID: Final = re.compile(rb"[0-9a-fA-F]{32}")


class UidlistError(ValueError):
    """Not a list that Dovecot writes, or beyond a bound."""


@attrs.frozen
class UidRecord:
    uid: int
    name: bytes
    """Of the file, without its flags."""
    uidl: str = ""
    """P: the POP3 UIDL; empty: by the server's format."""
    octets: int = 0
    """W: with CRLF line ends; 0: not said."""
    guid: str = ""
    """G; empty: the name is it."""


@attrs.frozen
class Uidlist:
    uidvalidity: int
    uid_next: int
    """Above all UIDs."""
    guid: str
    """Of the mailbox, 32 hexadecimal digits; empty: not said."""
    records: tuple[UidRecord, ...]


def base_name(name: bytes) -> bytes:
    """A file's name without its flags."""
    return name.partition(b":")[0]


def parse_uidlist(lines: Iterable[bytes]) -> Uidlist:
    """Lines with or without their ends. Raises UidlistError."""
    source = iter(lines)
    version, uidvalidity, uid_next, guid = _header(next(source, b"").rstrip(b"\n"))
    records: list[UidRecord] = []
    names: set[bytes] = set()
    last = 0
    for number, line in enumerate(source, 2):
        if len(records) >= MAX_RECORDS:
            raise UidlistError(f"more than {MAX_RECORDS} records")
        if len(line) > MAX_LINE_OCTETS:
            raise UidlistError(f"line {number} is too long")
        record = _record(version, line.rstrip(b"\n"), number)
        if not last < record.uid <= UID_MAX:
            raise UidlistError(f"line {number}: UIDs do not ascend")
        if record.name in names:
            raise UidlistError(f"line {number}: a file for the second time")
        names.add(record.name)
        last = record.uid
        records.append(record)
    return Uidlist(uidvalidity, min(max(uid_next, last + 1), UID_MAX), guid, tuple(records))


def _header(line: bytes) -> tuple[int, int, int, str]:
    """Version, UIDVALIDITY, next UID, GUID."""
    old = _HEADER_1.fullmatch(line)
    if old is not None:
        return 1, _number(old[1]), _number(old[2]), ""
    new = _HEADER.fullmatch(line)
    if new is None:
        raise UidlistError("line 1 is not a header of version 1 or 3")
    fields = _fields(new[1])
    if b"V" not in fields or b"N" not in fields:
        raise UidlistError("line 1 lacks UIDVALIDITY or the next UID")
    guid = fields.get(b"G", b"")
    return 3, _number(fields[b"V"]), _number(fields[b"N"]), guid.decode("ascii") if _GUID.fullmatch(guid) else ""


def _number(text: bytes) -> int:
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= UID_MAX:
        raise UidlistError("line 1: a number out of bounds")
    return int(text)


def _fields(text: bytes) -> dict[bytes, bytes]:
    return {field[:1]: field[1:] for field in text.split()}


def _record(version: int, line: bytes, number: int) -> UidRecord:
    if version == 1:
        plain = _RECORD_1.fullmatch(line)
        if plain is None or not base_name(plain[2]):
            raise UidlistError(f"line {number} is not a record")
        return UidRecord(int(plain[1]), base_name(plain[2]))
    found = _RECORD.fullmatch(line) or _RECORD_WITH_COLONS.fullmatch(line)
    if found is None or not base_name(found[3]):
        raise UidlistError(f"line {number} is not a record")
    fields = _fields(found[2])
    octets = fields.get(b"W", b"")
    return UidRecord(
        int(found[1]),
        base_name(found[3]),
        fields.get(b"P", b"").decode("ascii", "replace"),
        int(octets) if _NUMBER.fullmatch(octets) else 0,
        fields.get(b"G", b"").decode("ascii", "replace"),
    )


def build_uidlist(uidlist: Uidlist) -> Iterable[bytes]:
    """The lines of a file of version 3."""
    guid = f" G{uidlist.guid}" if uidlist.guid else ""
    yield f"3 V{uidlist.uidvalidity} N{uidlist.uid_next}{guid}\n".encode()
    for record in uidlist.records:
        octets = f" W{record.octets}" if record.octets else ""
        own = f" G{record.guid}" if record.guid else ""
        uidl = f" P{record.uidl}" if record.uidl else ""
        yield f"{record.uid}{octets}{own}{uidl} :".encode() + record.name + b"\n"
