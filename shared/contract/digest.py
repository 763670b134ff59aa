"""A digest of the whole contract, so that a test can say when VERSION must be bumped."""

from hashlib import blake2b
from typing import Any, get_args

import attrs

from shared.contract.areas import METHODS


def describe(hint: Any, seen: set[str]) -> str:
    """A type as text, attrs classes with their fields where they first appear."""
    if attrs.has(hint):
        if hint.__name__ in seen:
            return str(hint.__name__)
        seen.add(hint.__name__)
        attrs.resolve_types(hint)
        fields = ", ".join(f"{field.name}: {describe(field.type, seen)}" for field in attrs.fields(hint))
        return f"{hint.__name__}({fields})"
    arguments = get_args(hint)
    if arguments:
        return f"{getattr(hint, '__name__', 'union')}[{', '.join(describe(argument, seen) for argument in arguments)}]"
    return str(getattr(hint, "__name__", hint))


def contract_text() -> str:
    """Every call with its roles, parameters and result, one per line, and every class that travels."""
    seen: set[str] = set()
    lines = []
    for name in sorted(METHODS):
        method = METHODS[name]
        parameters = ", ".join(f"{parameter}: {describe(hint, seen)}" for parameter, hint in method.parameters)
        roles = ",".join(sorted(method.roles))
        mark = "write " if method.write else ""
        lines.append(f"{mark}{name}({parameters}) -> {describe(method.returns, seen)} [{roles}]")
    return "\n".join(lines)


def contract_digest() -> str:
    return blake2b(contract_text().encode(), digest_size=16).hexdigest()
