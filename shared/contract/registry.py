"""How a call of the contract is declared, and the table that is derived from the declarations.

An area is a ``Protocol`` class whose methods carry ``@call``. ``write=True`` calls travel with an operation id that the store
remembers with the result in the same transaction, so that repeating them is safe. All other calls change nothing that lasts
and may simply be repeated.
"""

import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar, get_type_hints

import attrs


class Role(StrEnum):
    """Who proves which key in the handshake. The store refuses every method outside the role."""

    SMTP_IN = "smtp_in"
    SMTP_OUT = "smtp_out"
    IMAP = "imap"
    POP3 = "pop3"
    ADMIN = "admin"


@attrs.frozen
class CallSpec:
    """What ``@call`` recorded."""

    roles: frozenset[Role]
    write: bool


@attrs.frozen
class Method:
    """One row of the contract's table."""

    area: str
    name: str
    roles: frozenset[Role]
    write: bool
    parameters: tuple[tuple[str, Any], ...]
    returns: Any

    @property
    def wire_name(self) -> str:
        return f"{self.area}.{self.name}"


_F = TypeVar("_F", bound=Callable[..., Any])
_SPEC: Final = "__call_spec__"


def call(*roles: Role, write: bool = False) -> Callable[[_F], _F]:
    """Declare a method of an area: the roles that may call it, and whether it writes."""

    def mark(function: _F) -> _F:
        setattr(function, _SPEC, CallSpec(frozenset(roles), write))
        return function

    return mark


def methods_of(area: str, interface: type) -> dict[str, Method]:
    """All declared calls of an interface by their method names."""
    methods: dict[str, Method] = {}
    for name, function in vars(interface).items():
        spec: CallSpec | None = getattr(function, _SPEC, None)
        if spec is None:
            continue
        hints = get_type_hints(function)
        names = list(inspect.signature(function).parameters)[1:]
        methods[name] = Method(
            area=area,
            name=name,
            roles=spec.roles,
            write=spec.write,
            parameters=tuple((parameter, hints[parameter]) for parameter in names),
            returns=hints["return"],
        )
    return methods
