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

USES: Final = ",".join(DeviceUse)


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The noun's words."""
    address = ("address", {"metavar": "ADDRESS"})
    name = ("name", {"metavar": "NAME"})
    only = ("--only", {"metavar": "USES", "default": USES, "help": f"what it may log in to, some of {USES} (default: all)"})
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
    add_noun(
        nouns,
        "device",
        "app passwords, one per device",
        Verb("add", add, "make a password for a device and show it, this once", (address, name, only, origin)),
        Verb("list", list_devices, "show the devices of an account", (address,)),
        Verb("remove", remove, "end a device's password and its sessions", (address, name)),
    )


def parse_uses(text: str) -> tuple[DeviceUse, ...]:
    """`imap,submission`. Raises WrongUse."""
    try:
        return tuple(dict.fromkeys(DeviceUse(word.strip().lower()) for word in text.split(",")))
    except ValueError:
        raise WrongUse(f"{text}: a device may log in to some of {USES}") from None


def as_json(device: DeviceInfo) -> dict[str, Any]:
    """Stable fields."""
    return {
        "account": device.account,
        "name": device.name,
        "only": list(device.uses),
        "networks": list(device.networks),
        "created": iso_time(device.created_at),
        "last_used": None if device.last_used_at is None else iso_time(device.last_used_at),
        "last_used_from": device.last_used_from or None,
        "last_used_by": device.last_used_by or None,
    }


def add(invocation: Invocation) -> int:
    """Prints the password, this once."""
    options = invocation.options
    address, uses = check_address(options.address), parse_uses(options.only)
    networks = tuple(options.networks)
    added = ask(
        invocation,
        lambda store: store.devices.add(address, options.name, uses, networks),
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
        print_table(("DEVICE", "ONLY", "FROM", "CREATED", "LAST USED"), [_row(device) for device in devices])
    return EXIT_OK


def _row(device: DeviceInfo) -> tuple[str, ...]:
    used = "never"
    if device.last_used_at is not None:
        used = f"{local_time(device.last_used_at)} {device.last_used_by} {device.last_used_from}"
    uses, networks = ",".join(device.uses), ",".join(device.networks) or "anywhere"
    return device.name, uses, networks, local_time(device.created_at), used


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
