"""BINARY and BINARY.SIZE: parts without their Content-Transfer-Encoding. RFC 3516 §4.2 and §4.3, RFC 9051 §6.4.5.1.

A part without an encoding of its own (a multipart, a message, and the whole message: ``BINARY[]``) is given as it is. Octets with a
NUL go out as a literal8, others as a literal, so that the client need not look for them.
"""

from collections.abc import AsyncIterator, Callable, Iterable

import attrs

from services.imap.protocol.arguments import Section
from shared.mail.parts import Part, find_part
from shared.mail.transfer import Decoder, make_decoder


class UnknownEncoding(Exception):
    """RFC 3516 §4.3: the FETCH fails with NO [UNKNOWN-CTE]."""


def encoding_of(parts: "Iterable[Part]", path: tuple[int, ...]) -> str:
    """What is to be taken off a part; RFC 2045 §6.4: multiparts and messages have no other than the identity."""
    part = find_part(tuple(parts), path)
    return "" if part is None or part.media == "multipart" or part.is_message else part.encoding


def decoder_for(encoding: str) -> Decoder:
    """Raises UnknownEncoding."""
    decoder = make_decoder(encoding)
    if decoder is None:
        raise UnknownEncoding(encoding)
    return decoder


def decode_part(octets: bytes, encoding: str) -> bytes:
    """Raises UnknownEncoding."""
    decoder = decoder_for(encoding)
    return decoder.feed(octets) + decoder.finish()


def _bounds(section: Section) -> tuple[int, int | None]:
    if section.partial is None:
        return 0, None
    # RFC 3516 §4.2: of the decoded data
    return section.partial[0], section.partial[0] + section.partial[1]


def literal_head(octets: int, *, has_nul: bool) -> bytes:
    """RFC 3516 §4.3: literal8 where the data holds a NUL."""
    return b" ~{%d}\r\n" % octets if has_nul else b" {%d}\r\n" % octets


def render_binary(section: Section, decoded: bytes) -> bytes:
    """Behind the section's label."""
    if section.size_only:
        return b" %d" % len(decoded)
    start, stop = _bounds(section)
    chosen = decoded[start:stop]
    return literal_head(len(chosen), has_nul=b"\0" in chosen) + chosen


@attrs.define
class Measure:
    """What a first pass over a large part finds out."""

    octets: int = 0
    has_nul: bool = False


Pieces = Callable[[], AsyncIterator[bytes]]
"""The part's octets, as they are stored, from the beginning."""


async def decoded_pieces(section: Section, encoding: str, pieces: Pieces) -> AsyncIterator[bytes]:
    """What the section is to give, decoded piece by piece. Raises UnknownEncoding."""
    decoder = decoder_for(encoding)
    start, stop = _bounds(section)
    at = 0
    async for octets in pieces():
        decoded = decoder.feed(octets)
        chosen = decoded[max(0, start - at) : None if stop is None else max(0, stop - at)]
        at += len(decoded)
        if chosen:
            yield chosen
    decoded = decoder.finish()
    chosen = decoded[max(0, start - at) : None if stop is None else max(0, stop - at)]
    if chosen:
        yield chosen


async def measure(section: Section, encoding: str, pieces: Pieces) -> Measure:
    """A literal says its length before its octets: a large part is decoded twice, and never kept. Raises UnknownEncoding."""
    found = Measure()
    async for octets in decoded_pieces(section, encoding, pieces):
        found.octets += len(octets)
        found.has_nul = found.has_nul or b"\0" in octets
    return found
