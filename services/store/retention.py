"""The task that lets go of mail by the rules of retention, and of what POP3 hid: every ``retention_seconds``.

What may go is found by a reader; the writer is asked for PIECE messages at a time and looks again before it removes them. A store
that ends in the middle goes on at the next look: nothing is remembered but the mail itself.
"""

import sqlite3
import time

import trio

from services.store.core import Core
from services.store.domain.pop3_view import day_of
from services.store.domain.retention import DAY
from services.store.reads import pop3 as pop3_reads
from services.store.reads import retention as reads
from services.store.reads.rejects import with_old
from services.store.writer import Command
from services.store.writes import pop3 as pop3_writes
from services.store.writes import rejects
from services.store.writes import retention as writes
from shared.contract.retention_types import Due
from shared.errors import NoSuchMailbox, StoreError

BETWEEN_PIECES_SECONDS = 0.05
"""Mail goes first."""


async def keep_retention(core: Core) -> None:
    """Until cancelled."""
    while True:
        await trio.sleep(core.settings.store.retention_seconds)
        try:
            await look(core)
        except (StoreError, sqlite3.Error) as error:
            core.log.warning("retention failed", error=str(error))


async def look(core: Core) -> None:
    """One look at all mailboxes. Raises StoreError, sqlite3.Error."""
    clock = await core.writer.submit(Command("", None, writes.note_clock, ()))
    if not clock.trusted:
        core.log.warning("the clock jumped: nothing goes by its age for now", until=clock.held_until)
    after = 0
    while True:
        page = await core.readers.run(reads.due, after, clock.seen_at)
        for due in page.due:
            try:
                await _expire(core, due, by_age=clock.trusted)
            except NoSuchMailbox:
                continue  # its owner was faster
        if not page.next:
            break
        after = page.next
        await trio.sleep(BETWEEN_PIECES_SECONDS)
    if clock.trusted:
        await _let_rejects_go(core, clock.seen_at)
        await _expire_hidden(core, day_of(clock.seen_at))


async def _let_rejects_go(core: Core, now: int) -> None:
    """Refused messages that were kept for their days. Raises StoreError, sqlite3.Error."""
    seconds = core.settings.smtp_in.keep_rejects_days * DAY
    after = 0
    while True:
        found, after = await core.readers.run(with_old, after, now - seconds)
        for mailbox_id in found:
            gone = rejects.PIECE
            while gone == rejects.PIECE:
                try:
                    gone = await core.writer.submit(Command("", None, rejects.let_go, (mailbox_id, seconds)))
                except NoSuchMailbox:
                    break  # its owner was faster
                await trio.sleep(BETWEEN_PIECES_SECONDS)
        if not after:
            return


async def _expire_hidden(core: Core, today: int) -> None:
    """What devices hid by POP3 so many days ago as its account says."""
    after, means = 0, core.pop3_meaning
    while True:
        page = await core.readers.run(pop3_reads.hiding, after, today, means)
        for mailbox_id in page.due:
            gone, piece = 0, writes.PIECE
            while piece == writes.PIECE:
                command = Command("", None, pop3_writes.expire_hidden, (mailbox_id, means, writes.PIECE))
                try:
                    piece = await core.writer.submit(command)
                except NoSuchMailbox:
                    break  # its owner was faster
                gone += piece
                await trio.sleep(BETWEEN_PIECES_SECONDS)
            if gone:
                core.log.info("hidden mail removed", mailbox=mailbox_id, messages=gone)
        if not page.next:
            return
        after = page.next


async def _expire(core: Core, due: Due, *, by_age: bool) -> None:
    gone, piece = 0, writes.PIECE
    while piece == writes.PIECE:
        uids = await core.readers.run(
            reads.due_uids, due.mailbox_id, time.time() if by_age else 0.0, writes.PIECE
        )
        piece = await core.writer.submit(Command("", None, writes.expire, (due.mailbox_id, uids, by_age))) if uids else 0
        gone += piece
        await trio.sleep(BETWEEN_PIECES_SECONDS)
    if gone:
        rule = due.rule
        core.log.info(
            "retention",
            mailbox=due.mailbox_id,
            messages=gone,
            days=rule.days,
            most=rule.messages,
            downloaded_days=rule.downloaded_days,
        )
