"""`pillarbox store verify`: read everything that the store keeps, and say what is damaged.

A running store does it itself, in the background; of one that is stopped this command reads the files. Exit code 0: all is sound,
4: there is damage, 1: it could not be finished.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import trio

from shared.cli.environment import service_environment
from shared.cli.invocation import EXIT_DAMAGED, EXIT_OK, CommandFailed, Invocation, StoreAway, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import iso_time, local_time, print_json, print_table, printable
from shared.cli.progress import Bar
from shared.cli.quota import parse_limit
from shared.cli.run import settings_for
from shared.cli.service_process import is_terminal, run_job
from shared.cli.store_access import StoreClient, ask
from shared.contract.verify_types import Damage, DamageKind, VerifyStatus

ASK_SECONDS: Final = 0.3
"""Between two looks at a verification."""
CHECKER: Final = "services.store.verify.checker"


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    limit = ("--limit", {"metavar": "SIZE", "help": "octets to read per second (20M; default: store.verify_octets_per_second)"})
    add_noun(
        nouns,
        "store",
        "what the store keeps",
        Verb("verify", verify, "read everything and say what is damaged; mail goes on meanwhile", (limit,)),
    )


def speed(text: str | None) -> int:
    """Octets per second; 0: not said. Raises WrongUse."""
    if text is None:
        return 0
    try:
        kind, octets = parse_limit(text)
    except CommandFailed as error:
        raise WrongUse(f"--limit {error}") from None
    if kind != "octets" or not octets:
        raise WrongUse(f"--limit {text}: not a size (20M)")
    return octets


def verify(invocation: Invocation) -> int:
    """Waits until it is done. Ending this command does not end what a running store does."""
    limit = speed(invocation.options.limit)
    bar = Bar(show=is_terminal(invocation))
    try:
        status = ask(invocation, lambda store: _follow(store, limit, bar), "store verify")
    except StoreAway:
        if not (invocation.data / "store" / "pillarbox.db").exists():
            raise
        status = _verify_stopped(invocation, limit, bar)
    bar.end()
    if status.failure:
        raise CommandFailed(f"the store could not be verified: {printable(status.failure)}")
    _show(invocation, status)
    return EXIT_DAMAGED if status.damages else EXIT_OK


async def _follow(store: StoreClient, limit: int, bar: Bar) -> VerifyStatus:
    begun = status = await store.admin.verify_start(limit)
    while status.runs == begun.runs:
        bar.show(status.stage, status.done_octets, status.total_octets)
        await trio.sleep(ASK_SECONDS)
        status = await store.admin.verify_status()
    return status


def _verify_stopped(invocation: Invocation, limit: int, bar: Bar) -> VerifyStatus:
    settings = settings_for(service_environment(invocation, None))
    store = invocation.data / "store"
    named: list[Damage] = []
    counts: dict[str, int] = {}

    def heard(line: Mapping[str, Any]) -> None:
        if "stage" in line:
            bar.show(line["stage"], line["done"], line["total"])
        elif "damage" in line:
            fields = line["damage"]
            named.append(Damage(**{**fields, "kind": DamageKind(fields["kind"])}))
        elif "finished" in line:
            counts.update(line["finished"])

    words = ["--limit", str(limit or settings.store.verify_octets_per_second)]
    run_job(invocation, CHECKER, [str(store / "pillarbox.db"), str(store / "packs"), *words], heard)
    return VerifyStatus(
        running=False, stage="", done_octets=0, total_octets=0, runs=1, finished_at=0.0, records=counts["records"],
        messages=counts["messages"], damages=counts["damages"], named=tuple(named), failure="",
    )  # fmt: skip


def _show(invocation: Invocation, status: VerifyStatus) -> None:
    if invocation.json:
        print_json({
            "records": status.records,
            "messages": status.messages,
            "damages": status.damages,
            "named": [_as_json(damage) for damage in status.named],
        })  # fmt: skip
        return
    print(f"{status.records} records and {status.messages} messages read and compared", end="")
    if not status.damages:
        print(": all is sound")
        return
    print(f": {status.damages} damaged")
    print_damages(status.named)
    if status.damages > len(status.named):
        print(f"and {status.damages - len(status.named)} more")


def _as_json(damage: Damage) -> dict[str, object]:
    return {
        "kind": str(damage.kind),
        "what": damage.what,
        "account": damage.account,
        "mailbox": damage.mailbox,
        "uid": damage.uid or None,
        "subject": damage.subject,
        "date": iso_time(damage.date) if damage.date else None,
    }


def print_damages(damages: Sequence[Damage]) -> None:
    """Messages as their owner knows them, then the rest."""
    mail = [damage for damage in damages if damage.kind is DamageKind.MESSAGE]
    rows = [
        (d.account or "-", d.mailbox or "-", d.uid or "-", _date(d), d.subject[:60] or "(no subject)", d.what) for d in mail
    ]
    print_table(("ACCOUNT", "MAILBOX", "UID", "CAME IN", "SUBJECT", "WHAT"), rows)
    for damage in damages:
        if damage.kind is not DamageKind.MESSAGE:
            where = " ".join(filter(None, (damage.account, damage.mailbox)))
            print(printable(f"{damage.kind}: {where + ': ' if where else ''}{damage.what}"))
    sys.stdout.flush()


def _date(damage: Damage) -> str:
    return local_time(damage.date) if damage.date else "-"


