"""Daily limits in the running store: what they are without a limit of the account's own, and how an owner hears of one.

An owner is told by one warning in the log and one mail a day; the database remembers the day, this object only saves the
hundreds of refusals that may follow the way there.
"""

import secrets
import time
from collections.abc import Callable

import attrs
import trio

from services.store.domain.sending import Account, DailyLimits, day_of
from services.store.notice import build_notice
from services.store.readers import Readers
from services.store.reads import sending as reads
from services.store.writer import Command, Writer
from services.store.writes import filing
from services.store.writes.filing import Incoming
from services.store.writes.telling import tell_owner
from shared.contract.sending_types import SendingLimit
from shared.errors import MessagesReached, SendingLimitReached, StoreError
from shared.mail.index import build_index
from shared.model.message_index import MessageIndex
from shared.observe.log import Logger


@attrs.define
class Sending:
    """One per store; used in the trio thread."""

    defaults: DailyLimits
    hostname: str
    log: Logger
    clock: Callable[[], float] = time.time
    _told: dict[int, int] = attrs.field(factory=dict, init=False)
    """The day on which this process told an account's owner; at most one entry per account."""

    async def reached(self, readers: Readers, writer: Writer, account_id: int, limit: SendingLimit) -> None:
        """A limit was reached: tell the owner unless that was done today. Never raises StoreError: the refusal stands without it."""
        day = day_of(self.clock())
        if self._told.get(account_id) == day:
            return
        self._told[account_id] = day
        try:
            account: Account = await readers.run(reads.account, account_id)
            limits = account.limits(self.defaults)
            most = limits.messages if limit is SendingLimit.MESSAGES else limits.new_recipients
            unique = secrets.token_hex(12)
            content, index = await trio.to_thread.run_sync(self._build, account.address, limit, most, unique)
            incoming = (Incoming(None, content),)
            command = Command(
                "", None, tell_owner, (incoming, index, account_id, unique), prepare=filing.prepare_contents
            )
            if await writer.submit(command):
                self.log.warning("daily sending limit reached", account=account.address, limit=str(limit), most=most)
        except StoreError as error:
            del self._told[account_id]
            self.log.warning("an owner was not told of a limit", account_id=account_id, error=str(error))

    def _build(self, address: str, limit: SendingLimit, most: int, unique: str) -> tuple[bytes, MessageIndex]:
        content = build_notice(
            address, limit, most, hostname=self.hostname, seconds=self.clock(), unique=unique
        )
        return content, build_index(content)


def limit_of(error: SendingLimitReached) -> SendingLimit:
    """Which limit a refusal was for."""
    return SendingLimit.MESSAGES if isinstance(error, MessagesReached) else SendingLimit.NEW_RECIPIENTS
