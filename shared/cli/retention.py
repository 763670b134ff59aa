r"""`pillarbox retention list|set|remove|run`: how long mail is kept.

    pillarbox retention set --mailbox '\Trash' --days 30
    pillarbox retention set --account me@example.org --mailbox Archive --keep-for-ever
"""

import argparse
from typing import Any, Final

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, CommandFailed, Invocation, WrongUse
from shared.cli.nouns import Verb, Word, add_noun
from shared.cli.output import iso_time, local_time, print_json, print_table, printable, size_text
from shared.cli.store_access import StoreClient, ask
from shared.contract.retention_types import (
    EVERY_ACCOUNT,
    EVERY_MAILBOX,
    MAX_DAYS,
    MAX_MESSAGES,
    Due,
    Retention,
    RetentionRule,
)
from shared.errors import NoSuchMailbox
from shared.model.ids import MailboxId

_WHERE: Final[tuple[Word, ...]] = (
    ("--account", {"metavar": "ADDRESS", "default": EVERY_ACCOUNT, "help": "of this account (else of all)"}),
    (
        "--mailbox",
        {"metavar": "NAME", "default": EVERY_MAILBOX, "help": r"name or special use (\Trash, \Junk ...); else every mailbox"},
    ),
)


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    add_noun(
        nouns,
        "retention",
        "how long mail is kept; without a rule, for ever",
        Verb("list", list_rules, "list the rules; an account's own come first, then the most specific"),
        Verb(
            "set",
            set_rule,
            "let messages go after some days, or all but the newest, or keep them for ever",
            (
                *_WHERE,
                ("--days", {"metavar": "N", "type": int, "help": "days after they came into the mailbox"}),
                ("--messages", {"metavar": "N", "type": int, "help": "all but the newest N"}),
                (
                    "--downloaded-days",
                    {"metavar": "N", "type": int, "help": "days after a device first downloaded them by POP3"},
                ),
                ("--keep-for-ever", {"action": "store_true", "help": "whatever a more general rule says"}),
            ),
        ),
        Verb("remove", remove_rule, "remove a rule", _WHERE),
        Verb(
            "run",
            run,
            "let go now of what the rules say (the store does it by itself, too)",
            (
                ("--dry-run", {"action": "store_true", "help": "only show what would go"}),
                ("--trust-clock", {"action": "store_true", "help": "by age even though the clock jumped"}),
            ),
        ),
    )


def words_for(rule: RetentionRule) -> str:
    """`30 days`, `the newest 1000`, `for ever`"""
    words = []
    if rule.days is not None:
        words.append(f"{rule.days} day{'' if rule.days == 1 else 's'}")
    if rule.messages is not None:
        words.append(f"the newest {rule.messages}")
    if rule.downloaded_days is not None:
        words.append(f"{rule.downloaded_days} day{'' if rule.downloaded_days == 1 else 's'} after download by POP3")
    return ", ".join(words) or "for ever"


def rule_as_json(rule: RetentionRule) -> dict[str, Any]:
    """Stable fields; account and mailbox null: all."""
    return {
        "account": rule.address or None,
        "mailbox": rule.mailbox or None,
        "days": rule.days,
        "messages": rule.messages,
        "downloaded_days": rule.downloaded_days,
        "for_ever": rule.days is None and rule.messages is None and rule.downloaded_days is None,
    }


def _cells(rule: RetentionRule) -> tuple[str, str, str]:
    return rule.address or "(all)", rule.mailbox or "(every)", words_for(rule)


def list_rules(invocation: Invocation) -> int:
    """The rules, and a word about the clock where it is held."""
    retention = ask(invocation, lambda store: store.retention.show())
    if invocation.json:
        print_json(
            {
                "rules": [rule_as_json(rule) for rule in retention.rules],
                "looked_at": iso_time(retention.looked_at) if retention.looked_at else None,
                "clock_held_until": iso_time(retention.held_until) if retention.held_until else None,
            }
        )
        return EXIT_OK
    if not retention.rules:
        print("no rules: all mail is kept for ever")
    print_table(("ACCOUNT", "MAILBOX", "KEEPS"), [_cells(rule) for rule in retention.rules])
    _print_held(retention)
    return EXIT_OK


def _print_held(retention: Retention) -> None:
    if retention.held_until:
        until = local_time(retention.held_until)
        print(
            f"The clock jumped by more than a day (or the machine was off): nothing goes by its age until {until}.\n"
            "If the time is right: pillarbox retention run --trust-clock"
        )


def _where(invocation: Invocation) -> tuple[str, str]:
    address: str = invocation.options.account
    mailbox: str = invocation.options.mailbox
    return check_address(address) if address else EVERY_ACCOUNT, mailbox


def _about(address: str, mailbox: str) -> str:
    return f"retention of {printable(mailbox) or 'every mailbox'} of {address or 'all accounts'}"


def set_rule(invocation: Invocation) -> int:
    """Prints the rule as it is kept. Raises WrongUse."""
    options = invocation.options
    numbers = (
        ("--days", options.days, MAX_DAYS),
        ("--messages", options.messages, MAX_MESSAGES),
        ("--downloaded-days", options.downloaded_days, MAX_DAYS),
    )
    if options.keep_for_ever == any(value is not None for _, value, _ in numbers):
        raise WrongUse("say how long: --days N, --messages N, --downloaded-days N, or --keep-for-ever")
    for name, value, most in numbers:
        if value is not None and not 1 <= value <= most:
            raise WrongUse(f"{name}: a number from 1 to {most}")
    address, mailbox = _where(invocation)
    rule = RetentionRule(address, mailbox, options.days, options.messages, options.downloaded_days)
    kept = ask(invocation, lambda store: store.retention.set(rule), _about(address, mailbox))
    if invocation.json:
        print_json(rule_as_json(kept))
    else:
        print_table(("ACCOUNT", "MAILBOX", "KEEPS"), [_cells(kept)])
    return EXIT_OK


def remove_rule(invocation: Invocation) -> int:
    """The rule of exactly this account and mailbox."""
    address, mailbox = _where(invocation)
    ask(invocation, lambda store: store.retention.remove(address, mailbox), _about(address, mailbox))
    if invocation.json:
        print_json({"removed": {"account": address or None, "mailbox": mailbox or None}})
    else:
        print(f"{_about(address, mailbox)} removed")
    return EXIT_OK


def _goes_by_age(rule: RetentionRule) -> bool:
    return rule.days is not None or rule.downloaded_days is not None


async def all_due(store: StoreClient) -> list[Due]:
    """Page by page."""
    due: list[Due] = []
    after = MailboxId(0)
    while True:
        page = await store.retention.due(after)
        due += page.due
        if not page.next:
            return due
        after = page.next


def run(invocation: Invocation) -> int:
    """What goes, or would go, by mailbox. Raises CommandFailed where the clock is not trusted."""
    dry, trust = invocation.options.dry_run, invocation.options.trust_clock

    async def look(store: StoreClient) -> tuple[Retention, list[Due]]:
        return await store.retention.show(), await all_due(store)

    retention, due = ask(invocation, look)
    if not dry and not trust and retention.held_until and any(_goes_by_age(each.rule) for each in due):
        raise CommandFailed(
            "the clock jumped by more than a day, or the machine was off: look at --dry-run, and if the time is right, add --trust-clock"
        )

    async def expire(store: StoreClient) -> list[int]:
        return [await _expire(store, each, trust=trust) for each in due]

    gone = [each.messages for each in due] if dry else ask(invocation, expire)
    rows = list(zip(due, gone, strict=True))
    if invocation.json:
        print_json([_as_json(due, gone, dry=dry) for due, gone in rows])
        return EXIT_OK
    if not rows:
        print("nothing is to go")
    days = [(local_time(due.oldest), local_time(due.newest)) for due, _ in rows]
    print_table(
        ("ACCOUNT", "MAILBOX", "KEEPS", "MESSAGES", "SIZE", "OLDEST", "NEWEST"),
        [
            (due.address, due.mailbox, words_for(due.rule), gone, size_text(due.octets), *day)
            for (due, gone), day in zip(rows, days, strict=True)
        ],
    )
    if dry:
        _print_held(retention)
    return EXIT_OK


async def _expire(store: StoreClient, due: Due, *, trust: bool) -> int:
    """Piece by piece."""
    gone = 0
    try:
        while piece := await store.retention.expire(due.mailbox_id, trust):
            gone += piece
    except NoSuchMailbox:
        pass  # its owner was faster
    return gone


def _as_json(due: Due, gone: int, *, dry: bool) -> dict[str, Any]:
    return {
        "account": due.address,
        "mailbox": due.mailbox,
        "rule": rule_as_json(due.rule),
        "messages": gone,
        "octets": due.octets,
        "oldest": iso_time(due.oldest),
        "newest": iso_time(due.newest),
        "removed": not dry,
    }
