"""BODY and BODYSTRUCTURE of a MIME tree. RFC 3501 §7.4.2, RFC 9051 §7.5.2.

Types, parameter names and encodings are shown in lower case, values as they were sent. Both forms are made in one walk. The strings
of one message share a budget: when it is used up the rest is NIL, and the structure stays whole.

Where Dovecot answers otherwise, on purpose: parameters are those that were sent, no ``charset us-ascii`` is added to a text part without
one (a client can then guess as for any unlabelled mail); of RFC 2231 sections those before a gap are joined and the others left out
(there all are then shown as they came).
"""

import re
from typing import Final

from shared.mail.envelope import build_envelope
from shared.mail.imap_list import NIL, string
from shared.mail.limits import IndexLimits
from shared.mail.mime import Disposition, Parameters
from shared.mail.structure import Entity

_MAX_TOKEN_OCTETS: Final = 128
_LANGUAGE: Final = re.compile(rb"[A-Za-z0-9*-]++")
_MAX_LANGUAGES: Final = 20


class StructureRenderer:
    """One use per message: holds what is left of the budget."""

    def __init__(self, limits: IndexLimits) -> None:
        self._limits = limits
        self._left = limits.structure_octets

    def render(self, entity: Entity) -> tuple[bytes, bytes]:
        """BODY and BODYSTRUCTURE."""
        if entity.children:
            return self._multipart(entity)
        media = entity.content_type.media[:_MAX_TOKEN_OCTETS]
        base = b"%b %b %b %b %b %b %d" % (
            string(media),
            string(entity.content_type.subtype[:_MAX_TOKEN_OCTETS]),
            self._parameters(entity.content_type.parameters),
            self._field(entity, b"content-id"),
            self._field(entity, b"content-description"),
            string(entity.encoding),
            entity.body_end - entity.body_start,
        )
        extension = self._extension(entity, with_md5=True)
        if entity.message is not None:
            envelope = build_envelope(entity.message.fields, self._limits).rendered
            if len(envelope) > self._left:
                envelope = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
            self._left -= len(envelope)
            body, structure = self.render(entity.message.entity)
            lines = entity.lines
            return (
                b"(%b %b %b %d)" % (base, envelope, body, lines),
                b"(%b %b %b %d %b)" % (base, envelope, structure, lines, extension),
            )
        if media == b"text":
            base = b"%b %d" % (base, entity.lines)
        return b"(" + base + b")", b"(%b %b)" % (base, extension)

    def _multipart(self, entity: Entity) -> tuple[bytes, bytes]:
        bodies = []
        structures = []
        for child in entity.children:
            body, structure = self.render(child)
            bodies.append(body)
            structures.append(structure)
        subtype = string(entity.content_type.subtype[:_MAX_TOKEN_OCTETS])
        return (
            b"(%b %b)" % (b"".join(bodies), subtype),
            b"(%b %b %b %b)"
            % (
                b"".join(structures),
                subtype,
                self._parameters(entity.content_type.parameters),
                self._extension(entity, with_md5=False),
            ),
        )

    def _string(self, value: bytes) -> bytes:
        if len(value) > self._left:
            return NIL
        self._left -= len(value)
        return string(value[: self._limits.string_octets])

    def _field(self, entity: Entity, name: bytes) -> bytes:
        values = entity.fields.get(name)
        return NIL if values is None else self._string(values[0])

    def _parameters(self, parameters: Parameters) -> bytes:
        if not parameters.pairs:
            return NIL
        pieces = []
        for name, value in parameters.pairs:
            size = len(name) + len(value)
            if size > self._left:
                continue
            self._left -= size
            pieces.append(string(name[:_MAX_TOKEN_OCTETS]) + b" " + string(value[: self._limits.string_octets]))
        return b"(" + b" ".join(pieces) + b")" if pieces else NIL

    def _extension(self, entity: Entity, *, with_md5: bool) -> bytes:
        """MD5 (not of a multipart), disposition, language, location."""
        if not entity.fields:
            return b"NIL NIL NIL NIL" if with_md5 else b"NIL NIL NIL"
        tail = b"%b %b %b" % (
            self._disposition(entity.disposition),
            self._language(entity),
            self._field(entity, b"content-location"),
        )
        return self._field(entity, b"content-md5") + b" " + tail if with_md5 else tail

    def _disposition(self, disposition: Disposition | None) -> bytes:
        if disposition is None:
            return NIL
        return b"(%b %b)" % (string(disposition.kind[:_MAX_TOKEN_OCTETS]), self._parameters(disposition.parameters))

    # RFC 3282 §2
    def _language(self, entity: Entity) -> bytes:
        values = entity.fields.get(b"content-language")
        if values is None:
            return NIL
        tags = [tag for tag in _LANGUAGE.findall(values[0][:1000])[:_MAX_LANGUAGES] if len(tag) <= self._left]
        self._left -= sum(map(len, tags))
        if not tags:
            return NIL
        return string(tags[0]) if len(tags) == 1 else b"(" + b" ".join(map(string, tags)) + b")"
