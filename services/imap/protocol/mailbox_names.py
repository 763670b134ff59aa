"""Which mailbox names a LIST or LSUB pattern means, and the hierarchy they form. Pure; names are Unicode, levels divided by ``/``.

RFC 3501 §6.3.8 (wildcards, \\Noselect parents), RFC 5258 §3 (selection and return options, CHILDINFO), RFC 3348 (\\HasChildren).
The matcher costs one step per character of a name whatever the pattern: wildcards cannot make it slow.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from services.imap.protocol.arguments import ListArguments, ListReturn

DELIMITER: Final = "/"


class Pattern:
    """A mailbox pattern: ``*`` matches anything, ``%`` anything within one level."""

    def __init__(self, text: str) -> None:
        tokens: list[str] = []
        for character in text:
            if tokens and character in "*%" and tokens[-1] in "*%":
                # neighbours collapse: "**", "*%" and "%*" mean "*", "%%" means "%"
                tokens[-1] = "*" if "*" in (character, tokens[-1]) else "%"
            else:
                tokens.append(character)
        self._exact = text if not {"*", "%"} & set(tokens) else None
        self._all = tokens == ["*"]
        self._masks: dict[str, int] = {}
        self._star = self._percent = 0
        for position, token in enumerate(tokens):
            bit = 1 << position
            if token == "*":  # noqa: S105 - a wildcard, not a password
                self._star |= bit
            elif token == "%":  # noqa: S105 - a wildcard, not a password
                self._percent |= bit
            else:
                self._masks[token] = self._masks.get(token, 0) | bit
        self._wild = self._star | self._percent
        self._end = 1 << len(tokens)

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        if self._all:
            return True
        if self._exact is not None:
            return name == self._exact
        # Each bit says: the tokens before this position have matched so far.
        state = 1 | (self._wild & 1) << 1
        for character in name:
            stay = state & (self._wild if character != DELIMITER else self._star)
            state = (state & self._masks.get(character, 0)) << 1 | stay
            state |= (state & self._wild) << 1
            if not state:
                return False
        return bool(state & self._end)


@attrs.frozen
class KnownMailbox:
    """A mailbox that exists."""

    special_use: str = ""
    subscribed: bool = False


@attrs.frozen
class Row:
    """One LIST or LSUB response. ``selectable``: STATUS can be asked of it."""

    name: str
    attributes: tuple[str, ...]
    child_info: bool = False
    """RFC 5258 §3.5: subscribed mailboxes below it that the pattern does not match."""
    selectable: bool = True


def ancestors(name: str) -> Iterable[str]:
    """``a/b/c`` gives ``a/b`` and ``a``."""
    end = name.rfind(DELIMITER)
    while end > 0:
        yield name[:end]
        end = name.rfind(DELIMITER, 0, end)


def _patterns(arguments: ListArguments) -> list[Pattern]:
    patterns = []
    for text in arguments.patterns:
        full = text if text.startswith(DELIMITER) else arguments.reference + text
        head, slash, rest = full.partition(DELIMITER)
        # RFC 3501 §5.1: INBOX in any case
        patterns.append(Pattern("INBOX" + slash + rest if head.upper() == "INBOX" else full))
    return patterns


def select_list(
    arguments: ListArguments, mailboxes: Mapping[str, KnownMailbox], subscribed_only: Iterable[str]
) -> list[Row]:
    """The rows of a LIST, by name. ``subscribed_only``: subscribed names that do not exist."""
    patterns = _patterns(arguments)
    parents = {parent for name in mailboxes for parent in ancestors(name)}
    candidates = set(mailboxes)
    missing = set(subscribed_only) if arguments.select_subscribed else set[str]()
    chosen = {
        name
        for name in candidates | missing
        if (not arguments.select_subscribed or name in missing or mailboxes[name].subscribed)
        and (not arguments.select_special_use or (name in mailboxes and mailboxes[name].special_use))
    }
    below = {parent for name in chosen for parent in ancestors(name)} if arguments.recursive_match else set[str]()
    if not (arguments.select_subscribed or arguments.select_special_use):
        # Levels that do not exist themselves are shown where something below them exists.
        candidates |= parents
        chosen |= parents
    return [
        _row(arguments, name, mailboxes, parents, missing, child_info=name in below)
        for name in sorted(chosen | below, key=_order)
        if any(pattern.matches(name) for pattern in patterns)
    ]


def _row(
    arguments: ListArguments,
    name: str,
    mailboxes: Mapping[str, KnownMailbox],
    parents: set[str],
    missing: set[str],
    *,
    child_info: bool,
) -> Row:
    known = mailboxes.get(name)
    attributes = []
    if known is None:
        # RFC 5258 §3: \NonExistent implies \Noselect
        attributes.append("\\NonExistent" if arguments.extended else "\\Noselect")
    attributes.append("\\HasChildren" if name in parents else "\\HasNoChildren")
    tell_subscribed = arguments.select_subscribed or ListReturn.SUBSCRIBED in arguments.returns
    if tell_subscribed and (name in missing or (known is not None and known.subscribed)):
        attributes.append("\\Subscribed")
    if known is not None and known.special_use:
        attributes.append(known.special_use)
    return Row(name, tuple(attributes), child_info, selectable=known is not None)


def select_lsub(arguments: ListArguments, subscribed: Iterable[str]) -> list[Row]:
    """The rows of an LSUB. RFC 3501 §6.3.9: a level that is not subscribed itself shows as \\Noselect where ``%`` stops at it."""
    patterns = _patterns(arguments)
    names = set(subscribed)
    rows = {name: Row(name, ()) for name in names if any(pattern.matches(name) for pattern in patterns)}
    if any("%" in text for text in arguments.patterns):
        for name in names:
            for parent in ancestors(name):
                if parent not in rows and any(pattern.matches(parent) for pattern in patterns):
                    rows[parent] = Row(parent, ("\\Noselect",), selectable=False)
    return [rows[name] for name in sorted(rows, key=_order)]


def _order(name: str) -> tuple[bool, str]:
    """INBOX first, as people expect it."""
    return name != "INBOX", name
