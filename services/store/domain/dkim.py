"""The life of a domain's DKIM keys, and the records that its owner publishes for them. Pure. RFC 6376 §3.6.1, RFC 8463 §4."""

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import attrs

from shared.contract.dkim_types import DnsRecord

KEY_TYPES: Final = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}


class KeyState(StrEnum):
    """Stored as it is."""

    WAITING = "waiting"
    """Until its record is published."""
    SIGNING = "signing"
    RETIRED = "retired"
    """Its private part is forgotten; its record stays until nobody verifies old mail any more."""


PURPOSES: Final = {
    KeyState.WAITING: "publish now; then `pillarbox domain dkim-activate`",
    KeyState.SIGNING: "proves that your mail is yours (DKIM)",
    KeyState.RETIRED: "of a key that signs no more: keep for a week after the change",
}


@attrs.frozen
class NewKey:
    """A key that was just made. ``public`` is the p= of its record (RFC 6376 §3.6.1)."""

    algorithm: str
    private: bytes = attrs.field(repr=False)
    public: str = ""


def selector_of(algorithm: str, now: float, number: int) -> str:
    """``pb20261128r``: the day and the kind; from the second of a day on with a number."""
    day = time.strftime("%Y%m%d", time.gmtime(now))
    return f"pb{day}{KEY_TYPES[algorithm][0]}" + (str(number) if number else "")


def key_records(rows: Iterable[tuple[Any, ...]], domain: str, *states: KeyState) -> tuple[DnsRecord, ...]:
    """The records of keys (selector, algorithm, state, public part) in some states."""
    return tuple(
        DnsRecord(
            f"{selector}._domainkey.{domain}",
            "TXT",
            f"v=DKIM1; k={KEY_TYPES[algorithm]}; p={public}",
            PURPOSES[KeyState(state)],
        )
        for selector, algorithm, state, public in rows
        if state in states
    )
