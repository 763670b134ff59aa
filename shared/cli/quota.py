"""`pillarbox quota set|show|recount ADDRESS|DOMAIN`: what accounts and domains hold, and what they may hold."""

import argparse
import re
from typing import Any, Final

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_DAMAGED, EXIT_OK, CommandFailed, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, print_table, size_text
from shared.cli.store_access import StoreClient, ask
from shared.contract.sharing_types import Quota, Recounted
from shared.errors import NotFound

NONE: Final = "none"
_SIZE: Final = re.compile(r"(\d{1,15})([kmgt])(i?)b?", re.ASCII | re.IGNORECASE)
_COUNT: Final = re.compile(r"(\d{1,15})(?:messages)?", re.ASCII | re.IGNORECASE)
_STEPS: Final = "kmgt"


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    root = {"metavar": "ADDRESS|DOMAIN"}
    add_noun(
        nouns,
        "quota",
        "what accounts and domains hold and may hold",
        Verb(
            "set",
            set_quota,
            "limit an account, or all accounts of a domain together: a size (2G, 500M), a number of messages (10000), or none for no "
            "limit; what is not named stays",
            (("root", root), ("limits", {"metavar": "SIZE|COUNT|none", "nargs": "+"})),
        ),
        Verb("show", show, "show one or all", (("root", {**root, "nargs": "?"}),)),
        Verb(
            "recount",
            recount,
            "count anew what one or all hold, and say whether the counters were right",
            (("root", {**root, "nargs": "?"}),),
        ),
    )


def check_root(text: str) -> str:
    """An address, or ``@domain`` for a domain with or without its at. Raises CommandFailed."""
    if text.startswith("@") or "@" not in text:
        return f"@{text.removeprefix('@')}"
    return check_address(text)


def name_of(root: str) -> str:
    """As it is called in what is printed."""
    return f"domain {root[1:]}" if root.startswith("@") else f"account {root}"


def parse_limit(text: str) -> tuple[str, int]:
    """``octets`` or ``messages`` with the limit. Raises CommandFailed. K, M, G, T are powers of 1000, Ki and so on of 1024."""
    size = _SIZE.fullmatch(text)
    if size is not None:
        number, step, binary = size.groups()
        return "octets", int(number) * (1024 if binary else 1000) ** (_STEPS.index(step.lower()) + 1)
    count = _COUNT.fullmatch(text)
    if count is not None:
        return "messages", int(count.group(1))
    raise CommandFailed(f"{text}: neither a size (2G, 500M) nor a number of messages")


def as_json(quota: Quota) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": quota.address,
        "messages": quota.messages,
        "octets": quota.octets,
        "most_messages": quota.most_messages,
        "most_octets": quota.most_octets,
    }


def _print(quotas: list[Quota]) -> None:
    rows = [
        (
            quota.address,
            size_text(quota.octets),
            "-" if quota.most_octets is None else size_text(quota.most_octets),
            str(quota.messages),
            "-" if quota.most_messages is None else str(quota.most_messages),
        )
        for quota in quotas
    ]
    print_table(("ACCOUNT", "SIZE", "OF", "MESSAGES", "OF"), rows)


def set_quota(invocation: Invocation) -> int:
    """Prints what the account or domain holds and may hold now."""
    root = check_root(invocation.options.root)
    words: list[str] = invocation.options.limits
    unlimited = [word.lower() for word in words] == [NONE]
    limits: dict[str, int | None] = {"messages": None, "octets": None} if unlimited else dict(map(parse_limit, words))

    async def question(store: StoreClient) -> Quota:
        now = await store.admin.quota_show(root)
        messages = limits.get("messages", now.most_messages)
        octets = limits.get("octets", now.most_octets)
        return await store.admin.quota_set(root, messages, octets)

    quota = ask(invocation, question, name_of(root))
    if invocation.json:
        print_json(as_json(quota))
    else:
        _print([quota])
    return EXIT_OK


async def all_quotas(store: StoreClient) -> list[Quota]:
    """Of domains, then of accounts, page by page."""
    accounts: list[Quota] = []
    while True:
        page = await store.admin.quota_list(accounts[-1].address if accounts else "")
        if not page:
            return [*await store.admin.quota_domains(), *accounts]
        accounts.extend(page)


def show(invocation: Invocation) -> int:
    """One, or all."""
    if invocation.options.root is None:
        quotas = ask(invocation, all_quotas)
    else:
        root = check_root(invocation.options.root)
        quotas = [ask(invocation, lambda store: store.admin.quota_show(root), name_of(root))]
    if invocation.json:
        print_json([as_json(quota) for quota in quotas])
    else:
        _print(quotas)
    return EXIT_OK


async def _recount(store: StoreClient, root: str | None) -> list[Recounted]:
    """Accounts, each from its messages, before the domains that they add up to. Raises NotFound for what was named."""
    quotas = await all_quotas(store)
    roots = [quota.address for quota in sorted(quotas, key=lambda quota: quota.address.startswith("@"))]
    if root is not None:
        first = await store.admin.quota_show(root)
        wanted = first.address
        roots = [each for each in roots if each == wanted or (wanted.startswith("@") and each.endswith(wanted))]
    counted = []
    for each in roots:
        try:
            counted.append(await store.admin.quota_recount(each))
        except NotFound:
            continue  # removed meanwhile
    return counted


def recount(invocation: Invocation) -> int:
    """EXIT_DAMAGED where a counter was wrong; it is right afterwards."""
    named = invocation.options.root
    root = None if named is None else check_root(named)
    counted = ask(invocation, lambda store: _recount(store, root), "" if root is None else name_of(root))
    wrong = [each for each in counted if each.before != each.now or each.mailboxes]
    if invocation.json:
        rows = [{**as_json(each.now), "before": as_json(each.before), "wrong_mailboxes": each.mailboxes} for each in counted]
        print_json(rows)
    else:
        _print([each.now for each in counted])
        for each in wrong:
            before = each.before
            print(f"{before.address}: {before.messages} messages, {before.octets} octets were noted; put right")
        if not wrong:
            print("all counters were right")
    return EXIT_DAMAGED if wrong else EXIT_OK
