"""`pillarbox device add|list|remove ADDRESS NAME`: a password of its own for each phone, laptop and program.

The store makes the password; it is shown once.
"""

import argparse
from typing import Any, Final

from shared.cli.account import check_address
from shared.cli.invocation import EXIT_OK, Invocation, WrongUse
from shared.cli.nouns import Verb, add_noun
from shared.cli.output import iso_time, local_time, print_json, print_table
from shared.cli.store_access import ask
from shared.contract.device_types import DeviceInfo, DeviceUse
from shared.net.networks import PRIVATE_NETWORKS

USES: Final = ",".join(DeviceUse)


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    address = ("address", {"metavar": "ADDRESS"})
    name = ("name", {"metavar": "NAME"})
    only = ("--only", {"metavar": "USES", "help": f"what it may log in to, some of {USES} (default: all)"})
    origin = (
        "--from",
        {
            "metavar": "NETWORK",
            "dest": "networks",
            "action": "append",
            "default": [],
            "help": "a network (CIDR) that it may log in from; may be repeated (default: from anywhere)",
        },
    )
    scanner = (
        "--scanner",
        {
            "action": "store_true",
            "help": "a scanner or camera: it may only send, to those named with --to, from private networks unless --from says otherwise",
        },
    )
    to = (
        "--to",
        {
            "metavar": "DOMAIN|ADDRESS",
            "dest": "recipients",
            "action": "append",
            "default": [],
            "help": "a domain or address that a scanner may send to; may be repeated",
        },
    )
    add_noun(
        nouns,
        "device",
        "app passwords, one per device",
        Verb("add", add, "make a password for a device and show it, this once", (address, name, only, origin, scanner, to)),
        Verb("list", list_devices, "show the devices of an account", (address,)),
        Verb("remove", remove, "end a device's password and its sessions", (address, name)),
    )


def parse_uses(text: str) -> tuple[DeviceUse, ...]:
    """`imap,submission`. Raises WrongUse."""
    try:
        return tuple(dict.fromkeys(DeviceUse(word.strip().lower()) for word in text.split(",")))
    except ValueError:
        raise WrongUse(f"{text}: a device may log in to some of {USES}") from None


def parse_role(options: argparse.Namespace) -> tuple[tuple[DeviceUse, ...], tuple[str, ...], tuple[str, ...]]:
    """What it may log in to, from where, and to whom it may send. Raises WrongUse."""
    networks, recipients = tuple(options.networks), tuple(options.recipients)
    if not options.scanner:
        if recipients:
            raise WrongUse("--to is for a --scanner")
        return parse_uses(options.only or USES), networks, ()
    if not recipients:
        raise WrongUse("whom may the scanner send to? --to DOMAIN or --to ADDRESS")
    if options.only is not None:
        raise WrongUse("a scanner may only send: leave --only out")
    return (DeviceUse.SUBMISSION,), networks or PRIVATE_NETWORKS, recipients


def as_json(device: DeviceInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "account": device.account,
        "name": device.name,
        "only": list(device.uses),
        "networks": list(device.networks),
        "recipients": list(device.recipients),
        "created": iso_time(device.created_at),
        "last_used": None if device.last_used_at is None else iso_time(device.last_used_at),
        "last_used_from": device.last_used_from or None,
        "last_used_by": device.last_used_by or None,
    }


def add(invocation: Invocation) -> int:
    """Prints the password, this once."""
    options = invocation.options
    address = check_address(options.address)
    uses, networks, recipients = parse_role(options)
    added = ask(
        invocation,
        lambda store: store.devices.add(address, options.name, uses, networks, recipients),
        f"device {options.name} of {address}",
    )
    device = added.device
    if invocation.json:
        print_json({**as_json(device), "password": added.password, "user": f"{device.account}/{device.name}"})
    else:
        print(f"device {device.name} of {device.account} added; this password is shown once:\n")
        print(f"    {added.password}\n")
        print(f"User name: {device.account}")
        print(f"In programs that log in by SCRAM: {device.account}/{device.name}")
    return EXIT_OK


def list_devices(invocation: Invocation) -> int:
    """By name."""
    address = check_address(invocation.options.address)
    devices = ask(invocation, lambda store: store.devices.list(address), f"account {address}")
    if invocation.json:
        print_json([as_json(device) for device in devices])
    else:
        print_table(("DEVICE", "ONLY", "FROM", "TO", "CREATED", "LAST USED"), [_row(device) for device in devices])
    return EXIT_OK


def _row(device: DeviceInfo) -> tuple[str, ...]:
    used = "never"
    if device.last_used_at is not None:
        used = f"{local_time(device.last_used_at)} {device.last_used_by} {device.last_used_from}"
    uses, networks = ",".join(device.uses), ",".join(device.networks) or "anywhere"
    recipients = ",".join(device.recipients) or "anybody"
    return device.name, uses, networks, recipients, local_time(device.created_at), used


def remove(invocation: Invocation) -> int:
    """Sessions of this device end with their next command."""
    options = invocation.options
    address = check_address(options.address)
    about = f"device {options.name} of {address}"
    ask(invocation, lambda store: store.devices.remove(address, options.name), about)
    if invocation.json:
        print_json({"removed": options.name, "account": address})
    else:
        print(f"{about} removed")
    return EXIT_OK
