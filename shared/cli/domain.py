"""`pillarbox domain add|list|remove|catch-all|dns|dkim-rotate|dkim-activate|tls-reports NAME`: the domains whose mail is ours."""

import argparse
from collections.abc import Sequence
from typing import Any

from shared.cli import tls_reports
from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, print_table
from shared.cli.store_access import ask
from shared.contract.dkim_types import DnsRecord
from shared.contract.types import DomainInfo


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    name = ("name", {"metavar": "NAME"})
    alias_of = ("--alias-of", {"metavar": "DOMAIN", "default": "", "help": "the same addresses as in this domain"})
    to = ("addresses", {"metavar": "ADDRESS", "nargs": "*", "help": "one or more, in place of those until now"})
    off = ("--off", {"action": "store_true", "help": "refuse what is for nobody"})
    add_noun(
        nouns,
        "domain",
        "domains whose mail is kept here",
        Verb("add", add, "take mail for a domain", (name, alias_of)),
        Verb("list", list_domains, "show all domains"),
        Verb(
            "catch-all", catch_all, "say who gets what is for nobody else in a domain, or --off: nobody", (name, to, off)
        ),
        Verb("dns", show_dns, "show the DNS records to publish", (name,)),
        Verb("dkim-rotate", rotate_keys, "make new DKIM keys, to be published before they sign", (name,)),
        Verb("dkim-activate", activate_keys, "sign with the new DKIM keys, once their records are published", (name,)),
        Verb("tls-reports", tls_reports.show_reports, "sum up what others reported of TLS with its servers", tls_reports.WORDS),
        Verb("remove", remove, "no longer take mail for a domain", (name,)),
    )


def as_json(domain: DomainInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "name": domain.name,
        "accounts": domain.accounts,
        "aliases": domain.aliases,
        "alias_of": domain.alias_of or None,
    }


def add(invocation: Invocation) -> int:
    """Prints the domain as stored."""
    name, target = invocation.options.name, invocation.options.alias_of
    domain = ask(
        invocation,
        lambda store: store.admin.domain_alias(name, target) if target else store.admin.domain_add(name),
        f"domain {name}",
    )
    if invocation.json:
        print_json(as_json(domain))
    else:
        print(f"domain {domain.name} added" + (f" as an alias of {domain.alias_of}" if domain.alias_of else ""))
    return EXIT_OK


def catch_all(invocation: Invocation) -> int:
    """Prints who gets it now."""
    name, off = invocation.options.name, invocation.options.off
    targets = tuple(check_address(address) for address in invocation.options.addresses)
    if bool(targets) == off:
        raise WrongUse("name the addresses that get it, or --off")
    alias = ask(invocation, lambda store: store.admin.domain_catch_all(name, targets), f"domain {name}")
    if invocation.json:
        print_json({"name": alias.address[1:], "catch_all": list(alias.targets)})
    elif alias.targets:
        print(f"all other addresses of {alias.address[1:]} lead to {', '.join(alias.targets)}")
    else:
        print(f"nobody gets mail for unknown addresses of {alias.address[1:]}")
    return EXIT_OK


def list_domains(invocation: Invocation) -> int:
    """By name."""
    domains = ask(invocation, lambda store: store.admin.domain_list())
    if invocation.json:
        print_json([as_json(domain) for domain in domains])
    else:
        print_table(
            ("DOMAIN", "ACCOUNTS", "ALIASES", "STANDS FOR"),
            [(d.name, d.accounts, d.aliases, d.alias_of) for d in domains],
        )
    return EXIT_OK


def show_dns(invocation: Invocation) -> int:
    """As lines for a zone file, each with a comment that says what it is for."""
    name = invocation.options.name
    return _print_records(invocation, ask(invocation, lambda store: store.admin.domain_dns(name), f"domain {name}"))


def rotate_keys(invocation: Invocation) -> int:
    """Prints the records of the new keys."""
    name = invocation.options.name
    records = ask(invocation, lambda store: store.admin.dkim_rotate(name), f"domain {name}")
    if not invocation.json:
        print(f"; publish these, wait until they are seen, then: pillarbox domain dkim-activate {name}")
    return _print_records(invocation, records)


def activate_keys(invocation: Invocation) -> int:
    """Prints the records of the keys that sign no more."""
    name = invocation.options.name
    records = ask(invocation, lambda store: store.admin.dkim_activate(name), f"domain {name}")
    if not invocation.json:
        print("; the new keys sign now; keep these records for a week, then take them out")
    return _print_records(invocation, records)


def _print_records(invocation: Invocation, records: Sequence[DnsRecord]) -> int:
    if invocation.json:
        print_json([{"name": r.name, "type": r.type, "value": r.value, "purpose": r.purpose} for r in records])
        return EXIT_OK
    for record in records:
        value = zone_text(record.value) if record.type == "TXT" else record.value
        print(f"; {record.purpose}\n{record.name}. IN {record.type} {value}")
    return EXIT_OK


def zone_text(text: str) -> str:
    """A TXT record's text in quoted pieces of at most 255 octets (RFC 1035 §3.3.14)."""
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


def remove(invocation: Invocation) -> int:
    """Refused by the store while accounts or aliases use it."""
    name = invocation.options.name
    ask(invocation, lambda store: store.admin.domain_remove(name), f"domain {name}")
    if invocation.json:
        print_json({"removed": name})
    else:
        print(f"domain {name} removed")
    return EXIT_OK
