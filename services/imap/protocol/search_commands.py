"""SEARCH, SORT, THREAD, ESEARCH and CANCELUPDATE, up to their keys: return options, sort criteria, sources.

RFC 4466 §2.6.1 and RFC 4731 §4 (RETURN), RFC 5256 §5, RFC 5267 §5, RFC 5957 §5, RFC 6203 §7, RFC 7377 §4, RFC 9394 §4.
"""

from typing import Final

import attrs

from services.imap.protocol.arguments import FetchItem, Section
from services.imap.protocol.fetch_grammar import parse_attribute_list, parse_partial_range
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_grammar import parse_mailbox
from services.imap.protocol.search_arguments import (
    CancelUpdateArguments,
    PartialRange,
    ReturnOption,
    SearchArguments,
    SortCriterion,
    SortField,
    Source,
    SourceKind,
    ThreadAlgorithm,
    ThreadArguments,
)
from services.imap.protocol.search_grammar import KeyParser
from services.imap.protocol.tokens import Scanner, SyntaxFault

MAX_SORT_CRITERIA: Final = 20
_NAMED: Final = frozenset({SourceKind.SUBTREE, SourceKind.SUBTREE_ONE, SourceKind.MAILBOXES})


class _Returns:
    """RFC 4466 §6: search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" """

    def __init__(self) -> None:
        self.options: frozenset[ReturnOption] | None = None
        self.partial: PartialRange | None = None
        self.update_items: tuple[FetchItem | Section, ...] = ()

    def parse(self, scanner: Scanner, limits: GrammarLimits) -> None:
        """Take RETURN and its options with the space behind them, if they are there."""
        if not scanner.looking_at_word(b"RETURN"):
            return
        scanner.take(b"RETURN")
        scanner.space()
        scanner.expect(b"(")
        scanner.skip_spaces()
        found: set[ReturnOption] = set()
        while not scanner.take(b")"):
            name = scanner.word()
            try:
                option = ReturnOption(name)
            except ValueError as error:
                raise SyntaxFault("unknown return option") from error
            if option is ReturnOption.PARTIAL:
                # RFC 9394 §3.1: not more than one
                if option in found:
                    raise SyntaxFault("PARTIAL twice")
                scanner.space()
                self.partial = parse_partial_range(scanner)
            if option is ReturnOption.UPDATE and (scanner.looking_at(b" (") or scanner.looking_at(b"(")):
                # RFC 5465 §8: modifier-update; its examples have a space, its grammar has none
                scanner.take(b" ")
                self.update_items = parse_attribute_list(scanner, limits)
            found.add(option)
            if not scanner.looking_at(b")"):
                scanner.space()
        if {ReturnOption.PARTIAL, ReturnOption.ALL} <= found:
            # RFC 9394 §3.1
            raise SyntaxFault("PARTIAL and ALL exclude each other")
        if not found:
            # RFC 4731 §3.1: an empty list is ALL
            found.add(ReturnOption.ALL)
        self.options = frozenset(found)
        scanner.space()


def _finish(scanner: Scanner, parser: KeyParser, returns: _Returns, sort: tuple[SortCriterion, ...]) -> SearchArguments:
    key = parser.keys(until_parenthesis=False)
    scanner.end()
    by_relevance = any(criterion.field is SortField.RELEVANCY for criterion in sort)
    if (by_relevance or ReturnOption.RELEVANCY in (returns.options or ())) and not parser.uses_fuzzy:
        # RFC 6203 §4, §6
        raise SyntaxFault("RELEVANCY needs a FUZZY key")
    return SearchArguments(
        key,
        parser.uses_modseq,
        returns.options,
        returns.partial,
        returns.update_items,
        sort,
        bad_charset=parser.bad_charset,
    )


def parse_search(scanner: Scanner, limits: GrammarLimits) -> SearchArguments:
    """After ``SEARCH``."""
    scanner.space()
    returns = _Returns()
    returns.parse(scanner, limits)
    parser = KeyParser(scanner, limits)
    parser.optional_charset()
    return _finish(scanner, parser, returns, ())


def parse_sort(scanner: Scanner, limits: GrammarLimits) -> SearchArguments:
    """After ``SORT``. RFC 5267 §5: extended-sort."""
    scanner.space()
    returns = _Returns()
    returns.parse(scanner, limits)
    criteria = _criteria(scanner)
    scanner.space()
    parser = KeyParser(scanner, limits)
    parser.charset()
    return _finish(scanner, parser, returns, criteria)


def _criteria(scanner: Scanner) -> tuple[SortCriterion, ...]:
    """RFC 5256 §5: sort-criteria."""
    scanner.expect(b"(")
    scanner.skip_spaces()
    found: list[SortCriterion] = []
    while True:
        reverse = False
        name = scanner.word()
        if name == "REVERSE":
            reverse = True
            scanner.space()
            name = scanner.word()
        try:
            found.append(SortCriterion(SortField(name), reverse))
        except ValueError as error:
            raise SyntaxFault("unknown sort criterion") from error
        if len(found) > MAX_SORT_CRITERIA:
            raise SyntaxFault("too many sort criteria")
        scanner.skip_spaces()
        if scanner.take(b")"):
            return tuple(found)


def parse_thread(scanner: Scanner, limits: GrammarLimits) -> ThreadArguments:
    """After ``THREAD``. RFC 5256 §5."""
    scanner.space()
    name = scanner.word()
    try:
        algorithm = ThreadAlgorithm(name)
    except ValueError as error:
        raise SyntaxFault("unknown threading algorithm") from error
    scanner.space()
    parser = KeyParser(scanner, limits)
    parser.charset()
    key = parser.keys(until_parenthesis=False)
    scanner.end()
    return ThreadArguments(algorithm, key, parser.uses_modseq, parser.bad_charset)


def parse_esearch(scanner: Scanner, limits: GrammarLimits) -> SearchArguments:
    """After ``ESEARCH``. RFC 7377 §4: [SP esearch-source-opts] [SP search-return-opts] SP search-program."""
    scanner.space()
    sources: tuple[Source, ...] = (Source(SourceKind.SELECTED),)
    if scanner.looking_at_word(b"IN"):
        scanner.take(b"IN")
        scanner.space()
        sources = _sources(scanner, limits)
        scanner.space()
    returns = _Returns()
    returns.parse(scanner, limits)
    parser = KeyParser(scanner, limits)
    parser.optional_charset()
    found = _finish(scanner, parser, returns, ())
    options = found.returns
    if options is None:
        # RFC 7377 §2.1: ALL is implied
        options = frozenset({ReturnOption.ALL})
    elsewhere = any(source.kind is not SourceKind.SELECTED for source in sources)
    if elsewhere and ReturnOption.SAVE in options:
        # RFC 7377 §2.2
        raise SyntaxFault("SAVE is for the selected mailbox alone")
    if (
        elsewhere
        and ReturnOption.UPDATE in options
        and all(source.kind is not SourceKind.SELECTED for source in sources)
    ):
        # RFC 7377 §2.2: UPDATE applies to the selected mailbox only
        raise SyntaxFault("UPDATE is for the selected mailbox")
    return attrs.evolve(found, returns=options, sources=sources)


def _sources(scanner: Scanner, limits: GrammarLimits) -> tuple[Source, ...]:
    """RFC 7377 §4: "(" filter-mailboxes *(SP filter-mailboxes) [SP "(" scope-options ")"] ")"; there are no scope options."""
    scanner.expect(b"(")
    scanner.skip_spaces()
    found: list[Source] = []
    count = 0
    while True:
        if found and scanner.looking_at(b"("):
            raise SyntaxFault("unknown scope option")
        try:
            kind = SourceKind(scanner.word())
        except ValueError as error:
            raise SyntaxFault("unknown source") from error
        names: list[str] = []
        if kind in _NAMED:
            scanner.space()
            # RFC 5465 §8: one-or-more-mailbox = mailbox / many-mailboxes
            if scanner.take(b"("):
                scanner.skip_spaces()
                while not scanner.take(b")"):
                    names.append(parse_mailbox(scanner, limits))
                    scanner.skip_spaces()
                    if len(names) > limits.list_items:
                        raise SyntaxFault("too many mailboxes")
                if not names:
                    raise SyntaxFault("no mailbox")
            else:
                names.append(parse_mailbox(scanner, limits))
        found.append(Source(kind, tuple(names)))
        count += 1 + len(names)
        if count > limits.list_items:
            raise SyntaxFault("too many sources")
        scanner.skip_spaces()
        if scanner.take(b")"):
            return tuple(found)


def parse_cancel_update(scanner: Scanner, limits: GrammarLimits) -> CancelUpdateArguments:
    """RFC 5267 §5: "CANCELUPDATE" 1*(SP quoted)"""
    tags: list[bytes] = []
    while not scanner.at_end():
        scanner.space()
        if scanner.at_end():
            break
        tags.append(scanner.astring())
        if len(tags) > limits.list_items:
            raise SyntaxFault("too many tags")
    if not tags:
        raise SyntaxFault("missing argument")
    return CancelUpdateArguments(tuple(tags))
