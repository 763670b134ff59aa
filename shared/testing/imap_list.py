"""A small strict reader of IMAP lists, after the grammar of RFC 3501 §9, to check what is rendered."""

import re
from typing import TypeAlias

Value: TypeAlias = "bytes | int | list[Value] | None"

_FETCH = re.compile(rb"\* \d+ FETCH \(")
_ITEM = re.compile(rb" ?([A-Z0-9.]+(?:\[[^\]]*\])?(?:<\d+>)?) ")
_FLAGS = re.compile(rb"FLAGS \([^)]*\) ?")
_ATOMS = re.compile(rb"NIL|\d+")
_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def parse_imap_list(data: bytes) -> Value:
    """The one value that `data` is. Raises ValueError where it is anything else."""
    value, position = _value(data, 0)
    if position != len(data):
        raise ValueError(f"trailing octets at {position}")
    return value


def parse_fetch(response: bytes) -> dict[bytes, Value]:
    """The items of an untagged FETCH by name, FLAGS left out. Raises ValueError where it is anything else."""
    begin = _FETCH.match(response)
    if begin is None:
        raise ValueError("no FETCH response")
    items: dict[bytes, Value] = {}
    position = begin.end()
    while response[position:] != b")":
        flags = _FLAGS.match(response, position)
        if flags is not None:
            position = flags.end()
            continue
        match = _ITEM.match(response, position)
        if match is None:
            raise ValueError(f"no item at {position}")
        items[match[1]], position = _value(response, match.end())
    return items


def _value(data: bytes, position: int) -> tuple[Value, int]:
    first = data[position : position + 1]
    if first == b"(":
        return _list(data, position + 1)
    if first == b'"':
        match = _QUOTED.match(data, position)
        if match is None:
            raise ValueError(f"bad quoted string at {position}")
        return re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
    match = _LITERAL.match(data, position)
    if match is not None:
        end = match.end() + int(match[1])
        text = data[match.end() : end]
        if len(text) != int(match[1]) or b"\0" in text:
            raise ValueError(f"bad literal at {position}")
        return text, end
    match = _ATOMS.match(data, position)
    if match is None:
        raise ValueError(f"no value at {position}")
    return None if match[0] == b"NIL" else int(match[0]), match.end()


def _list(data: bytes, position: int) -> tuple[Value, int]:
    """Values with one space between them; lists may stand side by side (addresses, bodies of a multipart)."""
    values: list[Value] = []
    while True:
        if data[position : position + 1] == b")":
            if not values:
                raise ValueError(f"empty list at {position}")
            return values, position + 1
        if values:
            if data[position : position + 1] == b" ":
                position += 1
            elif not (isinstance(values[-1], list) and data[position : position + 1] == b"("):
                raise ValueError(f"no space at {position}")
        value, position = _value(data, position)
        values.append(value)


def check_envelope(value: Value) -> list[Value]:
    """RFC 3501 §9 envelope."""
    assert isinstance(value, list)
    assert len(value) == 10
    for index, member in enumerate(value):
        if index in range(2, 8):
            assert member is None or isinstance(member, list)
            depth = 0
            for address in member or []:
                assert isinstance(address, list)
                assert len(address) == 4
                assert all(piece is None or isinstance(piece, bytes) for piece in address)
                if address[3] is None:
                    depth += 1 if address[2] is not None else -1
                    assert depth in (0, 1)
            assert depth == 0
        else:
            assert member is None or isinstance(member, bytes)
    return value


def check_body(value: Value, *, extended: bool) -> None:
    """RFC 3501 §9 body, with all extension data or none."""
    assert isinstance(value, list)
    if isinstance(value[0], list):
        count = next(index for index, member in enumerate(value) if not isinstance(member, list))
        for child in value[:count]:
            check_body(child, extended=extended)
        assert isinstance(value[count], bytes)
        rest = value[count + 1 :]
        if extended:
            assert len(rest) == 4
            _check_parameters(rest[0])
            _check_extension(rest[1:])
        else:
            assert not rest
        return
    media, subtype, parameters, identifier, description, encoding, octets, *rest = value
    assert isinstance(media, bytes)
    assert isinstance(subtype, bytes)
    _check_parameters(parameters)
    assert identifier is None or isinstance(identifier, bytes)
    assert description is None or isinstance(description, bytes)
    assert isinstance(encoding, bytes)
    assert isinstance(octets, int)
    if media == b"message" and subtype == b"rfc822":
        envelope, body, lines, *rest = rest
        check_envelope(envelope)
        check_body(body, extended=extended)
        assert isinstance(lines, int)
    elif media == b"text":
        lines, *rest = rest
        assert isinstance(lines, int)
    if extended:
        assert len(rest) == 4
        assert rest[0] is None or isinstance(rest[0], bytes)
        _check_extension(rest[1:])
    else:
        assert not rest


def _check_parameters(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list)
        assert len(value) % 2 == 0
        assert all(isinstance(piece, bytes) for piece in value)


def _check_extension(values: list[Value]) -> None:
    disposition, language, location = values
    if disposition is not None:
        assert isinstance(disposition, list)
        assert len(disposition) == 2
        assert isinstance(disposition[0], bytes)
        _check_parameters(disposition[1])
    assert language is None or isinstance(language, bytes | list)
    assert location is None or isinstance(location, bytes)
