"""`pillarbox queue list|show|hold|release|retry|reroute|remove|recall`: mail that waits to go out, one entry per recipient."""

import argparse
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from shared.cli.dialogue import dialogue_as_json, dialogue_lines
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, Word, add_noun
from shared.cli.output import age_text, iso_time, local_time, print_json, print_table, printable, size_text
from shared.cli.reroute import WORDS, reroute
from shared.cli.store_access import StoreClient, ask
from shared.contract.queue_types import HOLDER, AttemptInfo, QueueFilter, QueueItem, Recalled
from shared.contract.wishes_types import Wishes
from shared.model.ids import EntryId
from shared.observe.trace import new_trace

AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PAGE: Final = 500
RECALLED_AT_ONCE: Final = 250
TRACE_CHARACTERS: Final = len(new_trace())
GROUPS: Final[dict[str, Callable[[QueueItem], str]]] = {
    "destination": lambda item: item.destination,
    "sender": lambda item: item.sender or "<>",
    "reason": lambda item: item.last_text or "not tried yet",
}


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    entry = ("entry", {"metavar": "ENTRY", "type": entry_id})
    some = ("entries", {"metavar": "ENTRY", "nargs": "*", "type": entry_id})
    messages = ("entries", {"metavar": "ENTRY|TRACE", "nargs": "*", "type": entry_or_trace})
    all_of_them = ("--all", {"action": "store_true", "help": "every entry"})
    by = ("--by", {"choices": sorted(GROUPS), "help": "count them by this instead"})
    add_noun(
        nouns,
        "queue",
        "mail that waits to go out",
        Verb("list", list_entries, "show what waits", (*FILTERS, by)),
        Verb("show", show, "show one entry with its attempts and what was said in them", (entry,)),
        Verb("hold", hold, "keep entries back until they are released", (some, all_of_them, *FILTERS)),
        Verb("release", release, "let entries go that are held", (some, all_of_them, *FILTERS)),
        Verb("retry", retry, "try entries now (all when none is named)", (some, all_of_them, *FILTERS)),
        Verb("reroute", reroute, "give waiting mail another way, and try it now", WORDS),
        Verb("remove", remove, "take entries out without a bounce", (some, all_of_them, *FILTERS)),
        Verb("recall", recall, "take mail back before it leaves", (messages, all_of_them, *FILTERS)),
    )


def entry_id(word: str) -> EntryId:
    """A positive number; argparse makes the message."""
    number = int(word) if word.isascii() and word.isdigit() else 0
    if not 0 < number < 1 << 63:
        raise argparse.ArgumentTypeError(f"{word} is not an entry's number")
    return EntryId(number)


def entry_or_trace(word: str) -> EntryId | str:
    """An entry's number, or a message's id, which is longer than any number of an entry will be; argparse makes the message."""
    trace = word.lower()
    return trace if len(trace) == TRACE_CHARACTERS and trace.isascii() and trace.isalnum() else entry_id(word)


def attempt_as_json(attempt: AttemptInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "at": iso_time(attempt.at),
        "outcome": attempt.kind.value,
        "code": attempt.code,
        "enhanced": attempt.enhanced,
        "text": attempt.text,
        "remote": attempt.remote,
        "tls": attempt.tls,
        "seconds": round(attempt.seconds, 3),
        "dialogue": dialogue_as_json(attempt.dialogue),
    }


def age_seconds(word: str) -> float:
    """90s, 15m, 6h, 2d."""
    number, unit = word[:-1], word[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= 6 and unit in AGES):
        raise argparse.ArgumentTypeError(f"{word} is no age: write 90s, 15m, 6h or 2d")
    return float(int(number) * AGES[unit])


FILTERS: Final[tuple[Word, ...]] = (
    ("--from", {"dest": "sender", "metavar": "PATTERN", "default": "", "help": "sender, with * for any text; <> for bounces"}),
    ("--to", {"dest": "recipient", "metavar": "PATTERN", "default": "", "help": "recipient, with * for any text"}),
    ("--domain", {"dest": "destination", "metavar": "PATTERN", "default": "", "help": "domain that it goes to"}),
    ("--reason", {"metavar": "TEXT", "default": "", "help": "a part of the last answer"}),
    ("--older", {"dest": "older_seconds", "metavar": "AGE", "type": age_seconds, "default": 0.0, "help": "90s, 15m, 6h, 2d"}),
    ("--held", {"action": "store_true", "help": "only those that are held back"}),
)


def as_json(item: QueueItem) -> dict[str, Any]:
    """Stable fields, without the attempts."""
    return {
        "entry": item.entry_id,
        "trace": item.trace,
        "sender": item.sender,
        "recipient": item.recipient,
        "destination": item.destination,
        "octets": item.octets,
        "queued": iso_time(item.queued_at),
        "due": iso_time(item.due_at),
        "expires": iso_time(item.expires_at),
        "attempts": item.attempts,
        "leased_by": item.leased_by,
        "last_text": item.last_text,
        "route": item.route or None,
        **wishes_as_json(item.wishes),
    }


def wishes_as_json(wishes: Wishes) -> dict[str, Any]:
    """Stable fields; null where nothing is asked for."""
    return {
        "tls": wishes.tls.value or None,
        "held_until": iso_time(wishes.held_until) if wishes.held_until else None,
        "deliver_by": iso_time(wishes.deliver_by) if wishes.by_mode else None,
        "by_mode": wishes.by_mode.value or None,
    }


def next_try(item: QueueItem, now: float) -> str:
    """When it goes out again, in words."""
    if item.leased_by == HOLDER:
        return "held"
    if item.leased_by:
        return "under way"
    return "now" if item.due_at <= now else f"in {age_text(item.due_at - now)}"


def wanted_by(options: argparse.Namespace) -> QueueFilter:
    """What the options name."""
    return QueueFilter(
        options.sender, options.recipient, options.destination, options.reason, options.older_seconds, options.held
    )


async def find_entries(store: StoreClient, wanted: QueueFilter) -> list[QueueItem]:
    """Page by page."""
    items: list[QueueItem] = []
    while True:
        page = await store.admin.queue_find(wanted, items[-1].entry_id if items else EntryId(0), PAGE)
        if not page:
            return items
        items.extend(page)


def list_entries(invocation: Invocation) -> int:
    """By entry number, or counted."""
    wanted = wanted_by(invocation.options)
    items = ask(invocation, lambda store: find_entries(store, wanted), "queue")
    if invocation.options.by:
        return _print_counts(invocation, items)
    if invocation.json:
        print_json([as_json(item) for item in items])
        return EXIT_OK
    now = time.time()
    rows = [
        (i.entry_id, age_text(now - i.queued_at), size_text(i.octets), i.sender or "<>", i.recipient, i.attempts,
         next_try(i, now), i.last_text)
        for i in items
    ]  # fmt: skip
    print_table(("ENTRY", "AGE", "SIZE", "SENDER", "RECIPIENT", "TRIES", "NEXT", "LAST ANSWER"), rows)
    return EXIT_OK


def _print_counts(invocation: Invocation, items: Sequence[QueueItem]) -> int:
    by: str = invocation.options.by
    groups: dict[str, list[QueueItem]] = {}
    for item in items:
        groups.setdefault(GROUPS[by](item), []).append(item)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    now = time.time()
    if invocation.json:
        print_json(
            [
                {by: name, "entries": len(group), "octets": sum(i.octets for i in group), "oldest": iso_time(_oldest(group))}
                for name, group in ordered
            ]
        )
        return EXIT_OK
    rows = [
        (len(group), age_text(now - _oldest(group)), size_text(sum(item.octets for item in group)), name)
        for name, group in ordered
    ]
    print_table(("ENTRIES", "OLDEST", "SIZE", by.upper()), rows)
    return EXIT_OK


def _oldest(items: Sequence[QueueItem]) -> float:
    return min(item.queued_at for item in items)


def show(invocation: Invocation) -> int:
    """Everything about one entry."""
    entry = invocation.options.entry
    item = ask(invocation, lambda store: store.admin.queue_show(entry), f"queue entry {entry}")
    if invocation.json:
        print_json({**as_json(item), "history": [attempt_as_json(attempt) for attempt in item.history]})
        return EXIT_OK
    now = time.time()
    lines = (
        ("entry", item.entry_id),
        ("trace", item.trace),
        ("sender", item.sender or "<>"),
        ("recipient", item.recipient),
        ("destination", item.destination),
        ("route", item.route or "by the rules"),
        ("size", size_text(item.octets)),
        ("queued", local_time(item.queued_at)),
        ("next try", next_try(item, now)),
        ("expires", local_time(item.expires_at)),
        ("attempts", item.attempts),
        *(("asked for", words) for words in item.wishes.in_words()),
    )
    for label, value in lines:
        print(f"{label + ':':<13}{printable(value)}")
    rows = [(local_time(a.at), a.kind.value, f"{a.seconds:.1f} s", a.code or "", a.remote, a.tls, a.text) for a in item.history]
    print_table(("AT", "OUTCOME", "TOOK", "CODE", "REMOTE", "TLS", "ANSWER"), rows)
    for attempt in item.history:
        if attempt.dialogue:
            print("\n".join((f"\nwhat was said, {local_time(attempt.at)}:", *dialogue_lines(attempt.dialogue))))
    return EXIT_OK


Change = Callable[[StoreClient, tuple[EntryId, ...]], Awaitable[int]]


def hold(invocation: Invocation) -> int:
    """Keep back."""
    return _change(invocation, "held", lambda store, entries: store.admin.queue_hold(entries))


def release(invocation: Invocation) -> int:
    """Let go."""
    return _change(invocation, "released", lambda store, entries: store.admin.queue_release(entries))


def retry(invocation: Invocation) -> int:
    """Make entries due."""
    options = invocation.options
    if not options.entries and wanted_by(options) == QueueFilter():
        return _report(invocation, "retried", (), ask(invocation, lambda store: store.admin.queue_retry(())))
    return _change(invocation, "retried", lambda store, entries: store.admin.queue_retry(entries))


def remove(invocation: Invocation) -> int:
    """Take entries out; nobody is told."""
    return _change(invocation, "removed", lambda store, entries: store.admin.queue_remove(entries))


def recall(invocation: Invocation) -> int:
    """Take back what nobody works at yet; what is under way is named."""
    options = invocation.options
    wanted = wanted_by(options)
    _one_choice(options, wanted)

    async def run(store: StoreClient) -> Recalled:
        named = [word for word in options.entries if not isinstance(word, str)]
        filters = [QueueFilter(trace=word) for word in options.entries if isinstance(word, str)]
        for one in filters if options.entries else [wanted]:
            named += [item.entry_id for item in await find_entries(store, one)]
        taken, under_way = 0, list[QueueItem]()
        for start in range(0, len(named), RECALLED_AT_ONCE):
            part = await store.admin.queue_recall(tuple(named[start : start + RECALLED_AT_ONCE]))
            taken, under_way = taken + part.taken, [*under_way, *part.under_way]
        return Recalled(taken, tuple(under_way))

    recalled = ask(invocation, run, "queue")
    if invocation.json:
        print_json({"recalled": recalled.taken, "under_way": [as_json(item) for item in recalled.under_way]})
    else:
        print(f"{recalled.taken} {'entry' if recalled.taken == 1 else 'entries'} taken back")
        for item in recalled.under_way:
            print(f"not taken back, under way already: entry {item.entry_id} to {printable(item.recipient)}")
    return EXIT_FAILED if recalled.under_way or (options.entries and not recalled.taken) else EXIT_OK


def _one_choice(options: argparse.Namespace, wanted: QueueFilter) -> None:
    """Raises WrongUse."""
    if sum([bool(options.entries), options.all, wanted != QueueFilter()]) != 1:
        raise WrongUse("name entries, or give --all, or say which ones (--to, --from, --domain, --reason, --older, --held)")


def _change(invocation: Invocation, what: str, change: Change) -> int:
    """Do it to the entries that are named, or to those that the filter fits."""
    entries, wanted = tuple(invocation.options.entries), wanted_by(invocation.options)
    _one_choice(invocation.options, wanted)

    async def run(store: StoreClient) -> int:
        named = entries or tuple(item.entry_id for item in await find_entries(store, wanted))
        count = 0
        for start in range(0, len(named), PAGE):
            count += await change(store, named[start : start + PAGE])
        return count

    return _report(invocation, what, entries, ask(invocation, run, "queue"))


def _report(invocation: Invocation, what: str, entries: tuple[EntryId, ...], count: int) -> int:
    if invocation.json:
        print_json({what: count})
    else:
        print(f"{count} {'entry' if count == 1 else 'entries'} {what}")
    return EXIT_FAILED if entries and not count else EXIT_OK
