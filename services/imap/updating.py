"""Tells a session what has changed in its selected mailbox, in the order that the RFCs ask for.

REMOVEFROM of what is gone, EXPUNGE, FETCH of flags, EXISTS, then what a client wants to know of new messages: FETCH before the ADDTO of
a search that asked for it (RFC 5465 §7), after all ADDTOs where NOTIFY alone did (§5.2). A message is told in one FETCH, whoever
asked (§5.2). In between REMOVEFROM and ADDTO of what flags have changed (§5.1).
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping

import attrs

from services.imap.commands.fetch import fetch_items
from services.imap.context import Context
from services.imap.protocol.arguments import Section
from services.imap.search_contexts import Items, SearchContexts
from services.imap.updates import Selected
from shared.errors import StoreError
from shared.model.packed import U32


async def write_updates(context: Context, *, expunge: bool, say_modseq: bool = True) -> None:
    """Tell what may be told now. ``say_modseq``: see ``Selected.render``. Raises StoreError."""
    selected, contexts, client = context.selected, context.contexts, context.client
    own, context.own_uids = context.own_uids, frozenset()
    if selected is None:
        return
    if context.seat.told != context.seat.rights and not selected.read_only:
        context.write_flags()
    if contexts:
        await _test(context, contexts, own)
        client.write(contexts.render_gone())
    last = selected.largest_told
    _write_changes(context, selected, expunge=expunge, say_modseq=say_modseq)
    await client.drain()
    wanted = _wanted(context, selected, last, own)
    searched = contexts.take_fresh() if contexts else {}
    await _fetch(context, {uid: wanted.pop(uid, ()) + items for uid, items in searched.items()})
    if contexts:
        client.write(contexts.render_changes())
        await client.drain()
    await _fetch(context, wanted)


def _write_changes(context: Context, selected: Selected, *, expunge: bool, say_modseq: bool) -> None:
    teller = context.teller
    if teller is None:
        context.client.write(selected.render(expunge=expunge, say_modseq=say_modseq))
    else:
        context.client.write(teller.render_selected(selected, expunge=expunge, say_modseq=say_modseq))


async def _test(context: Context, contexts: SearchContexts, own: frozenset[int]) -> None:
    try:
        await contexts.catch_up(context.place, own)
    except StoreError as error:
        # the store is away: what can be told is told, the contexts are looked at the next time
        if not error.temporary:
            raise


def _wanted(context: Context, selected: Selected, last: int, own: frozenset[int]) -> dict[int, Items]:
    """RFC 5465 §5.2: what NOTIFY asked to be told of messages that are new, by UID."""
    items = () if context.teller is None else context.teller.items_of_new
    if not items or selected.largest_told == last:
        return {}
    return {uid: items for uid in selected.told[bisect_right(selected.told, last) :] if uid not in own}


async def _fetch(context: Context, wanted: Mapping[int, Items]) -> None:
    """Messages of which the same is wanted go together."""
    groups: dict[Items, list[int]] = {}
    for uid in sorted(wanted):
        groups.setdefault(_without_doubles(wanted[uid]), []).append(uid)
    for items, uids in groups.items():
        try:
            await fetch_items(context, items, array(U32, uids))
        except StoreError as error:
            # the client knows that they are there, and can ask itself
            context.shared.log.warning("new messages not told", error=str(error))


def _without_doubles(items: Items) -> Items:
    """Nothing is read as the client would: with PEEK or without is the same."""
    return tuple(
        dict.fromkeys(attrs.evolve(item, peek=True) if isinstance(item, Section) else item for item in items)
    )
