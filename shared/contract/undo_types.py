"""What travels about bringing an account back to how it was."""

from typing import Final

import attrs

from shared.model.ids import MailboxId

EVERY_MAILBOX: Final = ""
PIECE: Final = 500
"""Messages in one step, at the most: some 20 ms of the writer's time."""
PLANNED_MAX: Final = 20_000
"""Messages in one plan; the next one goes on."""


@attrs.frozen
class UndoMessage:
    """One that would come back, for a person."""

    uid: int
    """That it had then."""
    date: int
    subject: str
    sender: str


@attrs.frozen
class UndoCounts:
    """What there is to do, or what was done."""

    back: int = 0
    """Expunged messages that come back."""
    moved: int = 0
    """Messages that are in other mailboxes now and move back."""
    flags: int = 0
    """Messages that stayed and get their flags back."""
    gone: int = 0
    """Messages that an undo has brought back since then, and that were not there then."""
    made: int = 0
    renamed: int = 0
    """Mailboxes."""

    def __add__(self, other: "UndoCounts") -> "UndoCounts":
        mine, others = attrs.astuple(self), attrs.astuple(other)
        return UndoCounts(*(one + another for one, another in zip(mine, others, strict=True)))

    @property
    def total(self) -> int:
        return sum(attrs.astuple(self))


@attrs.frozen
class UndoStep:
    """What is to be done for one mailbox of then, or a piece of it. Sets are packed u32, flags packed u64."""

    mailbox_id: MailboxId
    """As it was then; it may be gone."""
    name: str
    """Then."""
    make: bool = False
    """It is gone, and no other has its name."""
    renamed: str = ""
    """The name that it has now, where it is to get the old one back."""
    back: bytes = b""
    """UIDs of then: messages that are not there any more."""
    back_flags: bytes = b""
    """Of then, for each of them."""
    changed: bytes = b""
    """UIDs of messages that are there with other flags."""
    changed_flags: bytes = b""
    gone: bytes = b""
    """UIDs of now."""
    counts: UndoCounts = UndoCounts()
    examples: tuple[UndoMessage, ...] = ()


@attrs.frozen
class UndoPlan:
    since: float
    """Nothing can be brought back to how it was before (seconds since 1970)."""
    steps: tuple[UndoStep, ...]
    counts: UndoCounts
    """Altogether, also of what has no room in ``steps``."""
    more: bool
    """Plan again when these steps are done."""


@attrs.frozen
class UndoDone:
    counts: UndoCounts
    left_out: str = ""
    """What could not be done and why; empty: nothing."""
