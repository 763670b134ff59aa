"""`pillarbox relay add|set|list|test|remove`: smart hosts that outgoing mail may take (which mail: relay_rules).

A password is read from a file, from standard input or from the terminal, kept by the store, and never shown again.
"""

import argparse
import getpass
import sys
import time
from typing import Any, Final

import attrs
import trio

from shared.cli import relay_rules
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, CommandFailed, Invocation, WrongUse
from shared.cli.nouns import Verb, Word, add_noun
from shared.cli.output import age_text, iso_time, print_json, print_table, printable
from shared.cli.store_access import StoreClient, ask
from shared.contract.relay_types import RelayConfig, RelayInfo, RelayTable, RelayTls
from shared.errors import NotFound

MAX_PASSWORD_OCTETS: Final = 1024
TEST_SECONDS: Final = 60.0
"""Until a test is given up; smtp_out gives it 50 seconds."""
_POLL_SECONDS: Final = 0.2

_CONFIG: Final[tuple[Word, ...]] = (
    ("--user", {"metavar": "USER", "help": "name to log in with; empty: no log-in"}),
    ("--password-file", {"metavar": "FILE", "help": "read the password from the first line of a file"}),
    ("--password-stdin", {"action": "store_true", "help": "read the password from standard input"}),
    ("--tls", {"choices": [tls.value for tls in RelayTls], "help": "required (default), implicit, or none (only on this machine)"}),
    ("--cap", {"metavar": "N", "type": int, "help": "recipients per day (UTC) at most; 0: no limit"}),
    (
        "--fallback",
        {"action": argparse.BooleanOptionalAction, "help": "whether it takes mail that destinations refuse from us directly"},
    ),
)  # fmt: skip


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    name = ("name", {"metavar": "NAME"})
    add_noun(
        nouns,
        "relay",
        "smart hosts that send our mail, and which mail takes them",
        Verb("add", add, "add a relay", (name, ("server", {"metavar": "HOST:PORT"}), *_CONFIG)),
        Verb("set", change, "change a relay; what is not named stays", (name, ("--server", {"metavar": "HOST:PORT"}), *_CONFIG)),
        Verb("list", list_relays, "show relays and rules"),
        Verb("test", test, "log in at a relay and say what happened", (name,)),
        Verb("remove", remove, "remove a relay", (name,)),
        *relay_rules.VERBS,
    )


def parse_server(text: str) -> tuple[str, int]:
    """Host and port; an IPv6 address stands in brackets. Raises WrongUse."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise WrongUse(f"{text}: a relay is named as HOST:PORT, smtp.provider.example:587")
    return host.removeprefix("[").removesuffix("]"), int(port)


def read_password(options: argparse.Namespace) -> str | None:
    """From where the options say; None: they say nothing. Raises WrongUse, CommandFailed."""
    if options.password_file is None and not options.password_stdin:
        return None
    try:
        if options.password_file is not None:
            with open(options.password_file, "rb") as file:
                line = file.readline(MAX_PASSWORD_OCTETS + 2)
        else:
            line = sys.stdin.buffer.readline(MAX_PASSWORD_OCTETS + 2)
        password = line.rstrip(b"\r\n").decode()
    except OSError as error:
        raise CommandFailed(f"{options.password_file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse("the password is not UTF-8") from None
    if not password:
        raise WrongUse("the password is empty")
    return password


def ask_password(options: argparse.Namespace) -> str:
    """As `read_password`, else from the terminal. Raises WrongUse, CommandFailed."""
    given = read_password(options)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise WrongUse("no terminal to ask for a password: use --password-file or --password-stdin")
    try:
        password = getpass.getpass(f"Password of {options.user} at {options.name}: ")
    except EOFError:
        password = ""
    if not password:
        raise WrongUse("no password given")
    return password


def changed_config(options: argparse.Namespace, config: RelayConfig) -> RelayConfig:
    """With what the options name."""
    named = {
        "username": options.user,
        "tls": None if options.tls is None else RelayTls(options.tls),
        "daily_cap": options.cap,
        "fallback": options.fallback,
    }
    return attrs.evolve(config, **{name: value for name, value in named.items() if value is not None})


def as_json(relay: RelayInfo) -> dict[str, Any]:
    """Stable fields."""
    config = relay.config
    return {
        "name": relay.name,
        "host": config.host,
        "port": config.port,
        "tls": config.tls.value,
        "user": config.username or None,
        "password": relay.has_password,
        "cap": config.daily_cap or None,
        "sent_today": relay.sent_today,
        "fallback": config.fallback,
        "tested": iso_time(relay.tested_at) if relay.tested_at else None,
        "test_passed": relay.test_passed if relay.tested_at else None,
        "test_result": relay.test_text or None,
    }


def add(invocation: Invocation) -> int:
    """Asks for a password where a user is named."""
    options = invocation.options
    config = changed_config(options, RelayConfig(*parse_server(options.server)))
    if not config.username and (options.password_file is not None or options.password_stdin):
        raise WrongUse("a password needs --user")
    password = ask_password(options) if config.username else ""
    relay = ask(invocation, lambda store: store.relays.add(options.name, config, password), f"relay {options.name}")
    if invocation.json:
        print_json(as_json(relay))
    else:
        print(f"relay {relay.name} added; try it: pillarbox relay test {relay.name}")
    return EXIT_OK


def change(invocation: Invocation) -> int:
    """What is not named stays."""
    options = invocation.options
    given = read_password(options)
    server = None if options.server is None else parse_server(options.server)

    async def question(store: StoreClient) -> RelayInfo:
        known = named(await store.relays.list(), options.name)
        config = changed_config(options, known.config)
        if server is not None:
            config = attrs.evolve(config, host=server[0], port=server[1])
        return await store.relays.set(options.name, config, given if config.username else "")

    relay = ask(invocation, question, f"relay {options.name}")
    if invocation.json:
        print_json(as_json(relay))
    else:
        print(f"relay {relay.name} changed")
    return EXIT_OK


def named(table: RelayTable, name: str) -> RelayInfo:
    """Raises NotFound."""
    found = next((relay for relay in table.relays if relay.name == name), None)
    if found is None:
        raise NotFound(f"relay {name}")
    return found


def list_relays(invocation: Invocation) -> int:
    """Relays as they were added, then the rules."""
    table = ask(invocation, lambda store: store.relays.list())
    if invocation.json:
        print_json(
            {"relays": [as_json(relay) for relay in table.relays], "rules": [relay_rules.as_json(rule) for rule in table.rules]}
        )
        return EXIT_OK
    rows = [
        (
            relay.name,
            f"{relay.config.host}:{relay.config.port}",
            relay.config.tls.value,
            relay.config.username or "-",
            relay.sent_today,
            relay.config.daily_cap or "-",
            "yes" if relay.config.fallback else "no",
            _test_words(relay),
        )
        for relay in table.relays
    ]
    print_table(("RELAY", "SERVER", "TLS", "USER", "TODAY", "CAP", "FALLBACK", "LAST TEST"), rows)
    if table.relays and table.rules:
        print()
    relay_rules.print_rules(table.rules)
    return EXIT_OK


def _test_words(relay: RelayInfo) -> str:
    if not relay.tested_at:
        return "never"
    return f"{'passed' if relay.test_passed else 'failed'} {age_text(time.time() - relay.tested_at)} ago"


def test(invocation: Invocation) -> int:
    """smtp_out logs in; nothing is sent."""
    name: str = invocation.options.name

    async def question(store: StoreClient) -> RelayInfo | None:
        before = await store.relays.ask_test(name)
        with trio.move_on_after(TEST_SECONDS):
            while True:
                relay = named(await store.relays.list(), name)
                if not relay.test_asked and relay.tested_at > before.tested_at:
                    return relay
                await trio.sleep(_POLL_SECONDS)
        return None

    relay = ask(invocation, question, f"relay {name}")
    if relay is None:
        raise CommandFailed(f"relay {name}: no result after {TEST_SECONDS:.0f} seconds (does smtp_out run?)")
    if invocation.json:
        print_json(as_json(relay))
    else:
        print(f"relay {name}: {'passed' if relay.test_passed else 'failed'}: {printable(relay.test_text)}")
    return EXIT_OK if relay.test_passed else EXIT_FAILED


def remove(invocation: Invocation) -> int:
    """Not while a rule names it."""
    name: str = invocation.options.name
    ask(invocation, lambda store: store.relays.remove(name), f"relay {name}")
    if invocation.json:
        print_json({"removed": name})
    else:
        print(f"relay {name} removed")
    return EXIT_OK
