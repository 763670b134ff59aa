"""`pillarbox relay use|ways|forget`: which mail takes which relay, by rule or because it was learned."""

import argparse
import time
from collections.abc import Sequence
from typing import Any, Final

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb
from shared.cli.output import age_text, iso_time, local_time, print_json, print_table
from shared.cli.store_access import ask
from shared.contract.relay_types import ANYWHERE, DIRECT, LearnedWay, RelayRule


def as_json(rule: RelayRule) -> dict[str, Any]:
    """Stable fields."""
    return {"from": rule.sender_domain or None, "to": rule.recipient_domain or None, "relay": rule.relay}


def way_as_json(way: LearnedWay) -> dict[str, Any]:
    """Stable fields."""
    return {
        "destination": way.destination,
        "way": way.way,
        "reason": way.reason,
        "since": iso_time(way.since),
        "until": iso_time(way.until),
        "times": way.times,
    }


def print_rules(rules: Sequence[RelayRule]) -> None:
    """A table."""
    rows = [(rule.sender_domain or "any", rule.recipient_domain or "any", rule.relay) for rule in rules]
    print_table(("FROM", "TO", "RELAY"), rows)


def parse_rule(options: argparse.Namespace) -> RelayRule:
    """The rule that the words say; its relay is empty for --default. Raises WrongUse."""
    if sum((options.name is not None, options.direct, options.default)) != 1:
        raise WrongUse("which way? NAME of a relay, --direct, or --default (no rule)")
    sender, recipient = options.sender or "", options.recipient or ""
    if options.all == bool(sender or recipient):
        raise WrongUse("which mail? --from DOMAIN, --to DOMAIN, both, or --all")
    return RelayRule(sender, recipient, DIRECT if options.direct else options.name or "")


def use(invocation: Invocation) -> int:
    """Set a rule, or take it away."""
    rule = parse_rule(invocation.options)
    if not rule.relay:
        ask(invocation, lambda store: store.relays.unuse(rule.sender_domain, rule.recipient_domain), "relay rule")
        stored = rule
    else:
        stored = ask(invocation, lambda store: store.relays.use(rule), f"relay {rule.relay}")
    if invocation.json:
        print_json(as_json(stored))
    else:
        print(f"mail from {stored.sender_domain or 'any domain'} to {stored.recipient_domain or 'any domain'}: {_words(stored)}")
    return EXIT_OK


def _words(rule: RelayRule) -> str:
    if not rule.relay:
        return "no rule any more"
    return "direct" if rule.relay == DIRECT else f"through relay {rule.relay}"


def ways(invocation: Invocation) -> int:
    """What smtp_out has learned."""
    known = ask(invocation, lambda store: store.relays.ways())
    if invocation.json:
        print_json([way_as_json(way) for way in known])
        return EXIT_OK
    now = time.time()
    rows = [
        (
            "all (port 25)" if way.destination == ANYWHERE else way.destination,
            "IPv4 only" if way.way == "ipv4" else f"relay {way.way}",
            local_time(way.since),
            f"in {age_text(way.until - now)}" if way.until > now else "with the next message",
            way.reason,
        )
        for way in known
    ]
    print_table(("DESTINATION", "WAY", "SINCE", "TRIED DIRECTLY AGAIN", "REASON"), rows)
    return EXIT_OK


def forget(invocation: Invocation) -> int:
    """Mail goes direct again."""
    destinations: tuple[str, ...] = tuple(invocation.options.destinations)
    if bool(destinations) == invocation.options.all:
        raise WrongUse("name destinations, or give --all")
    count = ask(invocation, lambda store: store.relays.unlearn(destinations))
    if invocation.json:
        print_json({"forgotten": count})
    else:
        print(f"{count} {'way' if count == 1 else 'ways'} forgotten")
    return EXIT_OK if count or not destinations else EXIT_FAILED


VERBS: Final = (
    Verb(
        "use",
        use,
        "say which mail takes a relay",
        (
            ("name", {"metavar": "NAME", "nargs": "?", "help": "the relay"}),
            ("--direct", {"action": "store_true", "help": "no relay: the recipients' own servers"}),
            ("--default", {"action": "store_true", "help": "take the rule away"}),
            ("--from", {"dest": "sender", "metavar": "DOMAIN", "help": "mail whose sender is of this domain"}),
            ("--to", {"dest": "recipient", "metavar": "DOMAIN", "help": "mail to recipients of this domain"}),
            ("--all", {"action": "store_true", "help": "all mail that no other rule is about"}),
        ),
    ),
    Verb("ways", ways, "show which destinations go another way because they refused us"),
    Verb(
        "forget",
        forget,
        "forget learned ways: mail goes direct again",
        (
            ("destinations", {"metavar": "DESTINATION", "nargs": "*"}),
            ("--all", {"action": "store_true", "help": "every destination"}),
        ),
    ),
)
