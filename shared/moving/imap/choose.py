"""Which mailboxes of another server move, and what they are called here. Pure.

Law: two mailboxes never become one unless somebody says so with ``--map``. A mailbox of a special use goes into ours of that use, where
its own name is another one; but not when another of theirs has ours' name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from shared.model.namespace import is_reserved
from shared.moving.imap.responses import Listed, Namespaces
from shared.moving.names import FolderNameError, mailbox_name

MAX_MAILBOXES: Final = 20_000
_NO_MAILBOX: Final = frozenset({"\\noselect", "\\nonexistent"})
_USES: Final = {"\\sent": "\\Sent", "\\trash": "\\Trash", "\\drafts": "\\Drafts", "\\junk": "\\Junk", "\\archive": "\\Archive"}
# RFC 6154 §2: they show what is in other mailboxes
_VIEWS: Final = {"\\flagged": "\\Flagged", "\\important": "\\Important"}
_ALL: Final = "\\all"
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "\\Sent": (
        "sent", "sent items", "sent messages", "sent mail", "sent-mail", "gesendet", "gesendete objekte", "gesendete elemente",
        "보낸편지함", "보낸 편지함", "보낸메일함", "보낸 메일함",
    ),
    "\\Trash": (
        "trash", "deleted items", "deleted messages", "bin", "papierkorb", "gelöschte objekte", "gelöschte elemente", "휴지통",
        "지운편지함", "지운 편지함", "삭제된 메일함",
    ),
    "\\Drafts": ("drafts", "draft", "entwürfe", "임시보관함", "임시 보관함"),
    "\\Junk": (
        "junk", "spam", "bulk mail", "junk e-mail", "junk email", "junk-e-mail", "spamverdacht", "스팸메일함", "스팸편지함", "스팸함",
        "정크 메일",
    ),
    "\\Archive": ("archive", "archives", "archiv", "보관함"),
}  # fmt: skip
"""What mailboxes of a special use are usually called, where the server does not say."""
_USE_OF: Final = {name: use for use, names in _NAMES.items() for name in names}


@attrs.frozen
class Chosen:
    """A mailbox that moves."""

    wire: bytes
    """Its name there, as the server writes it."""
    name: str
    """Here."""
    shows_all: bool = False
    """Gmail's All Mail: only what is in no other mailbox is taken from it."""


@attrs.frozen
class Choice:
    """What is asked for. Patterns and names are in our form, levels divided by ``/``; ``*`` stands for anything."""

    only: tuple[str, ...] = ()
    """Empty: all."""
    without: tuple[str, ...] = ()
    renamed: Mapping[str, str] = attrs.field(factory=dict)
    keep_names: bool = False
    """Special mailboxes keep theirs."""

    def takes(self, name: str) -> bool:
        """Whether a mailbox is meant."""
        return (not self.only or _any(name, self.only)) and not _any(name, self.without)


def _any(name: str, patterns: Sequence[str]) -> bool:
    """Brackets mean themselves: ``[Gmail]/*``."""
    return any(_matches(name.casefold(), pattern.casefold().split("*")) for pattern in patterns)


def _matches(name: str, pieces: Sequence[str]) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pieces)), name, re.DOTALL) is not None


@attrs.define
class Chosens:
    mailboxes: list[Chosen] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)


@attrs.define
class _Candidate:
    wire: bytes
    name: str
    use: str
    shows_all: bool


def own_name(wire: bytes, delimiter: bytes, personal: bytes) -> str:
    """A mailbox's name in our form, without the prefix of all personal names. Raises FolderNameError."""
    if wire.upper() == b"INBOX":
        return "INBOX"
    if personal and wire.startswith(personal):
        # RFC 2342 §5: INBOX.Sent is beside INBOX, not below it
        wire = wire[len(personal) :]
    levels = wire.split(delimiter) if delimiter else [wire]
    if levels[0].upper() == b"INBOX":
        levels[0] = b"INBOX"
    return mailbox_name(levels).name


def choose(
    listed: Sequence[Listed], namespaces: Namespaces, choice: Choice, ours: Mapping[str, str], *, knows_copies: bool = False
) -> Chosens:
    """``ours``: names here by special use; ``knows_copies``: the server tells what is the same message elsewhere (X-GM-EXT-1)."""
    found = Chosens()
    candidates: list[_Candidate] = []
    for each in listed:
        if each.attributes & _NO_MAILBOX or any(each.wire.startswith(prefix) for prefix in namespaces.others):
            continue
        try:
            name = own_name(each.wire, each.delimiter, namespaces.personal)
        except FolderNameError as error:
            found.problems.append(f"mailbox {each.wire.decode('utf-8', 'replace')} is left out: {error}")
            continue
        if choice.takes(name):
            _add(each, name, choice, candidates, found, knows_copies=knows_copies)
    _name(candidates, choice, ours, found)
    names = {candidate.name for candidate in candidates}
    found.problems += [f"mailbox {old} is not there, or left out: it gets no other name" for old in choice.renamed if old not in names]
    return found


def _add(
    each: Listed, name: str, choice: Choice, candidates: list[_Candidate], found: Chosens, *, knows_copies: bool
) -> None:
    named = name in choice.only
    view = next((_VIEWS[attribute] for attribute in sorted(each.attributes) if attribute in _VIEWS), "")
    if view and not named:
        found.notes.append(f"mailbox {name} is left out: it only shows messages of others ({view})")
        return
    shows_all = _ALL in each.attributes
    if shows_all and not named and not knows_copies:
        found.notes.append(f"mailbox {name} is left out: it shows all messages again; --folder '{name}' takes it")
        return
    use = next((_USES[attribute] for attribute in sorted(each.attributes) if attribute in _USES), "")
    candidates.append(_Candidate(each.wire, name, "\\Archive" if shows_all else use, shows_all and not named))


def _name(candidates: list[_Candidate], choice: Choice, ours: Mapping[str, str], found: Chosens) -> None:
    """INBOX is first; what shows all messages is last, when the others are known."""
    declared = {candidate.use for candidate in candidates}
    theirs = {candidate.name.casefold() for candidate in candidates}
    taken: set[str] = set()
    for candidate in sorted(candidates, key=lambda each: (each.shows_all, each.name != "INBOX", each.name)):
        use = candidate.use
        if not use and "/" not in candidate.name:
            use = _USE_OF.get(candidate.name.casefold(), "")
            use = "" if use in declared else use
        name = candidate.name
        target = ours.get(use, "Archive" if candidate.shows_all else "")
        if candidate.name in choice.renamed:
            name = choice.renamed[candidate.name]
        elif use and target and not choice.keep_names and target.casefold() not in theirs and target.casefold() not in taken:
            name = target
        if is_reserved(name):
            found.problems.append(f"mailbox {name} is left out: other accounts' mailboxes are there (--map gives it another name)")
            continue
        if name != candidate.name:
            found.notes.append(f"mailbox {candidate.name} goes into {name}")
        taken.add(name.casefold())
        found.mailboxes.append(Chosen(candidate.wire, name, candidate.shows_all))
