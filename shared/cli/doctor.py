"""`pillarbox doctor`: looks at this server from outside in, and says of each thing that is not as it should be what to do."""

import argparse
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import trio

from shared.cli.invocation import EXIT_FAILED, EXIT_OK, CommandFailed, Invocation
from shared.cli.output import print_json, printable
from shared.cli.run import settings_for
from shared.cli.store_access import StoreClient, ask
from shared.config.load import server_hostname
from shared.config.paths import DataPaths
from shared.config.schema import Settings
from shared.contract.dkim_types import DnsRecord
from shared.contract.relay_types import DIRECT, RelayRule

PROBE: Final = "gmail.com"
TIME_SERVER: Final = ("pool.ntp.org", 123)
SECONDS: Final = 10.0
"""For each look that connects to somebody."""
MARKS: Final = {"ok": "ok", "note": "note", "problem": "PROBLEM", "unknown": "unknown"}


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """A noun without verbs."""
    summary = "look at this server as the world does, and say what to do"
    parser = nouns.add_parser("doctor", help=summary, description=summary.capitalize() + ".")
    parser.add_argument("--probe", metavar="DOMAIN", default=PROBE, help=f"whose mail server to connect to ({PROBE})")
    time_server: dict[str, Any] = {"metavar": "NAME[:PORT]", "type": _time_server, "default": TIME_SERVER}
    parser.add_argument("--time-server", **time_server, help=f"whose clock to ask ({TIME_SERVER[0]})")
    parser.set_defaults(handler=examine)


def examine(invocation: Invocation) -> int:
    """Exit code 1 where there is a problem."""
    # what a look needs (DNS, certificates) is not loaded by the other commands
    from shared.doctor.findings import Level
    from shared.doctor.look import Doctor
    from shared.doctor.records import worst

    environment = {**invocation.environ, "PILLARBOX_DATA": str(invocation.data)}
    if invocation.config is not None:
        environment["PILLARBOX_CONFIG"] = str(invocation.config)
    settings = settings_for(environment)
    domains = ask(invocation, _domains)
    table = ask(invocation, lambda store: store.relays.list())
    options = invocation.options
    try:
        doctor = Doctor(
            settings,
            server_hostname(settings),
            DataPaths.of(settings).certificate(settings),
            options.probe,
            options.time_server,
            SECONDS,
            _relay(settings, table.rules),
        )
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    findings = trio.run(doctor.look, domains, dt.datetime.now(dt.UTC))
    if invocation.json:
        print_json(
            [{"subject": f.subject, "level": f.level.value, "seen": f.seen, "advice": f.advice} for f in findings]
        )
    else:
        for finding in findings:
            print(f"{MARKS[finding.level]:<8} {printable(finding.subject)}: {printable(finding.seen)}")
            if finding.advice:
                print(f"{'':<8} -> {printable(finding.advice)}")
    return EXIT_FAILED if worst(findings) is Level.PROBLEM else EXIT_OK


def _time_server(word: str) -> tuple[str, int]:
    name, colon, port = word.partition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not name or (colon and not 0 < number < 65536):
        raise argparse.ArgumentTypeError(f"{word} is no name with a port")
    return name, number if colon else TIME_SERVER[1]


def _relay(settings: Settings, rules: Sequence[RelayRule]) -> str:
    """Through what mail leaves when no particular rule says otherwise; empty: directly."""
    said = next((rule.relay for rule in rules if not rule.sender_domain and not rule.recipient_domain), None)
    if said is None:
        return settings.smtp_out.smart_host
    return "" if said == DIRECT else f"relay {said}"


async def _domains(store: StoreClient) -> Sequence[tuple[str, tuple[DnsRecord, ...]]]:
    domains = await store.admin.domain_list()
    return [(domain.name, await store.admin.domain_dns(domain.name)) for domain in domains]
