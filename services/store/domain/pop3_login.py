"""User names of POP3 that ask for another mailbox than INBOX: ``me+Work@example.org``, ``me@example.org+Work/2024``. Pure.

The separator is that of subaddresses. What stands before the mailbox is a user name as everywhere, with a device or without:
``me+Work@example.org/phone``, ``me@example.org/phone+Work``.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from services.store.domain.addresses import MAX_CUTS


@attrs.frozen
class MaildropLogin:
    """A user name as everywhere, and the mailbox that is asked for."""

    username: str
    mailbox: str = ""
    """Empty: INBOX."""


MAX_NAME_CHARACTERS: Final = 2048
"""Longer than any user name with a mailbox; what is longer is nobody's."""


def readings(username: str, separator: str) -> list[MaildropLogin]:
    """All that a user name may mean, the best first: an account that is called so, then the longest user; at most 2 * MAX_CUTS + 1."""
    found = [MaildropLogin(username)]
    at = username.find("@")
    if not separator or at < 1 or separator not in username or len(username) > MAX_NAME_CHARACTERS:
        return found
    tail = username[at:]
    found += [
        MaildropLogin(username[: at + cut], tail[cut + len(separator) :]) for cut in _cuts(tail, separator)
    ]
    at = username.rfind("@")
    local, rest = username[:at], username[at:]
    found += [MaildropLogin(local[:cut] + rest, local[cut + len(separator) :]) for cut in _cuts(local, separator)]
    return found


def _cuts(text: str, separator: str) -> Iterator[int]:
    """Places with something on both sides, from the right."""
    end = len(text)
    for _ in range(MAX_CUTS):
        end = text.rfind(separator, 1, end)
        if end < 0:
            return
        if end + len(separator) < len(text):
            yield end
