"""The second pass: the message as the plan wants it. See the package's head; nothing is raised for octets that the plan was made of."""

from __future__ import annotations

from typing import Final

from shared.mail.recode.encoders import Base64, Encoder, QuotedPrintable
from shared.mail.recode.goal import MAX_LINE_OCTETS, Change, Goal, Plan
from shared.mail.recode.headers import ascii_header, relabel
from shared.mail.recode.walker import Body, BodyEnd, Delimiter, Entity, Filler, Header, Token, Walker
from shared.mail.transfer import Decoder, make_decoder
from shared.wire.newlines import NewlineWriter

_HARMLESS: Final = bytes([ord("?") if octet == 0 or octet > 127 else octet for octet in range(256)])
_UNLABELLED: Final = "7bit"


class _Recoder:
    """One part: what encoded it is taken off, what encodes it from now on is put on."""

    def __init__(self, decoder: Decoder, encoder: Encoder) -> None:
        self._decoder = decoder
        self._encoder = encoder

    def feed(self, data: bytes) -> bytes:
        return self._encoder.feed(self._decoder.feed(data))

    def finish(self, *, end_line: bool) -> bytes:
        return self._encoder.feed(self._decoder.finish()) + self._encoder.finish(end_line=end_line)


class _Harmless:
    """What nobody reads: in ASCII, long lines cut off. A line is never broken in two: its rest might look like a boundary line."""

    def __init__(self) -> None:
        self._column = 0

    def feed(self, data: bytes) -> bytes:
        lines = data.translate(_HARMLESS, b"\r").split(b"\n")
        kept = []
        for number, line in enumerate(lines):
            if number:
                self._column = 0
            kept.append(line[: max(MAX_LINE_OCTETS - self._column, 0)])
            self._column += len(line)
        return b"\r\n".join(kept)

    def finish(self, *, end_line: bool) -> bytes:
        return b""


class Converter:
    """``feed`` each piece that the survey had, then ``finish``."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._walker = Walker()
        self._newlines = NewlineWriter() if plan.goal is not Goal.LINES else None
        self._body: Encoder | None = None
        """What the body, preamble or rest under way passes through; None: as it is."""

    def feed(self, data: bytes) -> bytes:
        """What these octets become, as far as it is known."""
        return self._convert(self._walker.feed(data if self._newlines is None else self._newlines.feed(data)))

    def finish(self) -> bytes:
        """The rest."""
        flushed = b"" if self._newlines is None else self._convert(self._walker.feed(self._newlines.flush()))
        return flushed + self._convert(self._walker.finish(), final=True)

    def _convert(self, tokens: list[Token], *, final: bool = False) -> bytes:
        pieces = []
        for number, token in enumerate(tokens, 1):
            match token:
                case Header(entity, data):
                    pieces.append(self._header(entity, data))
                case Body(data) | Filler(data):
                    pieces.append(data if self._body is None else self._body.feed(data))
                case BodyEnd():
                    if self._body is not None:
                        pieces.append(self._body.finish(end_line=final and number == len(tokens)))
                    self._body = self._filler()
                case Delimiter(_, data):
                    pieces.append(data)
                    self._body = self._filler()
        return b"".join(pieces)

    def _filler(self) -> Encoder | None:
        return _Harmless() if self._plan.goal is Goal.SEVEN_BIT else None

    def _header(self, entity: Entity, block: bytes) -> bytes:
        if self._plan.goal is not Goal.LINES:
            block = ascii_header(block)
        change = Change(self._plan.changes[entity.index])
        if change is not Change.KEEP:
            block = relabel(block, change, top=entity.top)
        if change in (Change.QUOTED_PRINTABLE, Change.BASE64):
            encoder = QuotedPrintable() if change is Change.QUOTED_PRINTABLE else Base64()
            self._body = _Recoder(_decoder(entity), encoder)
        else:
            # a part that stays is fit as it is; a preamble may not be
            self._body = self._filler() if entity.boundary else None
        return block


def _decoder(entity: Entity) -> Decoder:
    decoder = make_decoder(entity.encoding) or make_decoder(_UNLABELLED)
    if decoder is None:
        raise RuntimeError("no identity")
    return decoder
