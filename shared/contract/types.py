"""What travels between the processes: frozen attrs classes of plain values. Times are seconds since 1970 in UTC."""

from enum import IntFlag, StrEnum
from typing import Final

import attrs

from shared.contract.device_types import LoginDevice
from shared.contract.group_types import Posting
from shared.contract.wishes_types import NO_WISHES, Wishes
from shared.model.ids import AccountId, DeviceId, EntryId, Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.rights import ALL_RIGHTS_BITS

MAX_INLINE_OCTETS: Final = 256 * 1024
"""Content up to this size travels inside the call; larger content is uploaded first, so that no big message blocks small calls."""
CHUNK_OCTETS: Final = 256 * 1024
"""Size of the pieces of an upload and of a ranged read."""
MAX_REPLY_OCTETS: Final = 900 * 1024
"""Lists are cut so that a reply stays well below the frame bound of 1 MiB; the caller asks for the rest."""


# --- directory and auth ---


class ResolutionKind(StrEnum):
    DELIVERABLE = "deliverable"
    """At least one local account or remote target."""
    UNKNOWN = "unknown"
    """The domain is ours, the local part is nobody."""
    NOT_LOCAL = "not_local"
    """The domain is not ours."""


@attrs.frozen
class Resolution:
    """Who stands behind an address, aliases followed (loops cut)."""

    kind: ResolutionKind
    accounts: tuple[AccountId, ...] = ()
    remotes: tuple[str, ...] = ()
    room_octets: int | None = None
    """What fits into the roomiest of the accounts; 0: all of them are full; None: there is no limit, or a remote target."""
    catch_all: bool = False
    """Only the domain's catch-all takes it."""
    restricted: bool = False
    """A group to which not everybody may post: ``directory.may_post`` says who."""


@attrs.frozen
class LoginResult:
    account_id: AccountId
    address: str
    grant: Grant
    device: LoginDevice | None = None
    """Whose password it was; None: the account's own."""
    mailbox: str = ""
    """POP3: the maildrop that the user name asks for, there or not; empty: INBOX."""


# --- content ---


@attrs.frozen
class ContentSource:
    """A message's bytes: inline, or the handle of a finished upload. Exactly one of the two is set."""

    octets: int
    inline: bytes | None = None
    upload: bytes | None = None
    part: int | None = None
    """Of an upload that holds several contents (``content.add_contents``): which, from 0."""


# --- messages ---


@attrs.frozen
class LocalRecipient:
    account_id: AccountId
    address: str
    """As given at RCPT."""
    mailbox: str = "INBOX"
    flags: tuple[str, ...] = ()
    """None for a message that is held."""
    notify: int = 0
    """See ``shared.model.notify``: of a message that is held; of others ``reports`` tells at once."""
    orcpt: str = ""


@attrs.frozen
class RemoteRecipient:
    address: str
    """Where it goes: local part @ domain."""
    original: str = ""
    """As given at RCPT when an alias led here, else empty."""
    notify: int = 0
    """See ``shared.model.notify``."""
    orcpt: str = ""
    """RFC 3461 §4.2, as it came."""


@attrs.frozen
class Bounce:
    """A DSN for the sender, filed (or queued with the null sender) in the transaction that records what it tells."""

    recipient: str
    content: ContentSource
    index: MessageIndex
    trace: str
    eight_bit: bool = False
    require_tls: bool = False
    """It tells of a message with REQUIRETLS (RFC 8689 §5)."""


@attrs.frozen
class Delivery:
    """A message with its envelope: local copies and queue entries are made in one transaction."""

    trace: str
    sender: str
    """The reverse-path, empty for ``<>``."""
    local: tuple[LocalRecipient, ...]
    remote: tuple[RemoteRecipient, ...]
    content: ContentSource
    index: MessageIndex
    skip_octets: int = 0
    """Leading octets (the Return-Path line) that local copies have and the queue leaves out."""
    smtputf8: bool = False
    eight_bit: bool = False
    account_id: AccountId | None = None
    """The submitting account, when it was authenticated."""
    received_from: str = ""
    """Client address and HELO name, for the administrator."""
    verdicts: str = ""
    """What the checks found, in words, for the history."""
    envelope_id: str = ""
    """ENVID as it came, xtext."""
    ret: str = ""
    """RET: FULL, HDRS or empty."""
    reports: tuple[Bounce, ...] = ()
    """Filed with the message: what the sender wanted to be told of its success. At most one."""
    device_id: DeviceId | None = None
    """The device whose password the submitting account logged in with."""
    unlimited: bool = False
    """It came from a network without limits: counted as the account's, never refused for its daily limits."""
    wishes: Wishes = NO_WISHES


@attrs.frozen
class FiledCopy:
    account_id: AccountId
    mailbox_id: MailboxId
    uid: Uid


@attrs.frozen
class DeliveryResult:
    copies: tuple[FiledCopy, ...]
    entries: tuple[EntryId, ...]


@attrs.frozen
class AppendResult:
    uidvalidity: int
    uid: Uid
    modseq: ModSeq


@attrs.frozen
class ChangesPage:
    """Messages of a mailbox that changed after a modseq, by ascending UID, in packed columns (``shared.model.packed``)."""

    uids: bytes
    """u32"""
    modseqs: bytes
    """u64"""
    flags: bytes
    """u64, see ``shared.model.flags``"""
    sizes: bytes
    """u32, octets"""
    internal_dates: bytes
    """i64, seconds"""
    vanished: bytes
    """u32, ascending: UIDs expunged after that modseq; only on the first page"""
    keywords: tuple[str, ...]
    """Names of the keyword slots."""
    uid_next: Uid
    highest_modseq: ModSeq
    """As of this page. A reader of several pages keeps the first page's value and asks again from there."""
    more: bool
    acl_version: int = 0
    """Goes up with each change of the mailbox's rights."""


class IndexField(IntFlag):
    """Which columns of the message index a reader wants."""

    ENVELOPE = 1
    BODYSTRUCTURE = 2
    BODY = 4
    PARTS = 8
    SUMMARY = 16
    HEADER_OCTETS = 32
    EMAIL_ID = 64
    """EMAILID and THREADID, RFC 8474."""
    SAVED_DATE = 128
    """When it came into the mailbox, RFC 8514."""


@attrs.frozen
class IndexRow:
    """One message's index; columns that were not asked for are empty."""

    uid: Uid
    envelope: bytes
    bodystructure: bytes
    body: bytes
    parts: bytes
    summary: bytes
    header_octets: int
    email_id: str
    thread_id: str
    saved_date: int = 0
    """Seconds; 0 where it was not asked for."""


@attrs.frozen
class ContentRange:
    uid: Uid
    offset: int = 0
    octets: int = -1
    """-1: to the end"""


class FlagOperation(StrEnum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@attrs.frozen
class StoreFlagsResult:
    modseq: ModSeq
    """Of all messages that this call changed; 0 when none."""
    uids: bytes
    """u32: messages that are there and passed the condition (changed or already so)"""
    flags: bytes
    """u64: their flags now"""
    modseqs: bytes
    """u64: their modseqs now"""
    failed: bytes
    """u32: messages whose modseq is above ``unchanged_since`` (RFC 7162 §3.1.3)"""
    keywords: tuple[str, ...]


@attrs.frozen
class CopyResult:
    """COPYUID of RFC 4315 §3: the n-th source became the n-th target."""

    uidvalidity: int
    sources: bytes
    """u32"""
    targets: bytes
    """u32"""
    source_modseq: ModSeq = ModSeq(0)
    """MOVE: modseq of the expunge in the source mailbox."""


@attrs.frozen
class ExpungeResult:
    uids: bytes
    """u32, ascending"""
    modseq: ModSeq


@attrs.frozen
class Maildrop:
    """RFC 1939: what a POP3 session sees, in UID order."""

    mailbox_id: MailboxId
    uids: bytes
    """u32"""
    sizes: bytes
    """u32"""
    header_octets: bytes
    """u32"""
    uidls: tuple[str, ...]
    more: bool
    expire_days: int = 0
    """After how many days at the soonest messages go by themselves (RFC 2449 §6.7); 0: never."""


# --- mailboxes ---


@attrs.frozen
class MailboxState:
    """What SELECT and STATUS tell."""

    mailbox_id: MailboxId
    name: str
    uidvalidity: int
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    recent: int
    deleted: int
    octets: int
    first_recent_uid: Uid
    """Messages from this UID on are ``\\Recent`` for this session."""
    keywords: tuple[str, ...]
    rights: int = ALL_RIGHTS_BITS
    """What the account may do, see ``shared.model.rights``."""
    own: bool = True
    acl_version: int = 0
    deleted_octets: int = 0
    """Of messages flagged \\Deleted, where asked for (RFC 9208 §4.1.4)."""


@attrs.frozen
class MailboxCounters:
    """A mailbox among all of an account, as NOTIFY tells it (RFC 5465 §5)."""

    mailbox_id: MailboxId
    name: str
    special_use: str
    subscribed: bool
    uidvalidity: int
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    rights: int = ALL_RIGHTS_BITS
    """What the account may do, see ``shared.model.rights``; without READ all numbers are 0."""


@attrs.frozen
class AnnotationsChanged:
    """Entries that were set or taken away, of a mailbox or (0) of the server."""

    mailbox_id: MailboxId
    names: tuple[str, ...]


@attrs.frozen
class AccountChanges:
    number: int
    """Of the commit: ask for what comes after it."""
    complete: bool
    """Everything there is, with the pages of ``shared_mailboxes``: a mailbox that is in no page is gone."""
    mailboxes: tuple[MailboxCounters, ...]
    subscribed_only: tuple[str, ...] = ()
    """Only where ``complete``: names that are subscribed without a mailbox."""
    next_name: str = ""
    """Where the next page begins (``after_name``); empty: that was all."""
    annotations: tuple[AnnotationsChanged, ...] = ()
    """In the order in which they were changed."""


# --- queue ---


@attrs.frozen
class QueueEntry:
    """One recipient that is due."""

    entry_id: EntryId
    message_id: int
    """Entries with the same number and destination can share a transaction."""
    destination: str
    """Domain, lower case, A-labels."""
    trace: str
    sender: str
    recipient: str
    original: str
    octets: int
    """Of the content as it goes out (``skip_octets`` already taken off)."""
    smtputf8: bool
    eight_bit: bool
    queued_at: float
    expires_at: float
    attempts: int
    account_id: AccountId | None
    notify: int = 0
    orcpt: str = ""
    envelope_id: str = ""
    ret: str = ""
    warn_at: float = 0.0
    """From when on a deferral is told to the sender; 0: it was told, or never is."""
    wishes: Wishes = NO_WISHES
    route: str = ""
    """A relay's name or ``relay_types.DIRECT``, as an administrator said; empty: by the rules."""


@attrs.frozen
class Lease:
    entries: tuple[QueueEntry, ...]
    next_due: float | None
    """When the next entry that is not leased becomes due; None: nothing waits."""
    plan: int = 0
    """``RelayPlan.version`` as of this lease."""


class OutcomeKind(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    RELEASED = "released"
    """Nothing was tried: give the lease back."""


@attrs.frozen
class Outcome:
    """What an attempt led to, for one recipient."""

    entry_id: EntryId
    kind: OutcomeKind
    next_attempt_at: float = 0.0
    """DEFERRED: when to try again."""
    code: int = 0
    """SMTP reply code, 0 when there was no reply."""
    enhanced: str = ""
    text: str = ""
    """The reply's or error's text, at most 1,000 characters."""
    remote: str = ""
    """Host name and address, empty when none was reached."""
    tls: str = ""
    """Version and cipher, the promise of the domain, whether the certificate verified; empty without TLS and promise."""
    seconds: float = 0.0
    warned: bool = False
    """DEFERRED: a bounce of this call tells the sender of the delay."""
    dialogue: bytes = b""
    """How it went (``shared.model.dialogue``)."""
    same_dialogue: bool = False
    """It shares the dialogue of the outcome before it in this call, which is not sent twice."""


# --- admin ---


@attrs.frozen
class DomainInfo:
    name: str
    accounts: int
    aliases: int
    alias_of: str = ""
    """The domain it stands for; empty: a domain of its own."""


@attrs.frozen
class AccountInfo:
    account_id: AccountId
    address: str
    messages: int
    octets: int
    created_at: float


@attrs.frozen
class AliasInfo:
    address: str
    targets: tuple[str, ...]
    posting: Posting = Posting.EVERYBODY
    owners: tuple[str, ...] = ()
    """Who may post to it besides its members, or alone."""


@attrs.frozen
class Connection:
    """A service that is connected to the store now."""

    role: str
    worker: str
    since: float


@attrs.frozen
class StoreStatus:
    version: str
    started_at: float
    domains: int
    accounts: int
    messages: int
    octets: int
    """Of all messages, before compression and sharing."""
    disk_octets: int
    """Of packs and database."""
    queue_entries: int
    queue_due: int
    connections: tuple[Connection, ...]
    verified_at: float
    damages: int
    """Found by the last verification, at ``verified_at`` (0: never)."""
    backup_tested_at: float
    backup_failure: str
    """Of the restore that was last tried, at ``backup_tested_at`` (0: never); empty: it went well."""
