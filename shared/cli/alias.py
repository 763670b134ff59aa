"""`pillarbox alias add|posting|list|remove ADDRESS ...`: addresses that lead to others, and who may post to them."""

import argparse
from typing import Any

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, print_table
from shared.cli.store_access import StoreClient, ask
from shared.contract.group_types import Posting
from shared.contract.types import AliasInfo


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    address = ("address", {"metavar": "ADDRESS"})
    add_noun(
        nouns,
        "alias",
        "addresses that lead to others",
        Verb("add", add, "add targets to an address", (address, ("targets", {"metavar": "TARGET", "nargs": "+"}))),
        Verb(
            "posting",
            posting,
            "say who may post to an address: everybody, its members (whom it leads to, and owners), or its owners alone",
            (
                address,
                ("posting", {"choices": [each.value for each in Posting]}),
                ("--owner", {"metavar": "ADDRESS", "action": "append", "default": [], "help": "an owner; in place of those until now"}),
            ),
        ),
        Verb("list", list_aliases, "show all aliases"),
        Verb(
            "remove",
            remove,
            "remove targets, or the whole alias when none is named",
            (address, ("targets", {"metavar": "TARGET", "nargs": "*"})),
        ),
    )


def as_json(alias: AliasInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": alias.address,
        "targets": list(alias.targets),
        "posting": alias.posting.value,
        "owners": list(alias.owners),
    }


def posting(invocation: Invocation) -> int:
    """Prints what holds now."""
    address = check_address(invocation.options.address)
    wanted = Posting(invocation.options.posting)
    owners = tuple(check_address(owner) for owner in invocation.options.owner)
    alias = ask(invocation, lambda store: store.admin.alias_posting(address, wanted, owners), f"alias {address}")
    if invocation.json:
        print_json(as_json(alias))
    else:
        print(f"alias {alias.address} takes mail from {_posters(alias)}")
    return EXIT_OK


def _posters(alias: AliasInfo) -> str:
    return f"{alias.posting} ({', '.join(alias.owners)})" if alias.owners else str(alias.posting)


def add(invocation: Invocation) -> int:
    """Prints the alias with all of its targets."""
    address = check_address(invocation.options.address)
    targets = tuple(check_address(target) for target in invocation.options.targets)
    alias = ask(invocation, lambda store: store.admin.alias_add(address, targets), f"alias {address}")
    if invocation.json:
        print_json(as_json(alias))
    else:
        print(f"alias {alias.address} leads to {', '.join(alias.targets)}")
    return EXIT_OK


async def all_aliases(store: StoreClient) -> list[AliasInfo]:
    """Page by page."""
    aliases: list[AliasInfo] = []
    while True:
        page = await store.admin.alias_list(aliases[-1].address if aliases else "")
        if not page:
            return aliases
        aliases.extend(page)


def list_aliases(invocation: Invocation) -> int:
    """By address."""
    aliases = ask(invocation, all_aliases)
    if invocation.json:
        print_json([as_json(alias) for alias in aliases])
    else:
        print_table(("ALIAS", "POSTING", "TARGETS"), [(a.address, _posters(a), ", ".join(a.targets)) for a in aliases])
    return EXIT_OK


def remove(invocation: Invocation) -> int:
    """Some targets, or all."""
    address = check_address(invocation.options.address)
    targets = tuple(check_address(target) for target in invocation.options.targets)
    ask(invocation, lambda store: store.admin.alias_remove(address, targets), f"alias {address}")
    if invocation.json:
        print_json({"removed": address, "targets": list(targets)})
    elif targets:
        print(f"alias {address} no longer leads to {', '.join(targets)}")
    else:
        print(f"alias {address} removed")
    return EXIT_OK
