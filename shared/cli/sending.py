"""`pillarbox account limit ADDRESS`: what an account has sent today, and how much it may send on one day."""

from typing import Any, Final

from shared.cli.invocation import EXIT_OK, Invocation, WrongUse
from shared.cli.output import print_json, print_table
from shared.cli.store_access import StoreClient, ask
from shared.contract.sending_types import SendingState

DEFAULT: Final = "default"
OPTIONS: Final = (
    (
        "--messages",
        {"metavar": "N", "help": "messages to recipients elsewhere on one day; 0: no limit; default: as the settings say"},
    ),
    (
        "--new-recipients",
        {"metavar": "N", "help": "of those, recipients that it has not sent to before; 0: no limit; default: as the settings say"},
    ),
)


def parse_limit(text: str | None, now: int | None) -> int | None:
    """The account's own limit; what is not named (None) stays as it is ``now``. Raises WrongUse."""
    if text is None:
        return now
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise WrongUse(f"{text} is no limit: a number, 0 for none, or {DEFAULT}")
    return int(text)


def as_json(state: SendingState) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": state.address,
        "messages_today": state.messages,
        "messages": state.most_messages,
        "messages_own": state.own_messages is not None,
        "new_recipients_today": state.new_recipients,
        "new_recipients": state.most_new_recipients,
        "new_recipients_own": state.own_new_recipients is not None,
    }


def limit(invocation: Invocation) -> int:
    """Sets what is named; prints what is so now."""
    options = invocation.options
    address: str = options.address
    for text in (options.messages, options.new_recipients):
        parse_limit(text, None)

    async def question(store: StoreClient) -> SendingState:
        now = await store.sending.show(address)
        if options.messages is None and options.new_recipients is None:
            return now
        return await store.sending.set(
            address,
            parse_limit(options.messages, now.own_messages),
            parse_limit(options.new_recipients, now.own_new_recipients),
        )

    state = ask(invocation, question, f"account {address}")
    if invocation.json:
        print_json(as_json(state))
    else:
        rows = (
            ("messages", state.messages, state.most_messages, state.own_messages),
            ("new recipients", state.new_recipients, state.most_new_recipients, state.own_new_recipients),
        )
        print_table(
            ("PER DAY", "TODAY", "OF", "SET BY"),
            [
                (name, str(used), "-" if most is None else str(most), "settings" if own is None else "account")
                for name, used, most, own in rows
            ],
        )
    return EXIT_OK
