"""When a sender wants to be told about a recipient: the NOTIFY parameter of RCPT (RFC 3461 §4.1)."""

from enum import IntFlag


class Notify(IntFlag):
    """What was asked for. 0: nothing was said, which means failures, and delays at our discretion. Travels and is stored as a number."""

    NEVER = 1
    """Alone."""
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


def wants_failure(notify: int) -> bool:
    """RFC 3461 §5.2.6."""
    return notify == 0 or bool(notify & Notify.FAILURE)


def wants_success(notify: int) -> bool:
    """RFC 3461 §5.2.3."""
    return bool(notify & Notify.SUCCESS)


def without_success(notify: int) -> int:
    """What is left for the targets of an alias that was reported as expanded (RFC 3461 §5.2.7.3 c)."""
    if not notify & Notify.SUCCESS:
        return notify
    return int(notify & ~Notify.SUCCESS) or int(Notify.NEVER)


def merged(one: int, other: int) -> int:
    """Of two requests for the same target, what satisfies both."""
    if one == other:
        return one
    known = [Notify.FAILURE if notify == 0 else Notify(notify) for notify in (one, other)]
    both = known[0] | known[1]
    return int(both & ~Notify.NEVER) or int(Notify.NEVER)


def written(notify: int) -> str:
    """As the parameter's value; "" where nothing was said."""
    return ",".join(flag.name or "" for flag in Notify if notify & flag)
