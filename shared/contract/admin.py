"""What the command line does."""

from typing import Protocol

from shared.contract.bans_types import Ban
from shared.contract.dkim_types import DnsRecord
from shared.contract.group_types import Posting
from shared.contract.queue_types import QueueFilter, QueueItem, Recalled
from shared.contract.registry import Role, call
from shared.contract.restore_types import HeldContents, RestoredMessage
from shared.contract.search_types import SearchStatus
from shared.contract.sharing_types import Quota, Recounted
from shared.contract.types import AccountInfo, AliasInfo, DomainInfo, StoreStatus
from shared.contract.verify_types import VerifyStatus
from shared.model.ids import EntryId


class AdminApi(Protocol):
    @call(Role.ADMIN, write=True)
    async def domain_add(self, name: str) -> DomainInfo:
        """Raises AlreadyExists, BadRequest (not a domain name)."""
        ...

    @call(Role.ADMIN, write=True)
    async def domain_alias(self, name: str, target: str) -> DomainInfo:
        """Take mail for a domain as if it were for another one of ours. Raises AlreadyExists, NotFound, BadRequest (loop, an alias)."""
        ...

    @call(Role.ADMIN, write=True)
    async def domain_catch_all(self, name: str, targets: tuple[str, ...]) -> AliasInfo:
        """Who gets what is for nobody else in a domain, in place of who did until now; without targets: nobody.

        Raises NotFound, BadRequest (loop), LimitExceeded.
        """
        ...

    @call(Role.ADMIN)
    async def domain_list(self) -> tuple[DomainInfo, ...]: ...

    @call(Role.ADMIN, write=True)
    async def domain_remove(self, name: str) -> None:
        """Raises NotFound, BadRequest where accounts, aliases or domain aliases still use it."""
        ...

    @call(Role.ADMIN)
    async def domain_dns(self, name: str) -> tuple[DnsRecord, ...]:
        """What the owner of a domain has to publish: MX, SPF, the keys of DKIM (waiting and retired ones too), DMARC. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def dkim_rotate(self, name: str) -> tuple[DnsRecord, ...]:
        """Make new DKIM keys that wait for their records to be published; these records. Raises NotFound, AlreadyExists (some wait)."""
        ...

    @call(Role.ADMIN, write=True)
    async def dkim_activate(self, name: str) -> tuple[DnsRecord, ...]:
        """Sign with the keys that wait; the records of those that signed until now, to be kept for a week. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def account_add(self, address: str, password: str) -> AccountInfo:
        """With INBOX, Drafts, Sent, Junk, Trash, Archive. Raises AlreadyExists, NotFound (domain), BadRequest."""
        ...

    @call(Role.ADMIN, write=True)
    async def account_passwd(self, address: str, password: str) -> None:
        """Raises NotFound, BadRequest. Grants given before stay valid until they expire."""
        ...

    @call(Role.ADMIN)
    async def account_list(self, after: str) -> tuple[AccountInfo, ...]:
        """By address, at most 1,000 after the given one (empty: from the first)."""
        ...

    @call(Role.ADMIN, write=True)
    async def account_remove(self, address: str) -> None:
        """The account with its mailboxes and messages. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def alias_add(self, address: str, targets: tuple[str, ...]) -> AliasInfo:
        """Add targets to an alias, making it if need be. Raises NotFound (domain), AlreadyExists (an account), BadRequest (loop)."""
        ...

    @call(Role.ADMIN, write=True)
    async def alias_posting(self, address: str, posting: Posting, owners: tuple[str, ...]) -> AliasInfo:
        """Who may post to an alias from now on, in place of who might until now.

        Raises NotFound, BadRequest (OWNERS without any, a postmaster, a catch-all), LimitExceeded.
        """
        ...

    @call(Role.ADMIN)
    async def alias_list(self, after: str) -> tuple[AliasInfo, ...]:
        """By address, at most 1,000 after the given one."""
        ...

    @call(Role.ADMIN, write=True)
    async def alias_remove(self, address: str, targets: tuple[str, ...]) -> None:
        """Remove targets, or the whole alias when none are named or left. Raises NotFound."""
        ...

    @call(Role.ADMIN)
    async def quota_show(self, root: str) -> Quota:
        """Of an account by its address, or a domain as ``@domain``. Raises NotFound."""
        ...

    @call(Role.ADMIN)
    async def quota_list(self, after: str) -> tuple[Quota, ...]:
        """Of all accounts by address, at most 1,000 after the given one."""
        ...

    @call(Role.ADMIN)
    async def quota_domains(self) -> tuple[Quota, ...]:
        """Of all domains that may have accounts, by name."""
        ...

    @call(Role.ADMIN, write=True)
    async def quota_set(self, root: str, messages: int | None, octets: int | None) -> Quota:
        """New limits (None: no limit). Raises NotFound, BadRequest."""
        ...

    @call(Role.ADMIN, write=True)
    async def quota_recount(self, root: str) -> Recounted:
        """Count an account anew from its messages, a domain from its accounts, and keep that. Raises NotFound."""
        ...

    @call(Role.ADMIN)
    async def queue_list(self, after: EntryId, limit: int) -> tuple[QueueItem, ...]:
        """By entry number, without histories."""
        ...

    @call(Role.ADMIN)
    async def queue_find(self, wanted: QueueFilter, after: EntryId, limit: int) -> tuple[QueueItem, ...]:
        """Those that a filter fits, by entry number, without histories. Raises BadRequest for patterns that are too long."""
        ...

    @call(Role.ADMIN, write=True)
    async def queue_hold(self, entries: tuple[EntryId, ...]) -> int:
        """Hold entries back until they are released; how many. Not those that are under way. Their time to expire goes on."""
        ...

    @call(Role.ADMIN, write=True)
    async def queue_release(self, entries: tuple[EntryId, ...]) -> int:
        """Let held entries go, at once if they are due; how many were held."""
        ...

    @call(Role.ADMIN)
    async def queue_show(self, entry: EntryId) -> QueueItem:
        """With its attempts. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def queue_retry(self, entries: tuple[EntryId, ...]) -> int:
        """Make entries due now (none named: all); how many. Not before the time that a sender has set."""
        ...

    @call(Role.ADMIN, write=True)
    async def queue_remove(self, entries: tuple[EntryId, ...]) -> int:
        """Take entries out, without a bounce; how many. Leased ones too: a running attempt may still succeed."""
        ...

    @call(Role.ADMIN, write=True)
    async def queue_recall(self, entries: tuple[EntryId, ...]) -> Recalled:
        """Take entries back before they leave; those that are under way stay and are named. At most 250 at once. Raises BadRequest."""
        ...

    @call(Role.ADMIN)
    async def bans_list(self, after: str) -> tuple[Ban, ...]:
        """Bans that hold by ``Ban.key``, at most PAGE_BANS after the given one (empty: from the first)."""
        ...

    @call(Role.ADMIN, write=True)
    async def bans_add(self, network: str, seconds: float) -> Ban:
        """Refuse all logins from an address or network (CIDR) for a time. Raises BadRequest (no network, or one that is never banned)."""
        ...

    @call(Role.ADMIN, write=True)
    async def bans_lift(self, what: str) -> int:
        """End at once the bans of a user name, or all that lie inside an address or network or around it; how many."""
        ...

    @call(Role.ADMIN, write=True)
    async def bans_lift_all(self) -> int:
        """End all bans at once, an administrator's too; how many."""
        ...

    @call(Role.ADMIN)
    async def status(self) -> StoreStatus: ...

    @call(Role.ADMIN)
    async def search_status(self) -> SearchStatus: ...

    @call(Role.ADMIN)
    async def search_rebuild(self) -> SearchStatus:
        """Build the text search index anew, beside the old one, in the background; nothing that lasts depends on it.

        Raises BadRequest where it is turned off.
        """
        ...

    @call(Role.ADMIN)
    async def held_contents(self, address: str, in_trash: bool, after: int) -> HeldContents:
        """What the account holds in Trash (or everywhere else), at most 10,000 behind ``after`` (0: from the first). Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def restore_messages(
        self, address: str, mailbox: str, special_use: str, messages: tuple[RestoredMessage, ...]
    ) -> int:
        """File messages of a backup in one transaction, in the order given, whatever the quota; how many.

        The mailbox is made (and subscribed) where it is not there. Raises NotFound, InvalidMailboxName, LimitExceeded, NoSuchUpload,
        BadRequest.
        """
        ...

    @call(Role.ADMIN)
    async def verify_status(self) -> VerifyStatus: ...

    @call(Role.ADMIN)
    async def verify_start(self, octets_per_second: int) -> VerifyStatus:
        """Verify everything on the disk, in the background (0: as fast as the settings say); one that runs already goes on.

        Raises BadRequest (a negative speed).
        """
        ...
