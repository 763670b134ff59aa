"""Reads the tokens of one command: atoms, strings, literals, numbers, parentheses.

RFC 3501 §9. A ``Scanner`` walks over a ``CommandFrame``; every method either takes what it promises or raises SyntaxFault with a
text for the client's programmer. It never backtracks over a literal and never copies more than the token.
"""

import re
from typing import Final

from services.imap.protocol.framing import CommandFrame


class SyntaxFault(Exception):
    """The command is not in the grammar: BAD."""


class Refused(Exception):
    """The command is in the grammar, but asks for something that cannot be: NO with a response code."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


# RFC 3501 §9: atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
_ATOM: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
# RFC 3501 §9: ASTRING-CHAR = ATOM-CHAR / resp-specials. 8-bit octets are let through for clients that send raw UTF-8.
_ASTRING: Final = re.compile(rb'[^\x00-\x20\x7f(){%*"\\]+')
# RFC 3501 §9: list-char = ATOM-CHAR / list-wildcards / resp-specials
_LIST_ATOM: Final = re.compile(rb'[^\x00-\x20\x7f(){"\\]+')
# RFC 3501 §9: tag = 1*<any ASTRING-CHAR except "+">
_TAG: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}')
# RFC 3501 §9: quoted; TEXT-CHAR without CR and LF (the framer removed those), "\" only before quoted-specials.
# Backslashes before anything else are kept, as Outlook's mailbox names need it.
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n\x00]|\\.)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(rb'\\(["\\])')
_NUMBER: Final = re.compile(rb"[0-9]{1,20}")
_FLAG: Final = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\]+|\\\*')
_SPACES: Final = re.compile(rb" +")
_SET: Final = re.compile(rb"[0-9*:,]+")

MAX_NUMBER: Final = 2**32 - 1
MAX_NUMBER64: Final = 2**63 - 1


class Scanner:
    """A cursor over a command."""

    __slots__ = ("_fragment", "_frame", "_index", "_position", "_utf8")

    def __init__(self, frame: CommandFrame, *, utf8: bool = False) -> None:
        self._frame = frame
        self._utf8 = utf8
        self._index = 0
        self._fragment = frame.fragments[0]
        self._position = 0

    # --- looking ahead ---

    def at_end(self) -> bool:
        """Whether the whole command was taken."""
        return self._position >= len(self._fragment) and self._index + 1 == len(self._frame.fragments)

    def at_literal(self) -> bool:
        return self._position >= len(self._fragment) and self._index + 1 < len(self._frame.fragments)

    def peek(self) -> bytes:
        """The next octet; empty at the end of a line fragment."""
        return self._fragment[self._position : self._position + 1]

    def looking_at(self, text: bytes) -> bool:
        """Whether a text follows here, in any case."""
        return self._fragment[self._position : self._position + len(text)].lower() == text.lower()

    def looking_at_word(self, word: bytes) -> bool:
        """Whether a whole word follows here, in any case."""
        after = self._position + len(word)
        return self.looking_at(word) and self._fragment[after : after + 1] in (b"", b" ", b")")

    # --- taking ---

    def take(self, text: bytes) -> bool:
        """Take a text if it follows here, in any case."""
        if self.looking_at(text):
            self._position += len(text)
            return True
        return False

    def expect(self, text: bytes) -> None:
        if not self.take(text):
            raise SyntaxFault(f"expected {text.decode('ascii')!r}")

    def space(self) -> None:
        """One SP; more are tolerated."""
        match = _SPACES.match(self._fragment, self._position)
        if match is None:
            raise SyntaxFault("missing argument" if self.at_end() else "missing space")
        self._position = match.end()

    def skip_spaces(self) -> None:
        """Spaces where the grammar has none but clients put some."""
        match = _SPACES.match(self._fragment, self._position)
        if match is not None:
            self._position = match.end()

    def end(self) -> None:
        """Nothing may follow, but trailing spaces are tolerated."""
        self.skip_spaces()
        if not self.at_end():
            raise SyntaxFault("too many arguments")

    def _take(self, pattern: "re.Pattern[bytes]", what: str) -> bytes:
        match = pattern.match(self._fragment, self._position)
        if match is None:
            raise SyntaxFault(f"expected {what}")
        self._position = match.end()
        return match.group()

    def tag(self) -> bytes:
        return self._take(_TAG, "a tag")

    def atom(self) -> bytes:
        return self._take(_ATOM, "an atom")

    def word(self) -> str:
        """An atom as an upper-case name."""
        return self.atom().decode("ascii").upper()

    def flag(self) -> str:
        """A system flag, a keyword, or ``\\*``."""
        return self._take(_FLAG, "a flag").decode("ascii")

    def sequence_text(self) -> bytes:
        return self._take(_SET, "a message set")

    def number(self, largest: int = MAX_NUMBER) -> int:
        value = int(self._take(_NUMBER, "a number"))
        if value > largest:
            raise SyntaxFault("number too large")
        return value

    def nz_number(self, largest: int = MAX_NUMBER) -> int:
        value = self.number(largest)
        if not value:
            raise SyntaxFault("zero is not allowed here")
        return value

    def literal(self) -> bytes:
        if not self.at_literal():
            raise SyntaxFault("expected a literal")
        octets = self._frame.literals[self._index]
        self._index += 1
        self._fragment = self._frame.fragments[self._index]
        self._position = 0
        return octets

    def quoted(self) -> bytes:
        match = _QUOTED.match(self._fragment, self._position)
        if match is None:
            raise SyntaxFault("broken quoted string")
        self._position = match.end()
        text = match.group(1)
        if self._utf8 and not text.isascii():
            # RFC 6855 §3: what fails to be UTF-8 is BAD; without ENABLE it is taken as what clients mean
            try:
                text.decode()
            except UnicodeDecodeError as error:
                raise SyntaxFault("a quoted string that is not UTF-8") from error
        return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text

    def string(self) -> bytes:
        """RFC 3501 §9: string = quoted / literal."""
        if self.peek() == b'"':
            return self.quoted()
        if self.at_literal():
            return self.literal()
        raise SyntaxFault("expected a string")

    def astring(self) -> bytes:
        """RFC 3501 §9: astring = 1*ASTRING-CHAR / string."""
        if self.peek() == b'"' or self.at_literal():
            return self.string()
        return self._take(_ASTRING, "a string")

    def nstring(self) -> bytes | None:
        """RFC 3501 §9: nstring = string / nil."""
        if self.peek() == b'"' or self.at_literal():
            return self.string()
        if self.atom().upper() == b"NIL":
            return None
        raise SyntaxFault("expected a string or NIL")

    def list_mailbox(self) -> bytes:
        """RFC 3501 §9: list-mailbox = 1*list-char / string."""
        if self.peek() == b'"' or self.at_literal():
            return self.string()
        return self._take(_LIST_ATOM, "a mailbox pattern")
