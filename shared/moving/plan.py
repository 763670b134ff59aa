"""What of a folder is missing here, and what has changed: a folder's messages beside those of the mailbox. Pure.

Law: nothing is ever left behind for a guess. A message is known again by its UIDL, where its date and size agree, then by its content;
a UID that the mailbox has had and expunged was deleted here and stays so; everything else is filed, under its own UID where that is
still to come, else under a new one.
"""

from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Source:
    """A message of the folder."""

    uid: int
    """0: none, or another UIDVALIDITY's."""
    uidl: str
    """Empty: none that lasts."""
    flags: tuple[str, ...]
    place: int
    """Its position in the folder's list."""
    came: int | None = None
    octets: int = 0
    """With CRLF line ends; 0: not known."""
    taken: bool = False
    """An earlier import has brought it: where it is gone, somebody deleted or moved it."""


@attrs.frozen
class Here:
    """A message of the mailbox."""

    uid: int
    uidl: str
    digest: bytes
    flags: tuple[str, ...]
    came: int = 0
    octets: int = 0

    def looks_like(self, source: Source) -> bool:
        """What is known of a message of the same UIDL says nothing else: two servers may have made the same UIDL."""
        return source.came in {None, self.came} and source.octets in {0, self.octets}


@attrs.define
class Plan:
    kept: list[Source]
    """To be read and filed under their UIDs, ascending."""
    renewed: list[Source]
    """To be read and filed under new ones, behind those."""
    flags: dict[tuple[str, ...], list[int]]
    """UIDs here whose flags become these."""
    same: int
    """Here already."""
    deleted: int
    """Were here, and were deleted."""
    unpaired: dict[bytes, list[Here]]
    """By content: messages here that belong to nobody yet."""
    settled: frozenset[int] = frozenset()
    """UIDs here whose flags stay."""

    @property
    def wanted(self) -> list[Source]:
        """All that is to be read, in the order of filing."""
        return [*self.kept, *self.renewed]

    def is_here(self, source: Source, digest: bytes) -> bool:
        """Whether a message that was read is here already, by its content; each message here stands for one."""
        known = self.unpaired.get(digest)
        if not known:
            return False
        self.pair(source, known.pop(0))
        return True

    def pair(self, source: Source, known: Here) -> None:
        """They are the same message."""
        self.same += 1
        if known.uid not in self.settled and set(known.flags) != set(source.flags):
            self.flags.setdefault(source.flags, []).append(known.uid)


def make_plan(
    sources: Sequence[Source],
    here: Sequence[Here],
    vanished: Iterable[int],
    uid_next: int,
    touched: frozenset[int] | None = None,
) -> Plan:
    """``uid_next``: of the mailbox. ``touched``: UIDs here whose flags stay, as do those of messages from elsewhere; None: none stay."""
    by_uidl = {message.uidl: message for message in here}
    gone = frozenset(vanished)
    settled: frozenset[int] = frozenset()
    if touched is not None:
        theirs = {source.uidl for source in sources}
        settled = touched | {message.uid for message in here if message.uidl not in theirs}
    plan = Plan([], [], {}, 0, 0, {}, settled)
    for source in sources:
        known = by_uidl.get(source.uidl) if source.uidl else None
        if known is not None and (source.taken or known.looks_like(source)):
            plan.pair(source, by_uidl.pop(source.uidl))
            continue
        if known is not None:
            # RFC 1939 §7: unique within a maildrop
            source = attrs.evolve(source, uidl="")
        if source.uid in gone:
            plan.deleted += 1
        elif source.taken:
            plan.same += 1
        elif source.uid >= max(uid_next, 1):
            plan.kept.append(source)
        else:
            plan.renewed.append(attrs.evolve(source, uid=0))
    plan.kept.sort(key=lambda source: source.uid)
    for message in by_uidl.values():
        plan.unpaired.setdefault(message.digest, []).append(message)
    return plan
