"""Which mailbox names a LIST or LSUB pattern means, and the hierarchy they form. Pure; names are Unicode, levels divided by ``/``.

RFC 3501 §6.3.8 (wildcards, \\Noselect parents), RFC 5258 §3 (selection and return options, CHILDINFO), RFC 3348 (\\HasChildren).

Laws:
- The matcher costs one step per character of a name whatever the pattern: wildcards cannot make it slow.
- A plain LIST is made of one name at a time, so that a hundred thousand mailboxes stream through (``row_of``). What a selection option
  picks is bounded by the store and is held together (``select_rows``), because a level is told with what is below it.
- ``Scope`` says what of all names the patterns could match, for the store to leave out the rest.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from services.imap.protocol.arguments import ListArguments, ListReturn
from shared.model.rights import ALL_RIGHTS_BITS

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
        literal = re.match(r"[^*%]*", text)
        self.prefix = literal.group() if literal is not None else ""
        """What every name that matches begins with."""
        self.levels = 0 if "*" in tokens else text.count(DELIMITER) + 1
        """How deep every name that matches is; 0: any."""
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
class Known:
    """What is known of a name. ``selectable``: it exists and may be read."""

    name: str
    exists: bool = True
    special_use: str = ""
    subscribed: bool = False
    has_children: bool = False
    selectable: bool = True
    rights: int = ALL_RIGHTS_BITS


@attrs.frozen
class Row:
    """One LIST or LSUB response. ``selectable``: STATUS can be asked of it."""

    name: str
    attributes: tuple[str, ...]
    child_info: tuple[str, ...] = ()
    """RFC 5258 §3.5: the selection criteria that names below it meet."""
    selectable: bool = True
    rights: int | None = None
    """None: there is no such mailbox."""


def ancestors(name: str) -> Iterable[str]:
    """``a/b/c`` gives ``a/b`` and ``a``."""
    end = name.rfind(DELIMITER)
    while end > 0:
        yield name[:end]
        end = name.rfind(DELIMITER, 0, end)


def patterns_of(arguments: ListArguments) -> list[Pattern]:
    """The patterns of a LIST, each with the reference before it."""
    patterns = []
    for text in arguments.patterns:
        full = text if text.startswith(DELIMITER) else arguments.reference + text
        head, slash, rest = full.partition(DELIMITER)
        # RFC 3501 §5.1: INBOX in any case
        patterns.append(Pattern("INBOX" + slash + rest if head.upper() == "INBOX" else full))
    return patterns


@attrs.frozen
class Scope:
    """``prefix``: of every name that could match. ``levels``: the deepest of them; 0: any."""

    prefix: str
    levels: int


def scope_of(patterns: Sequence[Pattern]) -> Scope:
    """What all patterns together could match."""
    levels = [pattern.levels for pattern in patterns]
    # what the first and the last in order begin with in common, all begin with
    first, last = min(pattern.prefix for pattern in patterns), max(pattern.prefix for pattern in patterns)
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return Scope(first[:same], max(levels) if all(levels) else 0)


def may_match_below(patterns: Iterable[Pattern], top: str) -> bool:
    """Whether a pattern could match a top level or a name below it."""
    return any(top.startswith(pattern.prefix) or pattern.prefix.startswith(top) for pattern in patterns)


def matches_any(patterns: Iterable[Pattern], name: str) -> bool:
    return any(pattern.matches(name) for pattern in patterns)


def row_of(
    arguments: ListArguments, known: Known, *, extended: bool, child_info: tuple[str, ...] = ()
) -> Row:
    """The row of a name that is to be told. ``extended``: the client knows \\NonExistent (RFC 5258 §3, RFC 9051 §7.3.1)."""
    attributes = []
    if not known.exists:
        # RFC 5258 §3: \\NonExistent implies \\Noselect
        attributes.append("\\NonExistent" if extended else "\\Noselect")
    elif not known.selectable:
        attributes.append("\\Noselect")
    attributes.append("\\HasChildren" if known.has_children else "\\HasNoChildren")
    if known.subscribed and (arguments.select_subscribed or ListReturn.SUBSCRIBED in arguments.returns):
        attributes.append("\\Subscribed")
    if known.special_use:
        attributes.append(known.special_use)
    rights = known.rights if known.exists else None
    return Row(known.name, tuple(attributes), child_info, known.exists and known.selectable, rights)


def chosen_of(arguments: ListArguments, names: Iterable[Known]) -> dict[str, Known]:
    """Of the names that one selection option picks those that meet the others too."""
    return {
        known.name: known
        for known in names
        if (not arguments.select_special_use or known.special_use)
        and (not arguments.select_subscribed or known.subscribed)
    }


def levels_to_tell(patterns: Sequence[Pattern], chosen: Mapping[str, Known]) -> dict[str, bool]:
    """Levels above chosen names that match themselves; whether one below is not told by its own row.

    RFC 5258 §3.5: a level that was not chosen is told only then.
    """
    levels: dict[str, bool] = {}
    for name in chosen:
        hidden = not matches_any(patterns, name)
        for level in ancestors(name):
            levels[level] = levels.get(level, False) or hidden
    return {level: hidden for level, hidden in levels.items() if matches_any(patterns, level)}


def select_rows(
    arguments: ListArguments, patterns: Sequence[Pattern], chosen: Mapping[str, Known], others: Mapping[str, Known]
) -> list[Row]:
    """The rows of a LIST with selection options, by name. ``others``: what is known of levels that were not chosen."""
    levels = levels_to_tell(patterns, chosen) if arguments.recursive_match else {}
    criteria = tuple(
        word
        for word, given in (("SUBSCRIBED", arguments.select_subscribed), ("SPECIAL-USE", arguments.select_special_use))
        if given
    )
    rows = []
    for name in sorted({name for name in chosen if matches_any(patterns, name)} | levels.keys(), key=_order):
        if name not in chosen and not levels[name]:
            continue
        known = chosen.get(name) or others.get(name) or Known(name, exists=False, selectable=False)
        rows.append(row_of(arguments, known, extended=True, child_info=criteria if name in levels else ()))
    return rows


def select_lsub(arguments: ListArguments, subscribed: Iterable[str]) -> list[Row]:
    """The rows of an LSUB. RFC 3501 §6.3.9: a level that is not subscribed itself shows as \\Noselect where ``%`` stops at it."""
    patterns = patterns_of(arguments)
    names = set(subscribed)
    rows = {name: Row(name, ()) for name in names if matches_any(patterns, name)}
    if any("%" in text for text in arguments.patterns):
        for name in names:
            for parent in ancestors(name):
                if parent not in rows and matches_any(patterns, parent):
                    rows[parent] = Row(parent, ("\\Noselect",), selectable=False)
    return [rows[name] for name in sorted(rows, key=_order)]


def _order(name: str) -> tuple[bool, str]:
    """INBOX first, as people expect it."""
    return name != "INBOX", name
