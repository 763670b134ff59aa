"""`pillarbox domain add|list|remove NAME`: the domains whose mail is ours."""

import argparse
from typing import Any

from shared.cli.invocation import EXIT_OK, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, print_table
from shared.cli.store_access import ask
from shared.contract.types import DomainInfo


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    name = ("name", {"metavar": "NAME"})
    add_noun(
        nouns,
        "domain",
        "domains whose mail is kept here",
        Verb("add", add, "take mail for a domain", (name,)),
        Verb("list", list_domains, "show all domains"),
        Verb("remove", remove, "no longer take mail for a domain", (name,)),
    )


def as_json(domain: DomainInfo) -> dict[str, Any]:
    """Stable fields."""
    return {"name": domain.name, "accounts": domain.accounts, "aliases": domain.aliases}


def add(invocation: Invocation) -> int:
    """Prints the domain as stored."""
    name = invocation.options.name
    domain = ask(invocation, lambda store: store.admin.domain_add(name), f"domain {name}")
    if invocation.json:
        print_json(as_json(domain))
    else:
        print(f"domain {domain.name} added")
    return EXIT_OK


def list_domains(invocation: Invocation) -> int:
    """By name."""
    domains = ask(invocation, lambda store: store.admin.domain_list())
    if invocation.json:
        print_json([as_json(domain) for domain in domains])
    else:
        print_table(("DOMAIN", "ACCOUNTS", "ALIASES"), [(d.name, d.accounts, d.aliases) for d in domains])
    return EXIT_OK


def remove(invocation: Invocation) -> int:
    """Refused by the store while accounts or aliases use it."""
    name = invocation.options.name
    ask(invocation, lambda store: store.admin.domain_remove(name), f"domain {name}")
    if invocation.json:
        print_json({"removed": name})
    else:
        print(f"domain {name} removed")
    return EXIT_OK
