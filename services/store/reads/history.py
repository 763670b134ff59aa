"""The history as the administrator asks for it: whole stories, newest first chosen, oldest first told.

The table has no index but its key: a question reads all of it once (some 0.2 s for the million rows that are kept at the most).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import msgpack

from services.store.domain.addresses import normalize_address
from services.store.domain.history import account_token
from services.store.readers import Snapshot
from services.store.reads.queue import item_of
from services.store.reads.sending import find_account
from services.store.sql.like import literal
from services.store.sql.prepared import Cursor
from services.store.sql.statements import history, mailboxes
from shared.contract.codec import decoder
from shared.contract.history_types import MAX_ADDRESS_CHARACTERS, History, Passage, Whereabouts
from shared.errors import BadRequest
from shared.model.flags import flag_names
from shared.model.ids import Uid

MAX_STORIES: Final = 50
MAX_OCTETS: Final = 400 * 1024
"""Of the passages of an answer, which with the rest stays below MAX_REPLY_OCTETS."""
MAX_WAITING: Final = 100
MAX_WHEREABOUTS: Final = 50
_decode: Final = decoder(Passage)


def find(snapshot: Snapshot, query: str, stories: int) -> History:
    """Raises BadRequest."""
    query = query.strip()
    if not query or len(query) > MAX_ADDRESS_CHARACTERS:
        raise BadRequest("a trace id or an address")
    limit = max(1, min(stories, MAX_STORIES))
    traces = [query.lower()]
    if "@" in query:
        traces = [trace for (trace,) in history.TRACES_OF.all(snapshot.cursor, _pattern(query.lower()), "%", limit + 1)]
    return _told(snapshot.cursor, traces, limit)


def sent_by(snapshot: Snapshot, account: str, query: str, stories: int) -> History:
    """What an account submitted, nothing of where others filed it. Raises BadRequest, NotFound."""
    query = query.strip().lower()
    if len(query) > MAX_ADDRESS_CHARACTERS:
        raise BadRequest("a trace id or an address")
    cursor = snapshot.cursor
    limit = max(1, min(stories, MAX_STORIES))
    token = f"% {account_token(find_account(cursor, account))} %"
    if query and "@" not in query:
        rows = history.TRACE_WITH.all(cursor, query, token)
    else:
        rows = history.TRACES_OF.all(cursor, _pattern(query) if query else "%", token, limit + 1)
    found = _told(cursor, [trace for (trace,) in rows], limit)
    own = normalize_address(account)
    return attrs.evolve(found, now=tuple(place for place in found.now if place.account == own))


def _told(cursor: Cursor, traces: Sequence[str], limit: int) -> History:
    """Of the traces, the newest first, at most `limit` stories."""
    details = [detail for _, detail in sorted(history.OF_TRACES.all(cursor, traces[:limit]))]
    told, more = _newest_whole(details, traces[:limit])
    told = _with_accounts(cursor, told)
    now: tuple[Whereabouts, ...] = ()
    if len({passage.trace for passage in told}) == 1:
        now = tuple(_whereabouts(cursor, told))[:MAX_WHEREABOUTS]
    entries = sorted({entry for passage in told for entry in passage.entries})
    waiting = tuple(map(item_of, history.WAITING.all(cursor, entries)[:MAX_WAITING]))
    return History(tuple(told), now, waiting, more or len(traces) > limit)


def _pattern(query: str) -> str:
    """LIKE's, for the list of addresses, in which a space stands around each."""
    return f"%{literal(query)} %" if query.startswith("@") else f"% {literal(query)} %"


def _newest_whole(details: Sequence[bytes], traces: Sequence[str]) -> tuple[list[Passage], bool]:
    """Stories in the order of their beginnings, without the oldest that do not fit, and whether there are such."""
    stories: dict[str, list[Passage]] = {trace: [] for trace in traces}
    octets = dict.fromkeys(traces, 0)
    for detail in details:
        passage: Passage = _decode(msgpack.unpackb(detail))
        octets[passage.trace] += len(detail)
        # of one endless story the beginning is told
        if octets[passage.trace] <= MAX_OCTETS:
            stories[passage.trace].append(passage)
    chosen: list[list[Passage]] = []
    total = 0
    for trace in traces:  # the newest first
        total += min(octets[trace], MAX_OCTETS)
        if chosen and total > MAX_OCTETS:
            return _in_order(chosen), True
        chosen.append(stories[trace])
    return _in_order(chosen), False


def _in_order(newest_first: Sequence[list[Passage]]) -> list[Passage]:
    stories = filter(None, reversed(newest_first))
    return [passage for story in sorted(stories, key=lambda story: story[0].at) for passage in story]


def _with_accounts(cursor: Cursor, passages: Sequence[Passage]) -> list[Passage]:
    ids = sorted({passage.account_id for passage in passages if passage.account_id is not None})
    addresses: dict[int, str] = dict(history.ADDRESSES.all(cursor, ids))
    return [
        attrs.evolve(passage, account=addresses.get(passage.account_id, "an account that is gone"))
        if passage.account_id is not None
        else passage
        for passage in passages
    ]


def _whereabouts(cursor: Cursor, passages: Sequence[Passage]) -> Iterable[Whereabouts]:
    for copy in (copy for passage in passages for copy in passage.copies):
        for address, mailbox_id, name, uid, flags in history.NOW.all(cursor, copy.account_id, copy.email_id):
            keywords = [keyword for (keyword,) in mailboxes.KEYWORDS.all(cursor, mailbox_id)]
            yield Whereabouts(address, name, Uid(uid), tuple(flag_names(flags, keywords)), copy.email_id)
