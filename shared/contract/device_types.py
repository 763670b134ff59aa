"""What travels about devices and their app passwords."""

from enum import StrEnum

import attrs

from shared.model.ids import DeviceId


class DeviceUse(StrEnum):
    """What an app password may log in to."""

    IMAP = "imap"
    POP3 = "pop3"
    SUBMISSION = "submission"


@attrs.frozen
class LoginDevice:
    """The device whose password a login was made with."""

    device_id: DeviceId
    name: str
    restricted: bool = False
    """It may send to some recipients only: ``devices.may_send_to`` says to whom."""


@attrs.frozen
class DeviceInfo:
    device_id: DeviceId
    account: str
    """The account's address."""
    name: str
    uses: tuple[DeviceUse, ...]
    networks: tuple[str, ...]
    """Where it may log in from (CIDR); empty: from anywhere."""
    created_at: float
    last_used_at: float | None = None
    """To the hour: within one hour after this it may have been used again."""
    last_used_from: str = ""
    last_used_by: str = ""
    """The service that it logged in to."""
    recipients: tuple[str, ...] = ()
    """Domains and addresses that it may send to; empty: to anybody."""


@attrs.frozen
class DeviceAdded:
    device: DeviceInfo
    password: str = attrs.field(repr=False, default="")
    """In clear, this once."""
