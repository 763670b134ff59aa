"""Reads messages and takes them apart: a process of its own, told by its standard input, until that ends.

A frame is its length (u32, little-endian) and msgpack. Asked: ``[kind, most octets, [[path, offset, octets], ...]]``, of a whole file
``octets`` is -1; answered: ``[row, ...]``, where a row is an error in words, or ``[time, flags, digest, content, *columns of the
index]``. The end of the parent, however it comes, is the end of the input.
"""

import contextlib
import os
import struct
import sys
from enum import StrEnum
from hashlib import blake2b
from typing import Any, BinaryIO, Final

import msgpack

from shared.contract.moving_types import DIGEST_OCTETS
from shared.mail.date import parse_date
from shared.mail.header import get_all
from shared.mail.index import build_index
from shared.moving.compressed import expanded
from shared.moving.mbox import read_entry
from shared.moving.tree import open_file, shown
from shared.moving.uidlist import base_name

LENGTH: Final = struct.Struct("<I")


class Kind(StrEnum):
    """What a message's octets are."""

    MAILDIR = "maildir"
    """A file of its own, whose time is when it came."""
    MBOX = "mbox"
    """Quoted, with fields that hold flags; it came when it was sent, where nobody knows better."""
    EML = "eml"
    """A file of its own, whose time says little."""
    CONTENT = "content"
    """The message itself, in the place of a path; it is not answered again."""
    IMAP = "imap"
    """Of a server, where it is known by mailbox and UID; no question for a process like this."""


def with_crlf(data: bytes) -> bytes:
    """Every line end as CRLF, as IMAP and POP3 have shown the message where it was."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def read_message(path: bytes, offset: int, octets: int, most: int) -> tuple[int, bytes]:
    """When it came (mtime, as Dovecot has it), and its octets. Raises OSError, ValueError."""
    try:
        fd = open_file(path)
    except FileNotFoundError:
        fd = open_file(_renamed(path))
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if (found.st_size if octets < 0 else octets) > most:
            raise ValueError(f"larger than {most} octets")
        file.seek(offset)
        data = file.read(octets if octets >= 0 else most + 1)
    return int(found.st_mtime), expanded(data, most)


def _renamed(path: bytes) -> bytes:
    """Where a file is now whose flags were changed, or that was seen by a client. Raises FileNotFoundError."""
    part, name = os.path.split(path)
    for place in (b"cur", b"new"):
        folder = os.path.join(os.path.dirname(part), place)
        for candidate in os.listdir(folder):
            if base_name(candidate) == base_name(name):
                return os.path.join(folder, candidate)
    raise FileNotFoundError(path)


def make_row(path: bytes, offset: int, octets: int, kind: Kind, most: int) -> list[Any] | str:
    """What is answered for one message."""
    if kind is Kind.CONTENT:
        row = _row(0, (), path, b"")
        row[0] = _sent(path, row[4]) or 0
        return row
    try:
        came, data = read_message(path, offset, octets, most)
    except FileNotFoundError:
        return "gone meanwhile"
    except OSError as error:
        return f"{shown(os.path.basename(path))}: {error.strerror}"
    except ValueError as error:
        return f"{shown(os.path.basename(path))}: {error}"
    flags: tuple[str, ...] = ()
    if kind is Kind.MBOX:
        data, flags = read_entry(data)
    content = with_crlf(data)
    row = _row(came, flags, content, content)
    if kind is not Kind.MAILDIR:
        row[0] = _sent(content, row[4]) or came
    return row


def _row(came: int, flags: tuple[str, ...], content: bytes, answered: bytes) -> list[Any]:
    index = build_index(content)
    columns = (index.header_octets, index.envelope, index.bodystructure, index.body, index.parts, index.summary)
    return [came, flags, blake2b(content, digest_size=DIGEST_OCTETS).digest(), answered, *columns]


def _sent(content: bytes, header_octets: int) -> int | None:
    for value in get_all(content, 0, header_octets, b"date"):
        date = parse_date(value)
        if date is not None:
            return date.seconds
    return None


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer until the input ends."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        kind, most, wanted = msgpack.unpackb(source.read(LENGTH.unpack(head)[0]))
        rows = [make_row(path, offset, octets, Kind(kind), most) for path, offset, octets in wanted]
        answer = msgpack.packb(rows)
        target.write(LENGTH.pack(len(answer)))
        target.write(answer)
        target.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
