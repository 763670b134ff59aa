"""`pillarbox account add|passwd|list|remove|limit|pop3 ADDRESS`: who logs in.

A password is asked for twice without echo, or read as one line from a pipe with --password-stdin; it is never an
argument, where every user of the machine could read it.
"""

import argparse
import getpass
import sys
from typing import Any, Final

from shared.cli.invocation import EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import iso_time, local_time, print_json, print_table, size_text
from shared.cli.pop3 import OPTIONS as POP3_OPTIONS
from shared.cli.pop3 import pop3
from shared.cli.sending import OPTIONS as LIMIT_OPTIONS
from shared.cli.sending import limit
from shared.cli.store_access import StoreClient, ask
from shared.contract.types import AccountInfo

MAX_PASSWORD_OCTETS: Final = 1024


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    address = ("address", {"metavar": "ADDRESS"})
    from_pipe = ("--password-stdin", {"action": "store_true", "help": "read the password from standard input"})
    add_noun(
        nouns,
        "account",
        "people who log in",
        Verb("add", add, "make an account with its mailboxes", (address, from_pipe)),
        Verb("passwd", passwd, "set a new password", (address, from_pipe)),
        Verb("list", list_accounts, "show all accounts"),
        Verb("remove", remove, "remove an account with all of its mail", (address,)),
        Verb("pop3", pop3, "what DELE means for its POP3 clients: show it, or set it", (address, *POP3_OPTIONS)),
        Verb("limit", limit, "what an account may send on one day: show it, or set it", (address, *LIMIT_OPTIONS)),
    )


def read_password(invocation: Invocation) -> str:
    """From standard input or, typed twice, from the terminal. Raises WrongUse."""
    if invocation.options.password_stdin:
        line = sys.stdin.buffer.readline(MAX_PASSWORD_OCTETS + 2)
        try:
            password = line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            raise WrongUse("the password is not UTF-8") from None
    else:
        if not sys.stdin.isatty():
            raise WrongUse("no terminal to ask for a password: use --password-stdin")
        try:
            password = getpass.getpass(f"Password for {invocation.options.address}: ")
            if password != getpass.getpass("Once more: "):
                raise WrongUse("the passwords differ")
        except EOFError:
            raise WrongUse("no password given") from None
    if not password:
        raise WrongUse("the password is empty")
    if len(password.encode()) > MAX_PASSWORD_OCTETS:
        raise WrongUse(f"the password is longer than {MAX_PASSWORD_OCTETS} octets")
    return password


def check_address(address: str) -> str:
    """Catch the common slip before a password is asked for. Raises WrongUse; the store decides the rest."""
    local, at, domain = address.rpartition("@")
    if not (local and at and domain):
        raise WrongUse(f"{address} is not an address: name@domain is")
    return address


def as_json(account: AccountInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "address": account.address,
        "messages": account.messages,
        "octets": account.octets,
        "created": iso_time(account.created_at),
    }


def add(invocation: Invocation) -> int:
    """Prints the account as stored."""
    address = check_address(invocation.options.address)
    password = read_password(invocation)
    account = ask(invocation, lambda store: store.admin.account_add(address, password), f"account {address}")
    if invocation.json:
        print_json(as_json(account))
    else:
        print(f"account {account.address} added")
    return EXIT_OK


def passwd(invocation: Invocation) -> int:
    """Set a password; sessions that are open go on."""
    address = check_address(invocation.options.address)
    password = read_password(invocation)
    ask(invocation, lambda store: store.admin.account_passwd(address, password), f"account {address}")
    if invocation.json:
        print_json({"changed": address})
    else:
        print(f"password of {address} changed")
    return EXIT_OK


async def all_accounts(store: StoreClient) -> list[AccountInfo]:
    """Page by page."""
    accounts: list[AccountInfo] = []
    while True:
        page = await store.admin.account_list(accounts[-1].address if accounts else "")
        if not page:
            return accounts
        accounts.extend(page)


def list_accounts(invocation: Invocation) -> int:
    """By address."""
    accounts = ask(invocation, all_accounts)
    if invocation.json:
        print_json([as_json(account) for account in accounts])
    else:
        rows = [(a.address, a.messages, size_text(a.octets), local_time(a.created_at)) for a in accounts]
        print_table(("ACCOUNT", "MESSAGES", "SIZE", "CREATED"), rows)
    return EXIT_OK


def remove(invocation: Invocation) -> int:
    """The account, its mailboxes and its messages."""
    address = check_address(invocation.options.address)
    ask(invocation, lambda store: store.admin.account_remove(address), f"account {address}")
    if invocation.json:
        print_json({"removed": address})
    else:
        print(f"account {address} removed")
    return EXIT_OK
