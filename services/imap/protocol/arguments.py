"""What a parsed command holds: one frozen class per form of arguments.

RFC 3501 §6 and the extensions named at each class. Mailbox names are Unicode here; modified UTF-7 stays on the wire.
"""

from enum import Enum, StrEnum

import attrs

from services.imap.protocol.acl_grammar import AclArguments, SetAclArguments
from services.imap.protocol.append_grammar import AppendArguments
from services.imap.protocol.metadata_grammar import (
    NO_OPTIONS,
    GetMetadataArguments,
    MetadataOptions,
    SetMetadataArguments,
)
from services.imap.protocol.notify_arguments import NotifyArguments
from services.imap.protocol.quota_grammar import QuotaArguments
from services.imap.protocol.resync_grammar import Resync
from services.imap.protocol.search_arguments import (
    CancelUpdateArguments,
    PartialRange,
    SearchArguments,
    ThreadArguments,
)
from services.imap.protocol.sequence_set import SequenceSet


@attrs.frozen
class NoArguments:
    """CAPABILITY, NOOP, LOGOUT, STARTTLS, CHECK, CLOSE, EXPUNGE, UNSELECT, IDLE, NAMESPACE, UNAUTHENTICATE."""


@attrs.frozen
class IdArguments:
    """RFC 2971 §3.1."""

    fields: tuple[tuple[bytes, bytes | None], ...]


@attrs.frozen
class EnableArguments:
    """RFC 5161 §3.1."""

    capabilities: tuple[str, ...]


@attrs.frozen
class AuthenticateArguments:
    """RFC 3501 §6.2.2; ``initial`` is the initial response still in base64 (RFC 4959), ``=`` for an empty one."""

    mechanism: str
    initial: bytes | None = attrs.field(repr=False)


@attrs.frozen
class CompressArguments:
    """RFC 4978 §3; the algorithm in upper case."""

    algorithm: str


@attrs.frozen
class LoginArguments:
    """RFC 3501 §6.2.3. Its repr hides what must not reach a log."""

    username: bytes = attrs.field(repr=False)
    password: bytes = attrs.field(repr=False)


@attrs.frozen
class SelectArguments:
    """SELECT and EXAMINE; ``condstore``: RFC 7162 §3.1.8; ``resync``: §3.2.5."""

    mailbox: str
    condstore: bool = False
    resync: Resync | None = None


@attrs.frozen
class MailboxArguments:
    """DELETE, SUBSCRIBE, UNSUBSCRIBE, GETACL, MYRIGHTS, GETQUOTAROOT."""

    mailbox: str


@attrs.frozen
class CreateArguments:
    """``trailing_delimiter``: the client will make mailboxes below it (RFC 3501 §6.3.3). ``special_use``: RFC 6154 §3."""

    mailbox: str
    trailing_delimiter: bool = False
    special_use: str = ""


@attrs.frozen
class RenameArguments:
    mailbox: str
    new_name: str


class ListReturn(StrEnum):
    """RFC 5258 §3.2, RFC 6154 §2, RFC 5819 §2, RFC 8440 §3, RFC 9590 §3."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"
    STATUS = "STATUS"
    MYRIGHTS = "MYRIGHTS"
    METADATA = "METADATA"


class StatusItem(StrEnum):
    """RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 9051 §6.3.11, RFC 8438 §2, RFC 9208 §4.1.4."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    DELETED = "DELETED"
    DELETED_STORAGE = "DELETED-STORAGE"
    SIZE = "SIZE"
    APPENDLIMIT = "APPENDLIMIT"
    MAILBOXID = "MAILBOXID"


@attrs.frozen
class ListArguments:
    """LIST with RFC 5258's options, and LSUB."""

    reference: str
    patterns: tuple[str, ...]
    extended: bool = False
    select_subscribed: bool = False
    select_special_use: bool = False
    recursive_match: bool = False
    returns: frozenset[ListReturn] = frozenset()
    status_items: tuple[StatusItem, ...] = ()
    metadata_entries: tuple[str, ...] = ()
    metadata_options: MetadataOptions = NO_OPTIONS


@attrs.frozen
class StatusArguments:
    mailbox: str
    items: tuple[StatusItem, ...]


# --- FETCH ---


class FetchItem(Enum):
    """RFC 3501 §6.4.5: items without parameters; MODSEQ: RFC 7162 §3.1.5; RFC 8970 §3.1, RFC 8514 §4.2, RFC 8474 §5.3."""

    FLAGS = b"FLAGS"
    UID = b"UID"
    RFC822_SIZE = b"RFC822.SIZE"
    INTERNALDATE = b"INTERNALDATE"
    ENVELOPE = b"ENVELOPE"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"
    MODSEQ = b"MODSEQ"
    PREVIEW = b"PREVIEW"
    SAVEDATE = b"SAVEDATE"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"


class SectionText(Enum):
    """RFC 3501 §6.4.5: what of a part."""

    ALL = b""
    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@attrs.frozen
class Section:
    """``BODY[...]<...>`` and its older spellings RFC822, RFC822.HEADER, RFC822.TEXT."""

    path: tuple[int, ...] = ()
    text: SectionText = SectionText.ALL
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None
    """Origin and number of octets."""
    peek: bool = False
    legacy: bytes = b""
    """The older spelling that was used, which is also the name in the response."""
    binary: bool = False
    """RFC 3516 §4.2: BINARY, without the transfer encoding; ``partial`` counts decoded octets."""
    size_only: bool = False
    """RFC 3516 §4.2: BINARY.SIZE."""


@attrs.frozen
class FetchArguments:
    """``changed_since``: RFC 7162 §3.1.4.1; ``vanished``: §3.2.6. UID FETCH and FETCH differ in the command's name only."""

    messages: SequenceSet
    items: tuple[FetchItem | Section, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None
    """RFC 9394 §3.3."""


# --- STORE, COPY, MOVE, EXPUNGE ---


class StoreMode(StrEnum):
    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@attrs.frozen
class StoreArguments:
    """``unchanged_since``: RFC 7162 §3.1.3."""

    messages: SequenceSet
    mode: StoreMode
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None = None


@attrs.frozen
class CopyArguments:
    """COPY and MOVE (RFC 6851)."""

    messages: SequenceSet
    mailbox: str


@attrs.frozen
class UidExpungeArguments:
    """RFC 4315 §2.1."""

    messages: SequenceSet


Arguments = (
    NoArguments
    | IdArguments
    | EnableArguments
    | AuthenticateArguments
    | LoginArguments
    | CompressArguments
    | SelectArguments
    | MailboxArguments
    | CreateArguments
    | RenameArguments
    | ListArguments
    | StatusArguments
    | AppendArguments
    | FetchArguments
    | StoreArguments
    | CopyArguments
    | UidExpungeArguments
    | SearchArguments
    | ThreadArguments
    | CancelUpdateArguments
    | AclArguments
    | SetAclArguments
    | QuotaArguments
    | GetMetadataArguments
    | SetMetadataArguments
    | NotifyArguments
)


@attrs.frozen
class Command:
    """A command as the client gave it; ``name`` is a row of ``state.COMMANDS``."""

    tag: bytes
    name: str
    arguments: Arguments
