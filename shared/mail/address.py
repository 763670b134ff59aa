"""Address lists of header fields: From, To, Cc and their like.

Laws:
- Any bytes give a list; what is no address is kept as far as it can be shown (RFC 7103 §7.1), nothing raises.
- Linear: each octet is looked at a bounded number of times, and no more than `limit` entries are made.
- Groups stay visible as ENVELOPE shows them: an entry with a mailbox (the group's name) and no host begins one, an entry of
  nothing but None ends it (RFC 3501 §7.4.2).

The common forms (``a@b``, ``Name <a@b>``, ``"Name" <a@b>``) are taken by one regular expression; anything else goes to the
tokens below. RFC 5322 §3.4 and §4.4, RFC 6532 (UTF-8 is taken wherever atoms are).
"""

import re
from typing import Final, NamedTuple


class AddressEntry(NamedTuple):
    """One address or group mark, as raw bytes: quotes and comments are gone, encoded words are still there."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END: Final = AddressEntry(None, None, None, None)

# RFC 5322 §3.2.3, with the 8-bit octets of RFC 6532
_ATEXT: Final = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff\-"
_FAST: Final = re.compile(
    rb"[ \t]*+(?:([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++)"
    rb'|(?:"([^"\\\r\n]*+)"|([' + _ATEXT + rb". \t]*+))[ \t]*+<([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++)>)"
    rb"[ \t]*+(,|\Z)"
)
_TOKEN: Final = re.compile(
    rb"(?P<space>[ \t\r\n]++)"
    rb'|(?P<quote>")'
    rb"|(?P<literal>\[[^\[\]]*+\]?)"
    rb"|(?P<comment>\()"
    rb"|(?P<angle><[< \t\r\n]*+)"
    rb"|(?P<special>[>@,;:)\\\]])"
    rb'|(?P<atom>[^ \t\r\n"\[\](<>@,;:)\\]++)'
    rb"|(?P<other>.)",
    re.DOTALL,
)
_ANGLE: Final = re.compile(
    rb"<[< \t\r\n]*+(?:(@[^:<>,;]*+(?:,[^:<>;]*+)?):)?"
    rb'[ \t\r\n]*+(?:"((?:[^"\\]++|\\.)*+)"|([^"<>@,;]*+))[ \t\r\n]*+(?:@([^<>,;]*+))?(?:>|(?=[,;<])|\Z)',
    re.DOTALL,
)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_QUOTED: Final = re.compile(rb'((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_PARENTHESIS: Final = re.compile(rb"[()]|\\.", re.DOTALL)
_FLAT_COMMENT: Final = re.compile(rb"([^()<]*+)\)")
_SPACES: Final = re.compile(rb"[ \t\r\n]++")
# White space between words; no unfolded value holds it.
_GAP: Final = b"\n"


def parse_addresses(value: bytes, limit: int) -> list[AddressEntry]:
    """The addresses of an unfolded field value, at most about `limit` of them."""
    entries: list[AddressEntry] = []
    position = 0
    while len(entries) < limit:
        match = _FAST.match(value, position)
        if match is None:
            # Nothing yet, or something that needs care: the slow way takes over from here.
            if position < len(value):
                _Parser(value, position, limit, entries).run()
            return entries
        plain, host, quoted, phrase, mailbox, angle_host, comma = match.groups()
        if plain is not None:
            entries.append(AddressEntry(None, None, plain, host))
        else:
            name = (quoted if quoted is not None else phrase).strip(b" \t")
            entries.append(AddressEntry(name or None, None, mailbox, angle_host))
        position = match.end()
        if not comma:
            break
    return entries


class _Parser:
    """The whole of RFC 5322 §3.4 and §4.4 and what is seen besides."""

    def __init__(self, value: bytes, position: int, limit: int, entries: list[AddressEntry]) -> None:
        self.value = value
        self.position = position
        self.limit = limit
        self.entries = entries
        self.in_group = False
        # What is opened and never closed is looked for once, not again at each place where it is opened.
        self.quotes_close = True
        self.comments_close = True
        self._reset()

    def _reset(self) -> None:
        self.words: list[bytes] = []  # the phrase or the local part, gaps between words
        self.domain: list[bytes] | None = None
        self.angle: AddressEntry | None = None
        self.comment = b""

    def run(self) -> None:
        value = self.value
        while self.position < len(value) and len(self.entries) < self.limit:
            match = _TOKEN.match(value, self.position)
            if match is None:  # cannot be: the last alternative takes any octet
                break
            self.position = match.end()
            kind = match.lastgroup
            if kind == "space":
                if self.domain is None and self.words and self.words[-1] != _GAP:
                    self.words.append(_GAP)
            elif kind == "comment":
                self._take_comment()
            elif kind == "angle":
                self._take_angle(match.start())
            elif kind == "special":
                self._take_special(match[0])
            elif kind == "quote":
                self._take_quoted()
            else:
                self._take_text(match[0])
        self._flush()
        if self.in_group:
            self.entries.append(GROUP_END)

    def _take_text(self, text: bytes) -> None:
        if self.angle is None:
            (self.words if self.domain is None else self.domain).append(text)

    # RFC 5322 §3.2.4; RFC 7103 §7.1.6: a quotation mark that is never closed is passed over
    def _take_quoted(self) -> None:
        match = _QUOTED.match(self.value, self.position) if self.quotes_close else None
        if match is None:
            self.quotes_close = False
            return
        self.position = match.end()
        self._take_text(_ESCAPED.sub(rb"\1", match[1]))

    def _take_special(self, special: bytes) -> None:
        if special == b",":
            self._flush()
        elif special == b";":
            self._flush()
            if self.in_group:
                self.entries.append(GROUP_END)
                self.in_group = False
        elif special == b")" and self.domain is None:
            # RFC 7103 §7.1.4
            self._take_text(special)
        elif special == b"@" and self.domain is None and self.angle is None:
            self.domain = []
        elif special == b":" and not self.in_group and self.domain is None and self.angle is None:
            name = self._phrase()
            self._reset()
            if name:
                self.entries.append(AddressEntry(None, None, name, None))
                self.in_group = True

    # RFC 5322 §3.2.2; RFC 7103 §7.1.4: a parenthesis that is never closed is passed over
    def _take_comment(self) -> None:
        """Step over a comment, nested ones included; its text may name the address (RFC 5322 §3.4, old style)."""
        start = self.position
        if not self.comments_close:
            flat = _FLAT_COMMENT.match(self.value, start)
            if flat is not None:
                self.comment = flat[1]
                self.position = flat.end()
            return
        depth = 1
        for match in _PARENTHESIS.finditer(self.value, start):
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
                if depth == 0:
                    self.position = match.end()
                    self.comment = self.value[start : match.start()]
                    return
        self.comments_close = False

    def _take_angle(self, start: int) -> None:
        match = _ANGLE.match(self.value, start)
        if match is None or self.angle is not None:
            return
        self.position = match.end()
        route, quoted, plain, host = match.groups()
        mailbox = _ESCAPED.sub(rb"\1", quoted) if quoted is not None else _squeeze(plain)
        self.angle = AddressEntry(None, _squeeze(route) or None, mailbox, _squeeze(host))

    def _phrase(self) -> bytes:
        return b"".join(self.words).replace(_GAP, b" ").strip()

    def _name_from_comment(self) -> bytes | None:
        return _ESCAPED.sub(rb"\1", _SPACES.sub(b" ", self.comment)).strip() or None

    def _flush(self) -> None:
        if self.angle is not None:
            phrase = self._phrase()
            if self.domain is not None:  # an unquoted address as display name
                phrase = phrase + b"@" + b"".join(self.domain)
            self.entries.append(self.angle._replace(name=phrase or self._name_from_comment()))
        elif self.domain is not None:
            local = b"".join(word for word in self.words if word != _GAP)
            host = b"".join(self.domain)
            if local or host:
                self.entries.append(AddressEntry(self._name_from_comment(), None, local, host))
        elif self.words:
            phrase = self._phrase()
            if b" " in phrase:
                self.entries.append(AddressEntry(phrase, None, b"", b""))
            elif phrase:
                self.entries.append(AddressEntry(self._name_from_comment(), None, phrase, b""))
        self._reset()


def _squeeze(value: bytes | None) -> bytes:
    """A route or domain without comments and white space."""
    if not value:
        return b""
    if b"(" in value:
        value = re.sub(rb"\([^()]*+\)", b"", value)
    return _SPACES.sub(b"", value)
