"""`pillarbox space status|compact`: what the contents take, and what of it is given back."""

import argparse
from typing import Any

from shared.cli.invocation import EXIT_OK, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import iso_time, local_time, print_json, printable, size_text
from shared.cli.store_access import ask
from shared.contract.space_types import SpaceStatus


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    add_noun(
        nouns,
        "space",
        "the space that contents take",
        Verb("status", show_status, "show what is in use, what is dead, and what is being given back"),
        Verb("compact", compact, "look now for files that are worth being written anew; it goes on in the background"),
    )


def as_json(status: SpaceStatus) -> dict[str, Any]:
    """Stable fields."""
    return {
        "packs": status.packs,
        "octets": status.octets,
        "live_octets": status.octets - status.dead_octets,
        "dead_octets": status.dead_octets,
        "at_work": status.at_work or None,
        "retired": status.retired,
        "retired_octets": status.retired_octets,
        "moved_octets": status.moved_octets,
        "given_back_octets": status.given_back_octets,
        "failure": status.failure,
        "history": {
            "messages": status.history_messages,
            "octets": status.history_octets,
            "since": iso_time(status.history_since),
        },
    }


def lines_for(status: SpaceStatus) -> list[str]:
    """Sentences."""
    live = size_text(status.octets - status.dead_octets)
    files = "1 pack" if status.packs == 1 else f"{status.packs} packs"
    lines = [f"{files}: {live} in use, {size_text(status.dead_octets)} dead"]
    if status.history_messages:
        many = "1 deleted message" if status.history_messages == 1 else f"{status.history_messages} deleted messages"
        since = local_time(status.history_since)
        lines.append(f"{size_text(status.history_octets)} of that held by {many} (pillarbox undo, back to {since})")
    if status.at_work:
        lines.append(f"pack {status.at_work} is being written anew")
    if status.retired:
        lines.append(f"{size_text(status.retired_octets)} in {status.retired} old packs about to be given back")
    if status.given_back_octets:
        lines.append(f"{size_text(status.given_back_octets)} given back since the store started")
    if status.failure:
        lines.append(f"last failure: {printable(status.failure)}")
    return lines


def show_status(invocation: Invocation) -> int:
    """A few lines."""
    _print(invocation, ask(invocation, lambda store: store.space.status()))
    return EXIT_OK


def compact(invocation: Invocation) -> int:
    """Returns at once."""
    _print(invocation, ask(invocation, lambda store: store.space.compact()))
    return EXIT_OK


def _print(invocation: Invocation, status: SpaceStatus) -> None:
    if invocation.json:
        print_json(as_json(status))
    else:
        print("\n".join(lines_for(status)))
