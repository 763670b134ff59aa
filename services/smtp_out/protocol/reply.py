"""Replies of a remote SMTP server: bytes in, `Reply` out, everything bounded.

RFC 5321 §4.2:
    Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
    Reply-code = %x32-35 %x30-35 %x30-39

Laws
- Any bytes give replies or `PeerViolation`, nothing else, in bounded memory; after a violation the parser is dead.
- Lenient where servers in the field are: bare LF ends a line, the second digit may be any, text may hold any octets.
- Strict where leniency lies: every line of one reply carries the same code.
- Text is made safe to log and to show: control characters become "?", invalid UTF-8 becomes U+FFFD.
"""

from __future__ import annotations

import re

import attrs

from shared.wire.lines import LineError, LineReader

MAX_LINE_OCTETS = 2048  # RFC 5321 §4.5.3.1.5 says 512; some servers write longer, none writes 2,048
MAX_LINES = 128  # an EHLO reply has about 20
MAX_TEXT = 1000  # characters of a reply that are kept with a queue entry

# RFC 3463 §2: class "." subject "." detail
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?=\s|$)\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PeerViolation(Exception):
    """The peer does not speak SMTP: the connection cannot be used any more. The text is safe to show."""


@attrs.frozen
class Reply:
    """One reply: its code (200 to 599) and the text of each line."""

    code: int
    lines: tuple[str, ...] = ()

    @property
    def severity(self) -> int:
        """RFC 5321 §4.2.1: 2 done, 3 go on, 4 not now, 5 never."""
        return self.code // 100

    @property
    def enhanced(self) -> str:
        """RFC 2034 §4: the enhanced code at the text's beginning, or empty; one that contradicts the code is ignored."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match[1] if match and match[1][0] == str(self.severity) else ""

    @property
    def text(self) -> str:
        """All lines as one, without the enhanced code, at most MAX_TEXT characters."""
        enhanced = self.enhanced
        parts = [line.removeprefix(enhanced).strip() if enhanced else line.strip() for line in self.lines]
        return " ".join(part for part in parts if part)[:MAX_TEXT]

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)


class ReplyParser:
    """Feed bytes; take replies. Raises PeerViolation from `next_reply`."""

    def __init__(self) -> None:
        self._reader = LineReader(MAX_LINE_OCTETS)
        self._code = 0
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    @property
    def idle(self) -> bool:
        """Nothing is buffered: no half line, no half reply, no reply that was not taken."""
        return len(self._reader) == 0 and not self._lines

    def next_reply(self) -> Reply | None:
        """The next complete reply, or None when more bytes are needed."""
        while True:
            try:
                line = self._reader.next_loose_line()
            except LineError:
                raise PeerViolation("the server sent an endless line") from None
            if line is None:
                return None
            reply = self._take(line)
            if reply is not None:
                return reply

    def _take(self, line: bytes) -> Reply | None:
        code, mark, text = line[:3], line[3:4], line[4:]
        if not (len(code) == 3 and code.isdigit() and b"2" <= code[:1] <= b"5" and mark in (b"-", b" ", b"")):
            raise PeerViolation("the server sent something that is not an SMTP reply: " + clean(line[:80]))
        if self._lines and int(code) != self._code:
            raise PeerViolation("the server changed the code within one reply")
        if len(self._lines) >= MAX_LINES:
            raise PeerViolation("the server sent an endless reply")
        self._code = int(code)
        self._lines.append(clean(text))
        if mark == b"-":
            return None
        reply = Reply(self._code, tuple(self._lines))
        self._lines = []
        return reply


def clean(text: bytes) -> str:
    """Octets of a stranger as text that is safe in a log line, a header field and on a terminal."""
    return _CONTROL.sub("?", text.decode("utf-8", "replace")).strip()
