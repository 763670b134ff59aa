"""Content-Transfer-Encoding taken off piece by piece, so that a part of any size is decoded in little memory.

RFC 2045 §6.7 (quoted-printable), §6.8 (base64). Nothing raises: what does not decode is left out (base64) or kept (quoted-printable),
as readers of mail do it. However the octets are cut into pieces, what comes out is the same.
"""

import binascii
import re
from typing import Final, Protocol

IDENTITY: Final = frozenset({"", "7bit", "8bit", "binary", "7-bit", "8-bit"})
_NOT_BASE64: Final = bytes(
    octet for octet in range(256) if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)
_LONGEST_LINE: Final = 64 * 1024
_SOFT_BREAK: Final = re.compile(rb"=\r[^\n]*\Z")


class Decoder(Protocol):
    """``feed`` pieces in order, then ``finish``; both give decoded octets."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class _Plain:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Base64:
    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        if self._ended:
            return b""
        octets = self._rest + data.translate(None, _NOT_BASE64)
        if b"=" in octets:
            kept: list[bytes] = []
            length = 0
            first, *others = octets.split(b"=")
            for piece in (first, *others[:-1]):
                kept.append(piece)
                length += len(piece)
                if length % 4 >= 2:
                    # RFC 2045 §6.8: padding is the end of the data
                    self._ended = True
                    self._rest = b""
                    return _decode_padded(b"".join(kept))
            octets = b"".join((*kept, others[-1]))
        whole = len(octets) // 4 * 4
        self._rest = octets[whole:]
        return binascii.a2b_base64(octets[:whole])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return _decode_padded(rest)


def _decode_padded(octets: bytes) -> bytes:
    if len(octets) % 4 == 1:
        octets = octets[:-1]
    return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))


class _QuotedPrintable:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        octets = self._rest + data
        end = octets.rfind(b"\n") + 1
        if len(octets) - end > _LONGEST_LINE:
            end = self._cut_in_line(octets, end)
        self._rest = octets[end:]
        return binascii.a2b_qp(octets[:end])

    @staticmethod
    def _cut_in_line(octets: bytes, start: int) -> int:
        """Where a very long line may be cut: not within ``=XX``, and not within a soft line break that has not ended."""
        soft = _SOFT_BREAK.search(octets, start)
        if soft is not None:
            return soft.start()
        last = octets.rfind(b"=", max(start, len(octets) - 3))
        if last < 0:
            return len(octets)
        # "==" stands for one "=": a run of them is taken by twos from its beginning
        run = start + len(octets[start:last].rstrip(b"="))
        return run + (last - run) // 2 * 2

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return binascii.a2b_qp(rest)


def make_decoder(encoding: str) -> Decoder | None:
    """For an encoding (lower case); None where it is not known."""
    if encoding in IDENTITY:
        return _Plain()
    if encoding == "base64":
        return _Base64()
    return _QuotedPrintable() if encoding == "quoted-printable" else None
