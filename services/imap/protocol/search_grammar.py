"""Search keys with their character set, as SEARCH, SORT, THREAD and ESEARCH take them.

RFC 3501 §6.4.4 and §9 (search-key), RFC 7162 §3.1.5 (MODSEQ), RFC 5032 §3, RFC 5182 §3 (``$``), RFC 6203 §7, RFC 8514 §5, RFC 8474 §5.
The tree that comes out is bounded in depth and size.
"""

import codecs
from typing import Final

from services.imap.protocol.dates import parse_date
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.search_keys import (
    Comparison,
    DateField,
    KeyAge,
    KeyAll,
    KeyAnd,
    KeyDate,
    KeyFlag,
    KeyFuzzy,
    KeyHeader,
    KeyKeyword,
    KeyModSeq,
    KeyNot,
    KeyNumbers,
    KeyObject,
    KeyOr,
    KeySize,
    KeyText,
    KeyUids,
    SearchFlag,
    SearchKey,
)
from services.imap.protocol.sequence_set import SAVED_RESULT, InvalidSet, SequenceSet
from services.imap.protocol.sequence_set import parse as parse_set
from services.imap.protocol.tokens import MAX_NUMBER, MAX_NUMBER64, Scanner, SyntaxFault

_FLAGS: Final[dict[str, SearchKey]] = {
    "ALL": KeyAll(),
    "ANSWERED": KeyFlag(SearchFlag.ANSWERED),
    "DELETED": KeyFlag(SearchFlag.DELETED),
    "DRAFT": KeyFlag(SearchFlag.DRAFT),
    "FLAGGED": KeyFlag(SearchFlag.FLAGGED),
    "RECENT": KeyFlag(SearchFlag.RECENT),
    "SEEN": KeyFlag(SearchFlag.SEEN),
    "UNANSWERED": KeyNot(KeyFlag(SearchFlag.ANSWERED)),
    "UNDELETED": KeyNot(KeyFlag(SearchFlag.DELETED)),
    "UNDRAFT": KeyNot(KeyFlag(SearchFlag.DRAFT)),
    "UNFLAGGED": KeyNot(KeyFlag(SearchFlag.FLAGGED)),
    "UNSEEN": KeyNot(KeyFlag(SearchFlag.SEEN)),
    # RFC 3501 §6.4.4: NEW is "RECENT UNSEEN", OLD is "NOT RECENT"
    "NEW": KeyAnd((KeyFlag(SearchFlag.RECENT), KeyNot(KeyFlag(SearchFlag.SEEN)))),
    "OLD": KeyNot(KeyFlag(SearchFlag.RECENT)),
    # RFC 8514 §4.3: every mailbox here has save dates
    "SAVEDATESUPPORTED": KeyAll(),
}
_DATES: Final[dict[str, tuple[DateField, Comparison]]] = {
    "BEFORE": (DateField.INTERNAL, Comparison.BEFORE),
    "ON": (DateField.INTERNAL, Comparison.ON),
    "SINCE": (DateField.INTERNAL, Comparison.SINCE),
    "SENTBEFORE": (DateField.SENT, Comparison.BEFORE),
    "SENTON": (DateField.SENT, Comparison.ON),
    "SENTSINCE": (DateField.SENT, Comparison.SINCE),
    "SAVEDBEFORE": (DateField.SAVED, Comparison.BEFORE),
    "SAVEDON": (DateField.SAVED, Comparison.ON),
    "SAVEDSINCE": (DateField.SAVED, Comparison.SINCE),
}
_ADDRESS_FIELDS: Final = frozenset({"FROM", "TO", "CC", "BCC", "SUBJECT"})
_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "unicode_escape", "unicode-escape", "raw_unicode_escape", "raw-unicode-escape"}
)
"""Python's text codecs that are no character sets."""
MAX_OBJECT_ID: Final = 256
"""One more than an identifier can have (RFC 8474 §4): a longer one matches nothing."""
MAX_TEXT_OCTETS: Final = 4096
"""A text to search for."""


class KeyParser:
    """Takes a character set and keys from a command."""

    def __init__(self, scanner: Scanner, limits: GrammarLimits) -> None:
        self._scanner = scanner
        self._limits = limits
        self._charset = "utf-8"
        self._keys = 0
        self._depth = 0
        self.uses_modseq = False
        self.uses_fuzzy = False
        self.bad_charset = False

    def optional_charset(self) -> None:
        """RFC 3501 §6.4.4: ["CHARSET" SP astring SP]"""
        if not self._scanner.looking_at_word(b"CHARSET"):
            return
        self._scanner.take(b"CHARSET")
        if self._limits.utf8_accept:
            raise SyntaxFault("CHARSET is not allowed after ENABLE UTF8=ACCEPT")
        self._scanner.space()
        self.charset()

    def charset(self) -> None:
        """RFC 5256 §5: charset SP. An unknown one is told when the command runs, by a tagged NO (RFC 3501 §6.4.4)."""
        name = self._scanner.astring()
        self._scanner.space()
        try:
            # bytes.decode takes character sets only, not Python's other codecs (hex, rot13, ...)
            b"a".decode(name.decode("ascii"))
            charset = codecs.lookup(name.decode("ascii")).name
            if charset in _NO_CHARSETS:
                raise LookupError
            self._charset = charset
        except (LookupError, ValueError):
            self.bad_charset = True

    def _text(self) -> str:
        self._scanner.space()
        octets = self._scanner.astring()
        if len(octets) > MAX_TEXT_OCTETS:
            raise SyntaxFault("search text too long")
        try:
            return octets.decode(self._charset if self._charset != "ascii" else "utf-8")
        except (UnicodeError, ValueError):
            # RFC 5530 §3 has no better code; clients that send Latin-1 without saying so still search.
            return octets.decode("latin-1")

    def keys(self, *, until_parenthesis: bool) -> SearchKey:
        """search-key *(SP search-key)"""
        found = [self.key()]
        while True:
            if until_parenthesis and self._scanner.take(b")"):
                break
            self._scanner.skip_spaces()
            if until_parenthesis and self._scanner.take(b")"):
                break
            if not until_parenthesis and self._scanner.at_end():
                break
            found.append(self.key())
        return found[0] if len(found) == 1 else KeyAnd(tuple(found))

    def key(self) -> SearchKey:
        self._keys += 1
        if self._keys > self._limits.search_keys:
            raise SyntaxFault("too many search keys")
        self._depth += 1
        if self._depth > self._limits.search_depth:
            raise SyntaxFault("search keys nested too deep")
        try:
            return self._key()
        finally:
            self._depth -= 1

    def _key(self) -> SearchKey:
        scanner = self._scanner
        if scanner.take(b"("):
            scanner.skip_spaces()
            return self.keys(until_parenthesis=True)
        following = scanner.peek()
        if following.isdigit() or following in (b"*", b"$"):
            return KeyNumbers(self._set())
        name = scanner.word()
        if name in _FLAGS:
            return _FLAGS[name]
        if name in _DATES:
            return self._date(*_DATES[name])
        if name in _ADDRESS_FIELDS:
            return KeyHeader(name, self._text())
        return self._other(name)

    def _other(self, name: str) -> SearchKey:
        scanner = self._scanner
        match name:
            case "TEXT" | "BODY":
                return KeyText(self._text(), header_too=name == "TEXT")
            case "HEADER":
                scanner.space()
                field = scanner.astring().decode("latin-1").upper()
                return KeyHeader(field, self._text())
            case "KEYWORD" | "UNKEYWORD":
                scanner.space()
                keyword = KeyKeyword(scanner.flag())
                return keyword if name == "KEYWORD" else KeyNot(keyword)
            case "LARGER" | "SMALLER":
                scanner.space()
                return KeySize(name == "LARGER", scanner.number(MAX_NUMBER64))
            case "UID":
                scanner.space()
                return KeyUids(self._set())
            case "UIDAFTER" | "UIDBEFORE":
                # RFC 9738 §3.2: how a client goes on where MESSAGELIMIT ended a command
                scanner.space()
                uid = scanner.nz_number()
                low, high = (uid + 1, MAX_NUMBER) if name == "UIDAFTER" else (1, uid - 1)
                return KeyUids(SequenceSet(((low, high),))) if low <= high else KeyNot(KeyAll())
            case "OLDER" | "YOUNGER":
                # RFC 5032 §3: interval = nz-number, in seconds
                scanner.space()
                return KeyAge(name == "OLDER", scanner.nz_number())
            case "EMAILID" | "THREADID":
                # RFC 8474 §5: objectid
                scanner.space()
                return KeyObject(name == "THREADID", scanner.astring().decode("latin-1")[:MAX_OBJECT_ID])
            case "FUZZY":
                scanner.space()
                self.uses_fuzzy = True
                return KeyFuzzy(self.key())
            case "NOT":
                scanner.space()
                return KeyNot(self.key())
            case "OR":
                scanner.space()
                left = self.key()
                scanner.space()
                return KeyOr(left, self.key())
            case "MODSEQ":
                return self._modseq()
        raise SyntaxFault(f"unknown search key {name[:40]}")

    def _set(self) -> SequenceSet:
        if self._scanner.take(b"$"):
            return SAVED_RESULT
        try:
            return parse_set(self._scanner.sequence_text(), self._limits.set_ranges)
        except InvalidSet as error:
            raise SyntaxFault(str(error)) from error

    def _date(self, field: DateField, comparison: Comparison) -> SearchKey:
        self._scanner.space()
        day = parse_date(self._scanner.astring())
        if day is None:
            raise SyntaxFault("not a date")
        return KeyDate(field, comparison, day)

    def _modseq(self) -> SearchKey:
        """RFC 7162 §3.1.5: "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer; entry names are accepted and count for all flags."""
        self._scanner.space()
        if self._scanner.peek() == b'"':
            self._scanner.quoted()
            self._scanner.space()
            if self._scanner.word() not in ("PRIV", "SHARED", "ALL"):
                raise SyntaxFault("expected priv, shared or all")
            self._scanner.space()
        self.uses_modseq = True
        return KeyModSeq(self._scanner.number(MAX_NUMBER64))
