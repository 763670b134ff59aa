"""`pillarbox search status|rebuild`: the text search index."""

import argparse
import sys
from typing import Any, Final

import trio

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, printable, size_text
from shared.cli.progress import share_bar
from shared.cli.store_access import StoreClient, ask
from shared.contract.search_types import SearchStatus

ASK_SECONDS: Final = 0.3
"""Between two looks at a rebuild."""


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    add_noun(
        nouns,
        "search",
        "the text search index",
        Verb("status", show_status, "show how much is indexed and what it takes"),
        Verb("rebuild", rebuild, "build the index anew; searches go on meanwhile"),
    )


def as_json(status: SearchStatus) -> dict[str, Any]:
    """Stable fields."""
    return {
        "enabled": status.enabled,
        "running": status.running,
        "rebuilding": status.rebuilding,
        "indexed": status.indexed,
        "tail": status.tail,
        "octets": status.octets,
        "octets_per_message": round(status.octets / status.indexed) if status.indexed else 0,
        "failure": status.failure,
    }


def show_status(invocation: Invocation) -> int:
    """A few lines."""
    status = ask(invocation, lambda store: store.admin.search_status())
    if invocation.json:
        print_json(as_json(status))
        return EXIT_OK
    if not status.enabled:
        print("the search index is turned off (store.search_index): a search reads all messages")
        return EXIT_OK
    each = f", {status.octets // status.indexed} octets each" if status.indexed else ""
    print(f"{status.indexed} messages indexed, {size_text(status.octets)} on disk{each}")
    work = "being rebuilt" if status.rebuilding else "the indexer is at work" if status.running else "the indexer rests"
    print(f"{status.tail} not indexed yet; {work}")
    if status.failure:
        print(f"the last run failed: {printable(status.failure)}")
    return EXIT_OK


def bar(done: int, total: int) -> str:
    """`[#####     ] 50 %  100 of 200 messages`"""
    share = min(done / total, 1.0) if total else 1.0
    return f"{share_bar(share)}  {min(done, total)} of {total} messages"


def rebuild(invocation: Invocation) -> int:
    """Ask for it, and wait until it is done. Ending this command does not end the rebuild."""
    show = sys.stderr.isatty() and not invocation.json

    async def follow(store: StoreClient) -> SearchStatus:
        begun = await store.admin.search_rebuild()
        total = begun.indexed + begun.tail
        status = begun
        while status.rebuilds == begun.rebuilds and not status.failure:
            if show:
                print("\r" + bar(status.done, total), end="", file=sys.stderr, flush=True)
            await trio.sleep(ASK_SECONDS)
            status = await store.admin.search_status()
        if show:
            print("\r" + bar(total if not status.failure else status.done, total), file=sys.stderr)
        return status

    status = ask(invocation, follow, "search rebuild")
    if invocation.json:
        print_json(as_json(status))
    elif status.failure:
        print(f"the rebuild failed and will be tried again: {printable(status.failure)}")
    else:
        print(f"{status.indexed} messages indexed, {size_text(status.octets)} on disk")
    return EXIT_FAILED if status.failure else EXIT_OK
