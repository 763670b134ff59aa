"""`pillarbox quota set|show|recount ADDRESS`: what accounts hold, and what they may hold."""

import argparse
import re
from typing import Any, Final

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, CommandFailed, Invocation
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import print_json, print_table, size_text
from shared.cli.store_access import StoreClient, ask
from shared.contract.sharing_types import Quota

NONE: Final = "none"
_SIZE: Final = re.compile(r"(\d{1,15})([kmgt])(i?)b?", re.ASCII | re.IGNORECASE)
_COUNT: Final = re.compile(r"(\d{1,15})(?:messages)?", re.ASCII | re.IGNORECASE)
_STEPS: Final = "kmgt"


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    address = ("address", {"metavar": "ADDRESS"})
    add_noun(
        nouns,
        "quota",
        "what accounts hold and may hold",
        Verb(
            "set",
            set_quota,
            "limit an account: a size (2G, 500M), a number of messages (10000), or none for no limit; what is not named stays",
            (address, ("limits", {"metavar": "SIZE|COUNT|none", "nargs": "+"})),
        ),
        Verb("show", show, "show one account or all", (("address", {"metavar": "ADDRESS", "nargs": "?"}),)),
        Verb("recount", recount, "count anew what an account holds", (address,)),
    )


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
    """Prints what the account holds and may hold now."""
    address = check_address(invocation.options.address)
    words: list[str] = invocation.options.limits
    unlimited = [word.lower() for word in words] == [NONE]
    limits: dict[str, int | None] = {"messages": None, "octets": None} if unlimited else dict(map(parse_limit, words))

    async def question(store: StoreClient) -> Quota:
        now = await store.admin.quota_show(address)
        messages = limits.get("messages", now.most_messages)
        octets = limits.get("octets", now.most_octets)
        return await store.admin.quota_set(address, messages, octets)

    quota = ask(invocation, question, f"account {address}")
    if invocation.json:
        print_json(as_json(quota))
    else:
        _print([quota])
    return EXIT_OK


async def all_quotas(store: StoreClient) -> list[Quota]:
    """Page by page."""
    quotas: list[Quota] = []
    while True:
        page = await store.admin.quota_list(quotas[-1].address if quotas else "")
        if not page:
            return quotas
        quotas.extend(page)


def show(invocation: Invocation) -> int:
    """One account, or all by address."""
    if invocation.options.address is None:
        quotas = ask(invocation, all_quotas)
    else:
        address = check_address(invocation.options.address)
        quotas = [ask(invocation, lambda store: store.admin.quota_show(address), f"account {address}")]
    if invocation.json:
        print_json([as_json(quota) for quota in quotas])
    else:
        _print(quotas)
    return EXIT_OK


def recount(invocation: Invocation) -> int:
    """From the counters of its mailboxes, which every write keeps right."""
    address = check_address(invocation.options.address)
    quota = ask(invocation, lambda store: store.admin.quota_recount(address), f"account {address}")
    if invocation.json:
        print_json(as_json(quota))
    else:
        _print([quota])
    return EXIT_OK
