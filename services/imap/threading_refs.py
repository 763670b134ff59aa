"""THREAD: messages as trees of replies. Pure, and iterative throughout: how deep a thread goes is its senders' choice.

RFC 5256 §3 (ORDEREDSUBJECT, REFERENCES); draft-ietf-morg-inthread (REFS: as REFERENCES without the subjects, threads in the order of
their latest arrival). Looking for a loop costs the depth of a tree at most; all of it together is bounded, for mail made to be slow
(``MAX_STEPS``): what would go beyond stays without that parent.
"""

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from services.imap.cards import Card
from services.imap.protocol.search_arguments import ThreadAlgorithm
from services.imap.protocol.search_responses import Node

MAX_STEPS: Final = 20_000_000


@attrs.frozen(eq=False)
class Member:
    """A message to be threaded. ``arrival``: its internal date."""

    number: int
    arrival: int
    card: Card

    @property
    def date(self) -> int:
        """RFC 5256 §2.2."""
        return self.arrival if self.card.sent is None else self.card.sent


class _Tree(Node):
    """A node while the tree is made; ``member`` None: a message that is not there."""

    __slots__ = ("childless", "date", "latest", "member", "order", "parent")

    def __init__(self, member: Member | None, order: int) -> None:
        super().__init__(0 if member is None else member.number)
        self.member = member
        self.order = order
        self.parent: _Tree | None = None
        self.childless = True
        """Never was a parent: cannot be above anything."""
        self.date = 0
        self.latest = 0

    @property
    def trees(self) -> "list[_Tree]":
        return self.children  # type: ignore[return-value] # all of them are made here


def thread(algorithm: ThreadAlgorithm, members: Sequence[Member]) -> list[Node]:
    """The roots, in order; ``members`` in the order of the mailbox."""
    if algorithm is ThreadAlgorithm.ORDEREDSUBJECT:
        return _by_subject(members)
    roots = _prune(_link(members))
    if algorithm is ThreadAlgorithm.REFS:
        _date_all(roots, lambda member: member.arrival)
        _sort_below(roots)
        roots.sort(key=lambda tree: (tree.latest, tree.order))
        return list(roots)
    _date_all(roots, lambda member: member.date)
    roots.sort(key=_by_date)
    roots = _gather_subjects(roots)
    _date_all(roots, lambda member: member.date)
    _sort_below(roots)
    roots.sort(key=_by_date)
    return list(roots)


def _by_date(tree: _Tree) -> tuple[int, int]:
    return tree.date, tree.order


# RFC 5256 §3: ORDEREDSUBJECT
def _by_subject(members: Sequence[Member]) -> list[Node]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.card.subject, []).append(member)
    order = {id(member): at for at, member in enumerate(members)}

    def by_date(member: Member) -> tuple[int, int]:
        return member.date, order[id(member)]

    sorted_groups = [sorted(group, key=by_date) for group in groups.values()]
    sorted_groups.sort(key=lambda group: by_date(group[0]))
    return [Node(group[0].number, [Node(member.number) for member in group[1:]]) for group in sorted_groups]


# RFC 5256 §3: REFERENCES (1)
def _link(members: Sequence[Member]) -> list[_Tree]:
    """All nodes, linked; roots have no parent."""
    by_id: dict[str, _Tree] = {}
    nodes: list[_Tree] = []
    own: list[_Tree] = []
    for order, member in enumerate(members):
        tree = _Tree(member, order)
        nodes.append(tree)
        own.append(tree)
        message_id = member.card.message_id
        # of several with one id the first has it; who has none is referred to by nobody
        if message_id and message_id not in by_id:
            by_id[message_id] = tree
    steps = MAX_STEPS
    for tree, member in zip(own, members, strict=True):
        last: _Tree | None = None
        for reference in member.card.references:
            parent = by_id.get(reference)
            if parent is None:
                parent = by_id[reference] = _Tree(None, len(nodes))
                nodes.append(parent)
            # (A): an existing link is not changed
            if last is not None and parent.parent is None:
                steps = _set_parent(parent, last, steps)
            last = parent
        # (B): the link to the message's own last reference goes before what others say of it
        tree.parent = None
        if last is not None:
            steps = _set_parent(tree, last, steps)
    return nodes


def _set_parent(child: _Tree, parent: _Tree, steps: int) -> int:
    """Link, unless that would be a loop; what is left of the steps."""
    above: _Tree | None = parent
    if child.childless and child is not parent:
        above = None
    while above is not None and steps > 0:
        if above is child:
            return steps
        above = above.parent
        steps -= 1
    if above is None:
        child.parent = parent
        parent.childless = False
    return steps


# RFC 5256 §3: REFERENCES (2), (3)
def _prune(nodes: Sequence[_Tree]) -> list[_Tree]:
    """The roots, with dummies only there and only above several."""
    for tree in nodes:
        if tree.parent is not None:
            tree.parent.children.append(tree)
    # from the leaves up: a dummy's children are pruned before it is
    roots = [tree for tree in nodes if tree.parent is None]
    order: list[_Tree] = []
    waiting = list(roots)
    while waiting:
        tree = waiting.pop()
        order.append(tree)
        waiting.extend(tree.trees)
    for tree in reversed(order):
        if tree.children:
            kept: list[Node] = []
            for child in tree.trees:
                if child.member is not None:
                    kept.append(child)
                else:
                    kept.extend(child.children)
            tree.children = kept
    found: list[_Tree] = []
    for root in roots:
        if root.member is not None or len(root.children) > 1:
            found.append(root)
        else:
            found.extend(root.trees)
    return found


def _date_all(roots: Sequence[_Tree], date: Callable[[Member], int]) -> None:
    """Dates for sorting: of a dummy that of its first child by date; ``latest``: of everything in the tree."""
    order: list[_Tree] = []
    waiting = list(roots)
    while waiting:
        tree = waiting.pop()
        order.append(tree)
        waiting.extend(tree.trees)
    for tree in reversed(order):
        children = tree.trees
        if tree.member is not None:
            tree.date = tree.latest = date(tree.member)
        else:
            first = min(children, key=_by_date)
            tree.date, tree.order = first.date, first.order
            tree.latest = first.latest
        for child in children:
            tree.latest = max(tree.latest, child.latest)


# RFC 5256 §3: REFERENCES (6)
def _sort_below(roots: Sequence[_Tree]) -> None:
    waiting = list(roots)
    while waiting:
        tree = waiting.pop()
        if tree.children:
            tree.trees.sort(key=_by_date)
            waiting.extend(tree.trees)


def _subject_of(tree: _Tree) -> Card:
    """The card by which a thread is gathered: of a dummy that of its first child."""
    member = tree.member
    if member is None:
        member = min(tree.trees, key=_by_date).member
    if member is None:
        raise RuntimeError("a dummy below a dummy")
    return member.card


# RFC 5256 §3: REFERENCES (5)
def _gather_subjects(roots: Sequence[_Tree]) -> list[_Tree]:
    table: dict[str, _Tree] = {}
    replies: dict[int, bool] = {}
    subjects: dict[int, str] = {}
    for tree in roots:
        card = _subject_of(tree)
        subjects[id(tree)] = card.subject
        # a dummy is no reply: it is asked about itself only where it is a message
        replies[id(tree)] = tree.member is not None and card.is_reply
        if not card.subject:
            continue
        there = table.get(card.subject)
        if there is None or (
            there.member is not None and (tree.member is None or (replies[id(there)] and not replies[id(tree)]))
        ):
            table[card.subject] = tree
    merged: dict[int, _Tree | None] = {}
    """What takes a root's place: itself or a dummy, None: it went below another."""
    for tree in roots:
        subject = subjects[id(tree)]
        there = table[subject] if subject else tree
        if there is tree:
            continue
        merged[id(tree)] = None
        if there.member is None:
            if tree.member is None:
                there.children.extend(tree.children)
            else:
                there.children.append(tree)
        elif replies[id(tree)] and not replies[id(there)]:
            there.children.append(tree)
        else:
            dummy = _Tree(None, there.order)
            dummy.children = [there, tree]
            merged[id(there)] = dummy
            table[subject] = dummy
    found: list[_Tree] = []
    for tree in roots:
        place = merged.get(id(tree), tree)
        if place is not None:
            found.append(place)
    return found
