"""Rights on mailboxes, annotations, quota, as the grant's account may see and change them."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.sharing_types import AclChange, AclEntry, Annotation, AnnotationDepth, Annotations, Quota
from shared.model.ids import Grant


class SharingApi(Protocol):
    @call(Role.IMAP)
    async def acl(self, grant: Grant, name: str) -> tuple[AclEntry, ...]:
        """RFC 4314 §3.3, the owner's entry first. Raises NoSuchMailbox, NoPermission."""
        ...

    @call(Role.IMAP, write=True)
    async def set_acl(self, grant: Grant, name: str, identifier: str, change: AclChange, rights: int) -> None:
        """RFC 4314 §3.1; an entry that is left without rights goes. Raises NoSuchMailbox, NoPermission, LimitExceeded;

        NotFound where nobody is called that; CannotChangeMailbox for the owner, whose rights do not change.
        """
        ...

    @call(Role.IMAP)
    async def fixed_rights(self, grant: Grant, name: str, identifier: str) -> int:
        """RFC 4314 §3.4: rights that an identifier always has. Raises as ``set_acl``."""
        ...

    @call(Role.IMAP, Role.ADMIN)
    async def get_metadata(
        self,
        grant: Grant,
        names: tuple[str, ...],
        entries: tuple[str, ...],
        depth: AnnotationDepth,
        max_octets: int | None,
    ) -> tuple[Annotations | None, ...]:
        """RFC 5464 §4.2, of mailboxes or (an empty name) of the server; None: a mailbox that may not be read.

        The reply is cut at MAX_REPLY_OCTETS: fewer answers than names mean "ask again for the rest".
        """
        ...

    @call(Role.IMAP, Role.ADMIN, write=True)
    async def set_metadata(self, grant: Grant, name: str, entries: tuple[Annotation, ...]) -> None:
        """RFC 5464 §4.3, all or nothing. Raises NoSuchMailbox, NoPermission, TooLarge (detail: the most octets), LimitExceeded."""
        ...

    @call(Role.IMAP)
    async def quota(self, grant: Grant, name: str) -> Quota:
        """Of the account that a mailbox belongs to; one's own need not be there (RFC 9208 §4.1.2). Raises NoSuchMailbox, NoPermission.

        The limits are those that are met first: the account's own, or what is left of its domain's.
        """
        ...

    @call(Role.IMAP)
    async def quota_root(self, grant: Grant, root: str) -> Quota:
        """One's own as ``quota`` has it; to an administrator any, as it was set, also a domain's (``@domain``). Raises NoSuchMailbox."""
        ...

    @call(Role.IMAP, write=True)
    async def set_quota(self, grant: Grant, root: str, messages: int | None, octets: int | None) -> Quota:
        """New limits (None: no limit), by an administrator (``auth.administrators``). Raises NoPermission, NoSuchMailbox, BadRequest."""
        ...
