"""`pillarbox bans [list] | lift WHAT | lift --all | add NETWORK [--for 1d]`: who may not log in for a time."""

import argparse
import re
import time
from typing import Any, Final

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import age_text, iso_time, local_time, print_json, print_table
from shared.cli.store_access import StoreClient, ask
from shared.contract.bans_types import Ban

_SPAN: Final = re.compile(r"(\d{1,9})([smhdw]?)", re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words; without a verb it lists."""
    add_noun(
        nouns,
        "bans",
        "addresses, networks and accounts whose logins are refused",
        Verb("list", list_bans, "show the bans that hold"),
        Verb(
            "lift",
            lift,
            "end the bans that concern an address, a network or an account",
            (
                ("what", {"metavar": "ADDRESS|NETWORK|ACCOUNT", "nargs": "?"}),
                ("--all", {"action": "store_true", "help": "every ban"}),
            ),
        ),
        Verb(
            "add",
            add,
            "refuse logins from an address or network",
            (
                ("network", {"metavar": "NETWORK"}),
                ("--for", {"metavar": "TIME", "dest": "seconds", "type": seconds_of, "default": 86400,
                           "help": "how long: 30m, 12h, 1d (default), 2w"}),
            ),
        ),
        alone=list_bans,
    )  # fmt: skip


def seconds_of(word: str) -> int:
    """A length of time; argparse makes the message."""
    match = _SPAN.fullmatch(word)
    seconds = int(match.group(1)) * _SECONDS[match.group(2)] if match else 0
    if not 0 < seconds <= 3650 * 86400:
        raise argparse.ArgumentTypeError(f"{word} is not a length of time (30m, 12h, 1d, 2w; at most ten years)")
    return seconds


def as_json(ban: Ban) -> dict[str, Any]:
    """Stable fields."""
    return {
        "kind": ban.kind.value,
        "subject": ban.subject,
        "since": iso_time(ban.since),
        "until": iso_time(ban.until),
        "failures": ban.failures,
        "times": ban.times,
        "tried": list(ban.tried),
        "manual": ban.manual,
    }


async def all_bans(store: StoreClient) -> list[Ban]:
    """Page by page."""
    bans: list[Ban] = []
    while page := await store.admin.bans_list(bans[-1].key if bans else ""):
        bans.extend(page)
    return bans


def list_bans(invocation: Invocation) -> int:
    """By kind and subject."""
    bans = ask(invocation, all_bans)
    if invocation.json:
        print_json([as_json(ban) for ban in bans])
        return EXIT_OK
    now = time.time()
    rows = [
        (b.kind.value, b.subject, local_time(b.since), local_time(b.until), f"in {age_text(b.until - now)}", b.failures,
         "administrator" if b.manual else f"ban {b.times} in a row", ", ".join(b.tried))
        for b in bans
    ]  # fmt: skip
    print_table(("KIND", "WHO", "SINCE", "UNTIL", "ENDS", "FAILURES", "BY", "TRIED"), rows)
    return EXIT_OK


def lift(invocation: Invocation) -> int:
    """At once; exit code 1 where nothing that was named is banned."""
    what, everything = invocation.options.what, invocation.options.all
    if (what is None) != everything:
        raise WrongUse("name an address, a network or an account, or give --all")

    async def end(store: StoreClient) -> int:
        return await (store.admin.bans_lift_all() if everything else store.admin.bans_lift(what))

    count = ask(invocation, end)
    if invocation.json:
        print_json({"lifted": count})
    else:
        print(f"{count} {'ban' if count == 1 else 'bans'} lifted")
    return EXIT_OK if count or everything else EXIT_FAILED


def add(invocation: Invocation) -> int:
    """For a day where nothing else is said."""
    network, seconds = invocation.options.network, float(invocation.options.seconds)
    ban = ask(invocation, lambda store: store.admin.bans_add(network, seconds))
    if invocation.json:
        print_json(as_json(ban))
    else:
        print(f"{ban.subject} is banned until {local_time(ban.until)}")
    return EXIT_OK
