"""The table of all areas, and what is derived from it."""

from typing import Final

from shared.contract.admin import AdminApi
from shared.contract.auth import AuthApi
from shared.contract.content import ContentApi
from shared.contract.devices import DevicesApi
from shared.contract.directory import DirectoryApi
from shared.contract.events import EventsApi
from shared.contract.history import HistoryApi
from shared.contract.mailboxes import MailboxesApi
from shared.contract.messages import MessagesApi
from shared.contract.moving import MovingApi
from shared.contract.pop3 import Pop3Api
from shared.contract.queue import QueueApi
from shared.contract.registry import Method, methods_of
from shared.contract.relays import RelaysApi
from shared.contract.retention import RetentionApi
from shared.contract.search import SearchApi
from shared.contract.sending import SendingApi
from shared.contract.sharing import SharingApi
from shared.contract.space import SpaceApi
from shared.contract.undo import UndoApi

AREAS: Final[dict[str, type]] = {
    "directory": DirectoryApi,
    "auth": AuthApi,
    "content": ContentApi,
    "messages": MessagesApi,
    "mailboxes": MailboxesApi,
    "sharing": SharingApi,
    "queue": QueueApi,
    "history": HistoryApi,
    "retention": RetentionApi,
    "search": SearchApi,
    "space": SpaceApi,
    "events": EventsApi,
    "admin": AdminApi,
    "devices": DevicesApi,
    "moving": MovingApi,
    "sending": SendingApi,
    "pop3": Pop3Api,
    "undo": UndoApi,
    "relays": RelaysApi,
}

METHODS: Final[dict[str, Method]] = {
    method.wire_name: method for area, interface in AREAS.items() for method in methods_of(area, interface).values()
}
"""Every call of the contract by its name on the wire (``area.method``)."""
