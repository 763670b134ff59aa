"""Identities that the store assigns. They are plain integers and bytes on the wire; the types keep them apart in code."""

from typing import NewType

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
"""RFC 3501 §2.3.1.1: 1 to 2**32 - 1, strictly ascending in a mailbox, never used again."""
ModSeq = NewType("ModSeq", int)
"""RFC 7162 §3.1: 1 to 2**63 - 1."""
DeviceId = NewType("DeviceId", int)
"""One app password of an account, never used again."""
EntryId = NewType("EntryId", int)
"""One recipient of one message in the outbound queue."""
Grant = NewType("Grant", bytes)
"""What a successful login returned: a token that the store signed, for one account and one service, with an end."""

UID_MAX = 2**32 - 1
MODSEQ_MAX = 2**63 - 1
