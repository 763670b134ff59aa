"""Which function runs which command. A test sees to it that this, ``state.COMMANDS`` and ``grammar.PARSERS`` name the same ones."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from services.imap.commands.append import handle_append, handle_replace
from services.imap.commands.cancelupdate import handle_cancel_update
from services.imap.commands.capability import handle_capability
from services.imap.commands.close import handle_close, handle_unselect
from services.imap.commands.compress import handle_compress
from services.imap.commands.copy import handle_copy
from services.imap.commands.create import handle_create
from services.imap.commands.delete import handle_delete
from services.imap.commands.enable import handle_enable
from services.imap.commands.esearch import handle_esearch
from services.imap.commands.expunge import handle_expunge, handle_uid_expunge
from services.imap.commands.fetch import handle_fetch
from services.imap.commands.getacl import handle_getacl
from services.imap.commands.getmetadata import handle_getmetadata, handle_setmetadata
from services.imap.commands.getquota import handle_getquota, handle_getquotaroot, handle_setquota
from services.imap.commands.id import handle_id
from services.imap.commands.idle import handle_idle
from services.imap.commands.list import handle_list, handle_lsub
from services.imap.commands.listrights import handle_listrights
from services.imap.commands.login import handle_authenticate, handle_login
from services.imap.commands.logout import handle_logout
from services.imap.commands.myrights import handle_myrights
from services.imap.commands.namespace import handle_namespace
from services.imap.commands.noop import handle_noop
from services.imap.commands.notify import handle_notify
from services.imap.commands.rename import handle_rename
from services.imap.commands.search import handle_search
from services.imap.commands.select import handle_select
from services.imap.commands.setacl import handle_deleteacl, handle_setacl
from services.imap.commands.starttls import handle_starttls
from services.imap.commands.status import handle_status
from services.imap.commands.store import handle_store
from services.imap.commands.subscribe import handle_subscribe
from services.imap.commands.thread import handle_thread
from services.imap.commands.unauthenticate import handle_unauthenticate
from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply

Handler = Callable[[Context, Command], Awaitable[Reply | None]]
"""None: the handler has answered itself."""

HANDLERS: Final[Mapping[str, Handler]] = {
    "CAPABILITY": handle_capability,
    "NOOP": handle_noop,
    "LOGOUT": handle_logout,
    "ID": handle_id,
    "STARTTLS": handle_starttls,
    "AUTHENTICATE": handle_authenticate,
    "LOGIN": handle_login,
    "SELECT": handle_select,
    "EXAMINE": handle_select,
    "CREATE": handle_create,
    "DELETE": handle_delete,
    "RENAME": handle_rename,
    "SUBSCRIBE": handle_subscribe,
    "UNSUBSCRIBE": handle_subscribe,
    "LIST": handle_list,
    "LSUB": handle_lsub,
    "STATUS": handle_status,
    "APPEND": handle_append,
    "NAMESPACE": handle_namespace,
    "GETACL": handle_getacl,
    "SETACL": handle_setacl,
    "DELETEACL": handle_deleteacl,
    "LISTRIGHTS": handle_listrights,
    "MYRIGHTS": handle_myrights,
    "GETMETADATA": handle_getmetadata,
    "SETMETADATA": handle_setmetadata,
    "GETQUOTA": handle_getquota,
    "GETQUOTAROOT": handle_getquotaroot,
    "SETQUOTA": handle_setquota,
    "NOTIFY": handle_notify,
    "ENABLE": handle_enable,
    "IDLE": handle_idle,
    "COMPRESS": handle_compress,
    "UNAUTHENTICATE": handle_unauthenticate,
    "CHECK": handle_noop,
    "CLOSE": handle_close,
    "UNSELECT": handle_unselect,
    "EXPUNGE": handle_expunge,
    "SEARCH": handle_search,
    "SORT": handle_search,
    "THREAD": handle_thread,
    "ESEARCH": handle_esearch,
    "CANCELUPDATE": handle_cancel_update,
    "FETCH": handle_fetch,
    "STORE": handle_store,
    "COPY": handle_copy,
    "MOVE": handle_copy,
    "UID SEARCH": handle_search,
    "UID SORT": handle_search,
    "UID THREAD": handle_thread,
    "UID ESEARCH": handle_esearch,
    "UID FETCH": handle_fetch,
    "UID STORE": handle_store,
    "UID COPY": handle_copy,
    "UID MOVE": handle_copy,
    "UID EXPUNGE": handle_uid_expunge,
    "REPLACE": handle_replace,
    "UID REPLACE": handle_replace,
}
