"""`pillarbox account pop3 ADDRESS`: what DELE means for the POP3 clients of an account."""

from typing import Any, Final

from shared.cli.invocation import EXIT_OK, Invocation, WrongUse
from shared.cli.output import print_json, print_table
from shared.cli.store_access import StoreClient, ask
from shared.contract.pop3_types import Pop3State
from shared.model.pop3 import Dele

DEFAULT: Final = "default"
MAX_DAYS: Final = 36_500
OPTIONS: Final = (
    (
        "--dele",
        {
            "metavar": "MEANING",
            "choices": (*map(str, Dele), DEFAULT),
            "help": "delete: for good; trash: into the trash; hide: from that device only, IMAP keeps it; default: as the settings say",
        },
    ),
    (
        "--keep-days",
        {"metavar": "N", "help": "remove what is hidden N days later; 0: never; default: as the settings say (implies hide)"},
    ),
)


def parse_days(text: str | None, now: int | None) -> int | None:
    """The account's own days; what is not named (None) stays as it is ``now``. Raises WrongUse."""
    if text is None:
        return now
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > MAX_DAYS:
        raise WrongUse(f"--keep-days: a number from 0 to {MAX_DAYS}, or {DEFAULT}")
    return int(text)


def parse_dele(text: str | None, now: Dele | None) -> Dele | None:
    """The account's own meaning; what is not named (None) stays as it is ``now``."""
    if text is None:
        return now
    return None if text == DEFAULT else Dele(text)


def as_json(state: Pop3State) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": state.address,
        "dele": str(state.dele),
        "dele_own": state.own_dele is not None,
        "keep_days": state.keep_days,
        "keep_days_own": state.own_keep_days is not None,
    }


def pop3(invocation: Invocation) -> int:
    """Sets what is named; prints what is so now."""
    options = invocation.options
    address: str = options.address
    parse_days(options.keep_days, None)

    async def question(store: StoreClient) -> Pop3State:
        now = await store.pop3.show(address)
        if options.dele is None and options.keep_days is None:
            return now
        dele = parse_dele(options.dele, now.own_dele)
        # days belong to what is hidden: another meaning ends them, unless they are named, too
        days = now.own_keep_days if dele in (None, Dele.HIDE) else None
        return await store.pop3.set(address, dele, parse_days(options.keep_days, days))

    state = ask(invocation, question, f"account {address}")
    if invocation.json:
        print_json(as_json(state))
    else:
        rows = (
            ("dele", str(state.dele), state.own_dele is None),
            ("keep days", str(state.keep_days or "for ever"), state.own_keep_days is None),
        )
        print_table(
            ("POP3", "IS", "SET BY"), [(name, value, "settings" if unsaid else "account") for name, value, unsaid in rows]
        )
    return EXIT_OK
