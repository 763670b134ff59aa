"""DKIM signatures for mail that leaves (RFC 6376, relaxed/relaxed): what is hashed and what is signed. Pure; keys stay outside.

    body = BodyHash()
    for piece in body_pieces: body.feed(piece)
    chosen = choose_fields(header)
    draft = chosen.draft(body.digest(), domain, selector, algorithm, now)
    field = draft.finish(sign(draft.to_sign))

Laws: header and body are given with CRLF line ends, as they go on the wire; the same body gives the same hash however it is split;
memory is one line of white space at the most. Fields of which another instance could be added to mislead a reader are signed
once more than they are there (RFC 6376 §8.15).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Final

import attrs

from shared.mail.header import iter_fields

_BLANKS: Final = re.compile(rb"[ \t]{2,}|\t")
"""What is not yet the one space that it is to become."""
# RFC 6376 §5.4.1, and what mail programs show
_SIGNED: Final = (
    b"from", b"sender", b"reply-to", b"subject", b"date", b"message-id", b"to", b"cc", b"in-reply-to", b"references",
    b"mime-version", b"content-type", b"content-transfer-encoding", b"list-id", b"list-unsubscribe",
    b"list-unsubscribe-post",
)  # fmt: skip
_ONCE_MORE: Final = frozenset({b"from", b"subject", b"date", b"to", b"cc", b"reply-to", b"content-type", b"mime-version"})
_MAX_INSTANCES: Final = 20
_LINE_CHARACTERS: Final = 72
_ENDS_AT_ONCE: Final = 32 * 1024


class BodyHash:
    """SHA-256 of a body in the "relaxed" form (RFC 6376 §3.4.4)."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._ends = 0
        """Line ends that came and count only if text follows."""
        self._tail = b""
        """White space or a CR behind them."""
        self._any = False

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        data = self._tail + data
        text = data.rstrip(b" \t\r\n")
        rest = _relaxed_lines(data[len(text) :])
        if text:
            while self._ends:
                count = min(self._ends, _ENDS_AT_ONCE)
                self._hash.update(b"\r\n" * count)
                self._ends -= count
            self._hash.update(_relaxed_lines(text))
            self._any = True
        self._ends += rest.count(b"\r\n")
        self._tail = rest[rest.rfind(b"\n") + 1 :]

    def digest(self) -> bytes:
        """After the last piece."""
        if self._any:
            # RFC 6376 §3.4.4: empty lines at the end do not count; a body that is not empty ends with CRLF
            self._hash.update(b"\r\n")
            self._any = False
        return self._hash.digest()


def _relaxed_lines(text: bytes) -> bytes:
    """Runs of white space made one, white space at line ends gone."""
    return _one_space(text).replace(b" \r\n", b"\r\n")


def _one_space(text: bytes) -> bytes:
    # looking is much cheaper than replacing, and most text is already so
    return _BLANKS.sub(b" ", text) if b"  " in text or b"\t" in text else text


@attrs.frozen
class Draft:
    """A signature field without its signature."""

    to_sign: bytes
    """The octets to be signed: the chosen fields and this one, in the "relaxed" form (RFC 6376 §3.7)."""
    field: bytes

    def finish(self, signature: bytes) -> bytes:
        """The whole field with its CRLF."""
        text = base64.b64encode(signature)
        lines = [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]
        return self.field + b"\r\n\t".join(lines) + b"\r\n"


@attrs.frozen
class ChosenFields:
    """What of a header is signed: the same for every key."""

    names: tuple[bytes, ...]
    """For the h= tag; a name that is signed once more than it is there stands there once more."""
    relaxed: bytes
    """The fields in the "relaxed" form, each with its CRLF."""

    def draft(self, body_hash: bytes, domain: str, selector: str, algorithm: str, now: int) -> Draft:
        """``domain`` in A-labels; ``now``: seconds since 1970."""
        own = b"\r\n\t".join(
            [
                f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={domain};".encode(),
                f"s={selector}; t={now};".encode(),
                *_folded(b"h=", self.names),
                b"bh=" + base64.b64encode(body_hash) + b";",
                b"b=",
            ]
        )
        return Draft(self.relaxed + _relaxed(b"dkim-signature", own.partition(b":")[2]), own)


def choose_fields(header: bytes) -> ChosenFields:
    """``header``: the whole block."""
    instances: dict[bytes, list[bytes]] = {}
    for field in iter_fields(header, 0, len(header)):
        if field.name in _SIGNED_SET:
            instances.setdefault(field.name, []).append(field.value)
    names: list[bytes] = []
    signed: list[bytes] = []
    for name in _SIGNED:
        values = instances.get(name, [])[-_MAX_INSTANCES:]
        for value in reversed(values):  # RFC 6376 §5.4.2: from the bottom up
            names.append(name)
            signed.append(_relaxed(name, value) + b"\r\n")
        if name in _ONCE_MORE:
            names.append(name)
    return ChosenFields(tuple(names), b"".join(signed))


_SIGNED_SET: Final = frozenset(_SIGNED)


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2, without the CRLF."""
    unfolded = value.replace(b"\r\n", b"")
    return name + b":" + _one_space(unfolded).strip(b" ")


def _folded(start: bytes, names: Iterable[bytes]) -> list[bytes]:
    lines = [start]
    for index, name in enumerate(names):
        word = (b":" if index else b"") + name
        if len(lines[-1]) + len(word) > _LINE_CHARACTERS:
            lines.append(word)
        else:
            lines[-1] += word
    lines[-1] += b";"
    return lines
