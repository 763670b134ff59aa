"""`pillarbox status`: what the store holds and which services are connected to it."""

import argparse
import time
from typing import Any

from shared.cli.invocation import EXIT_OK, Invocation
from shared.cli.output import age_text, iso_time, print_json, print_table, printable, size_text
from shared.cli.space import as_json as space_as_json
from shared.cli.space import lines_for
from shared.cli.store_access import StoreClient, ask
from shared.contract.space_types import SpaceStatus
from shared.contract.types import StoreStatus


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    parser = nouns.add_parser("status", help="what runs and what it holds", description="What runs and what it holds.")
    parser.set_defaults(handler=show_status)


def as_json(status: StoreStatus) -> dict[str, Any]:
    """Stable fields."""
    return {
        "version": status.version,
        "started": iso_time(status.started_at),
        "domains": status.domains,
        "accounts": status.accounts,
        "messages": status.messages,
        "octets": status.octets,
        "disk_octets": status.disk_octets,
        "verified": iso_time(status.verified_at) if status.verified_at else None,
        "damages": status.damages,
        "backup_tested": iso_time(status.backup_tested_at) if status.backup_tested_at else None,
        "backup_failure": status.backup_failure,
        "queue": {"entries": status.queue_entries, "due": status.queue_due},
        "connections": [{"role": c.role, "worker": c.worker, "since": iso_time(c.since)} for c in status.connections],
    }


def verified_words(status: StoreStatus, now: float) -> str:
    """One line on the last verification."""
    if not status.verified_at:
        return "not verified yet"
    found = f"{status.damages} DAMAGED (pillarbox store verify)" if status.damages else "all sound"
    return f"verified {age_text(now - status.verified_at)} ago: {found}"


def show_status(invocation: Invocation) -> int:
    """A few lines, then the connected services (this command's own connection is left out)."""

    async def question(store: StoreClient) -> tuple[StoreStatus, SpaceStatus]:
        return await store.admin.status(), await store.space.status()

    status, space = ask(invocation, question)
    if invocation.json:
        print_json({**as_json(status), "space": space_as_json(space)})
        return EXIT_OK
    now = time.time()
    print(f"Pillarbox {status.version}, store up for {age_text(now - status.started_at)}, data in {invocation.data}")
    counts = ((status.domains, "domain"), (status.accounts, "account"), (status.messages, "message"))
    print(", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts), end="")
    print(f" ({size_text(status.octets)}, {size_text(status.disk_octets)} on disk)")
    print("\n".join(lines_for(space)))
    print(f"{status.queue_entries} in the queue, {status.queue_due} of them due")
    print(verified_words(status, now))
    if status.backup_tested_at:
        found = f"FAILED: {printable(status.backup_failure)}" if status.backup_failure else "all came back"
        print(f"backup tested {age_text(now - status.backup_tested_at)} ago: {found}")
    rows = [(c.role, c.worker, age_text(now - c.since)) for c in status.connections if c.role != "admin"]
    print_table(("SERVICE", "PROCESS", "CONNECTED FOR"), sorted(rows))
    return EXIT_OK
