"""`pillarbox queue reroute PATTERN RELAY|direct|rules`: waiting mail takes another way, at once."""

from typing import Final

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation
from shared.cli.nouns import Word
from shared.cli.output import print_json
from shared.cli.store_access import StoreClient, ask
from shared.contract.queue_types import QueueFilter, QueueItem
from shared.contract.relay_types import BY_RULES, DIRECT
from shared.model.ids import EntryId

PAGE: Final = 500
WORDS: Final[tuple[Word, ...]] = (
    ("pattern", {"metavar": "PATTERN", "help": "recipient (with an @) or destination domain; * for any text"}),
    ("route", {"metavar": "RELAY|direct|rules", "help": f"a relay's name, {DIRECT}, or {BY_RULES} (as the rules say)"}),
)


def wanted_by(pattern: str) -> QueueFilter:
    """What a pattern fits."""
    return QueueFilter(recipient=pattern) if "@" in pattern else QueueFilter(destination=pattern)


def reroute(invocation: Invocation) -> int:
    """What fits is due at once."""
    options = invocation.options
    wanted, route = wanted_by(options.pattern), options.route

    async def question(store: StoreClient) -> int:
        count, after = 0, EntryId(0)
        # also where nothing fits: a relay that is not there is said
        await store.relays.reroute((), route)
        while page := await _page(store, wanted, after):
            count += await store.relays.reroute(tuple(item.entry_id for item in page), route)
            after = page[-1].entry_id
        return count

    count = ask(invocation, question, "queue")
    if invocation.json:
        print_json({"rerouted": count, "route": route})
    else:
        print(f"{count} {'entry' if count == 1 else 'entries'} rerouted: {route}")
    return EXIT_OK if count else EXIT_FAILED


async def _page(store: StoreClient, wanted: QueueFilter, after: EntryId) -> tuple[QueueItem, ...]:
    return await store.admin.queue_find(wanted, after, PAGE)
