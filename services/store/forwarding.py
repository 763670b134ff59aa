"""SRS at work (`shared.mail.srs`): the key, which lies in ``keys/store/``, and the day."""

import time
from collections.abc import Callable
from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, domain_of, normalize_domain
from shared.mail.srs import forward_sender, return_sender

_DAY_SECONDS: Final = 86400


@attrs.frozen
class Forwarding:
    """Makes senders for what aliases send on, and knows them when their bounces come."""

    key: bytes = attrs.field(repr=False)
    clock: Callable[[], float] = time.time

    def sender_for(self, sender: str, original: str, is_ours: Callable[[str], bool]) -> str:
        """The envelope sender under which the mail to an alias (``original``, as given at RCPT) is sent on.

        It stays as it is where it needs no change (``<>``; a domain of ours, for which we may send) and where none can be made.
        """
        if not sender or not original:
            return sender
        try:
            if is_ours(normalize_domain(domain_of(sender))):
                return sender
        except InvalidAddressError:
            # an address literal, say: no domain of ours
            pass
        try:
            domain = normalize_domain(original.rpartition("@")[2])
        except InvalidAddressError:
            return sender
        if not is_ours(domain):
            return sender
        return forward_sender(sender, domain, self.key, self._day()) or sender

    def returned(self, address: str) -> str | None:
        """For whom an address was made; None: not by us, or too long ago."""
        return return_sender(address, self.key, self._day())

    def _day(self) -> int:
        return int(self.clock()) // _DAY_SECONDS
