"""Typed values to msgpack's plain values and back, derived from annotations.

attrs classes travel as arrays of their fields in order, so nothing is named on the wire; a shorter array takes the defaults of the fields
that are missing (an older peer), a longer one is refused. Decoding checks every type: what comes out is what the
contract promises, or BadRequest.

A result's last field may be a ``Blob``: it travels behind the frame, ``None`` in its place.

A converter is None where the value travels as it is, so that lists of numbers and bytes cost nothing.
"""

import functools
import types
from collections.abc import Callable
from enum import Enum
from typing import Any, NewType, Union, get_args, get_origin

import attrs

from shared.contract.areas import METHODS
from shared.contract.registry import Method
from shared.errors import BadRequest
from shared.model.blob import Blob

Convert = Callable[[Any], Any]
_PLAIN = (int, str, bytes, float, bool, type(None))


def _strip(hint: Any) -> Any:
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    return hint


@functools.cache
def encoder(hint: Any) -> Convert | None:
    """A function from a typed value to a plain one; None: it is plain already. Raises TypeError for a type that cannot travel."""
    hint = _strip(hint)
    if hint in _PLAIN or hint is None:
        return None
    if hint is Blob:
        return lambda _: None
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple_encoder(get_args(hint))
    if origin in (Union, types.UnionType):
        inner = encoder(_optional(hint))
        return None if inner is None else lambda value: None if value is None else inner(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: value.value
    if attrs.has(hint):
        return _class_encoder(hint)
    raise TypeError(f"cannot travel: {hint!r}")


def _optional(hint: Any) -> Any:
    inner = [argument for argument in get_args(hint) if argument is not type(None)]
    if len(inner) != 1 or len(get_args(hint)) != 2:
        raise TypeError(f"only X | None can travel, not {hint!r}")
    return inner[0]


def _tuple_encoder(arguments: tuple[Any, ...]) -> Convert | None:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        inner = encoder(arguments[0])
        return None if inner is None else lambda values: [inner(value) for value in values]
    raise TypeError("only tuple[X, ...] can travel")


def _class_encoder(cls: Any) -> Convert:
    """One generated function per class: a list display of its fields, the ones that need it converted."""
    attrs.resolve_types(cls)
    scope: dict[str, Any] = {}
    items = []
    for position, field in enumerate(attrs.fields(cls)):
        convert = encoder(field.type)
        if convert is None:
            items.append(f"o.{field.name}")
        else:
            scope[f"c{position}"] = convert
            items.append(f"c{position}(o.{field.name})")
    source = f"lambda o: [{', '.join(items)}]"
    return eval(source, scope)  # type: ignore[no-any-return] # noqa: S307  (built from the field names of our own classes)


def _check(expected: type) -> Convert:
    def check(value: Any) -> Any:
        # bool is an int to isinstance, and must not pass as one
        if type(value) is not expected:
            raise BadRequest(f"expected {expected.__name__}, got {type(value).__name__}")
        return value

    return check


def _decode_float(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise BadRequest(f"expected float, got {type(value).__name__}")


@functools.cache
def decoder(hint: Any) -> Convert:
    """A function from a plain value to a typed one; it raises BadRequest where the value does not fit."""
    hint = _strip(hint)
    if hint is float:
        return _decode_float
    if hint is None or hint in _PLAIN:
        return _check(type(None) if hint is None else hint)
    if hint is Blob:
        return _check(Blob)
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple_decoder(get_args(hint))
    if origin in (Union, types.UnionType):
        inner = decoder(_optional(hint))
        return lambda value: None if value is None else inner(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_decoder(hint)
    if attrs.has(hint):
        return _class_decoder(hint)
    raise TypeError(f"cannot travel: {hint!r}")


def _tuple_decoder(arguments: tuple[Any, ...]) -> Convert:
    if len(arguments) != 2 or arguments[1] is not Ellipsis:
        raise TypeError("only tuple[X, ...] can travel")
    inner = decoder(arguments[0])

    def decode(values: Any) -> tuple[Any, ...]:
        if type(values) is not list:
            raise BadRequest(f"expected an array, got {type(values).__name__}")
        return tuple([inner(value) for value in values])

    return decode


def _enum_decoder(cls: type[Enum]) -> Convert:
    by_value = {member.value: member for member in cls}

    def decode(value: Any) -> Enum:
        try:
            return by_value[value]
        except (KeyError, TypeError):
            raise BadRequest(f"not a {cls.__name__}") from None

    return decode


def _class_decoder(cls: Any) -> Convert:
    attrs.resolve_types(cls)
    fields = attrs.fields(cls)
    decoders = [decoder(field.type) for field in fields]
    most = len(fields)
    least = sum(1 for field in fields if field.default is attrs.NOTHING)

    def decode(values: Any) -> Any:
        if type(values) is not list or not least <= len(values) <= most:
            raise BadRequest(f"not a {cls.__name__}")
        return cls(*[convert(value) for convert, value in zip(decoders, values, strict=False)])

    return decode


@attrs.frozen
class MethodCodec:
    """All four directions of one call."""

    method: Method
    parameter_encoders: tuple[Convert | None, ...]
    parameter_decoders: tuple[Convert, ...]
    encode_result: Convert | None
    decode_result: Convert
    blob: str | None = None
    """The result's field that travels behind the frame."""

    def encode_parameters(self, values: tuple[Any, ...]) -> list[Any]:
        return [
            value if convert is None else convert(value)
            for convert, value in zip(self.parameter_encoders, values, strict=True)
        ]

    def decode_parameters(self, values: list[Any]) -> list[Any]:
        """Raises BadRequest."""
        if len(values) != len(self.parameter_decoders):
            raise BadRequest(f"{self.method.wire_name} takes {len(self.parameter_decoders)} parameters")
        return [convert(value) for convert, value in zip(self.parameter_decoders, values, strict=True)]


def _blob_field(returns: Any) -> str | None:
    last = attrs.fields(returns)[-1] if attrs.has(returns) else None
    return last.name if last is not None and last.type is Blob else None


def _codec(method: Method) -> MethodCodec:
    hints = [hint for _, hint in method.parameters]
    return MethodCodec(
        method=method,
        parameter_encoders=tuple(encoder(hint) for hint in hints),
        parameter_decoders=tuple(decoder(hint) for hint in hints),
        encode_result=encoder(method.returns),
        decode_result=decoder(method.returns),
        blob=_blob_field(method.returns),
    )


CODECS: dict[str, MethodCodec] = {name: _codec(method) for name, method in METHODS.items()}
"""By name on the wire. Built at import: a type that cannot travel stops every process at its start, not at the first call."""
