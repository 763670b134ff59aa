"""`pillarbox queue list|show|retry|remove`: mail that waits to go out, one entry per recipient."""

import argparse
import time
from typing import Any, Final

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import age_text, iso_time, local_time, print_json, print_table, printable, size_text
from shared.cli.store_access import StoreClient, ask
from shared.contract.types import AttemptInfo, QueueItem
from shared.model.ids import EntryId

PAGE: Final = 500


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    entry = ("entry", {"metavar": "ENTRY", "type": entry_id})
    some = ("entries", {"metavar": "ENTRY", "nargs": "*", "type": entry_id})
    all_of_them = ("--all", {"action": "store_true", "help": "every entry"})
    add_noun(
        nouns,
        "queue",
        "mail that waits to go out",
        Verb("list", list_entries, "show what waits"),
        Verb("show", show, "show one entry with its attempts", (entry,)),
        Verb("retry", retry, "try entries now (all when none is named)", (some, all_of_them)),
        Verb("remove", remove, "take entries out without a bounce", (some, all_of_them)),
    )


def entry_id(word: str) -> EntryId:
    """A positive number; argparse makes the message."""
    number = int(word) if word.isascii() and word.isdigit() else 0
    if not 0 < number < 1 << 63:
        raise argparse.ArgumentTypeError(f"{word} is not an entry's number")
    return EntryId(number)


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
    }


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
    }


def next_try(item: QueueItem, now: float) -> str:
    """When it goes out again, in words."""
    if item.leased_by:
        return "under way"
    return "now" if item.due_at <= now else f"in {age_text(item.due_at - now)}"


async def all_entries(store: StoreClient) -> list[QueueItem]:
    """Page by page."""
    items: list[QueueItem] = []
    while True:
        page = await store.admin.queue_list(items[-1].entry_id if items else EntryId(0), PAGE)
        if not page:
            return items
        items.extend(page)


def list_entries(invocation: Invocation) -> int:
    """By entry number."""
    items = ask(invocation, all_entries)
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
        ("size", size_text(item.octets)),
        ("queued", local_time(item.queued_at)),
        ("next try", next_try(item, now)),
        ("expires", local_time(item.expires_at)),
        ("attempts", item.attempts),
    )
    for label, value in lines:
        print(f"{label + ':':<13}{printable(value)}")
    rows = [(local_time(a.at), a.kind.value, a.code or "", a.remote, a.tls, a.text) for a in item.history]
    print_table(("AT", "OUTCOME", "CODE", "REMOTE", "TLS", "ANSWER"), rows)
    return EXIT_OK


def retry(invocation: Invocation) -> int:
    """Make entries due."""
    entries = tuple(invocation.options.entries)
    if entries and invocation.options.all:
        raise WrongUse("name entries or give --all, not both")
    return _report(invocation, "retried", entries, ask(invocation, lambda store: store.admin.queue_retry(entries)))


def remove(invocation: Invocation) -> int:
    """Take entries out; nobody is told."""
    entries = tuple(invocation.options.entries)
    if bool(entries) == invocation.options.all:
        raise WrongUse("name the entries to remove, or give --all")

    async def take_out(store: StoreClient) -> int:
        named = entries or tuple(item.entry_id for item in await all_entries(store))
        count = 0
        for start in range(0, len(named), PAGE):
            count += await store.admin.queue_remove(named[start : start + PAGE])
        return count

    return _report(invocation, "removed", entries, ask(invocation, take_out))


def _report(invocation: Invocation, what: str, entries: tuple[EntryId, ...], count: int) -> int:
    if invocation.json:
        print_json({what: count})
    else:
        print(f"{count} {'entry' if count == 1 else 'entries'} {what}")
    return EXIT_FAILED if entries and not count else EXIT_OK
