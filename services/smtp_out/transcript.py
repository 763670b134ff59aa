"""What is said in one attempt, line by line, for whoever asks later why a mail did not arrive. No I/O; the clock is passed in.

Laws
- A secret is never kept: of AUTH the mechanism stays, what is sent and asked is `(secret)`, and what a server repeats of it in its
  reply is taken out. Of a message's content only its size stays.
- Recording costs next to nothing, since most attempts go well and are forgotten: lumps are kept as they are, and become lines
  only when somebody wants them (`packed`). They are bounded, whatever the server sends.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from services.smtp_out.protocol.flow import Step
from services.smtp_out.protocol.reply import Reply, clean
from shared.model.dialogue import DialogueLine, Way, pack

SECRET = "(secret)"  # noqa: S105 - what stands in place of one
RAW_OCTETS = 16 * 1024  # of the beginning, and again of the end
_REPLY_LINES = 64  # of one reply
_LEAST_SECRET = 4  # characters: less is no password, and would tear words apart
_LUMP_OCTETS = 64  # what a lump takes besides its text

_NOW: ContextVar[Transcript] = ContextVar("transcript")
Lump = tuple[float, Way, bytes | str | Reply]


class Transcript:
    """One attempt's dialogue, over all hosts that were tried."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self._first: list[Lump] = []
        self._last: deque[tuple[Lump, int]] = deque()
        self._room = RAW_OCTETS
        self._last_room = RAW_OCTETS
        self._missing = 0
        self._secrets: set[str] = set()
        self._packed: bytes | None = None

    def note(self, text: str) -> None:
        """Something happened."""
        self._add(Way.NOTE, text, len(text))

    def sent(self, data: bytes, step: Step) -> None:
        """Whole commands, before the answer of `step` is awaited."""
        if not data:
            return
        if step is Step.AUTH:
            self._add(Way.OUT, self._without_secret(data), len(data))
        else:
            self._add(Way.OUT, data, len(data))

    def sent_content(self, octets: int) -> None:
        """Content, as it went over the wire."""
        self._add(Way.OUT, f"({octets} octets)", 20)

    def received(self, reply: Reply, step: Step) -> None:
        """The answer to `step`."""
        if len(reply.lines) > _REPLY_LINES:
            reply = Reply(reply.code, (*reply.lines[:_REPLY_LINES], "..."))
        if step is Step.AUTH:
            reply = self._reply_without_secret(reply)
        self._add(Way.IN, reply, sum(map(len, reply.lines)))

    def packed(self) -> bytes:
        """The dialogue as it is kept (`shared.model.dialogue`)."""
        if self._packed is None:
            self._packed = pack(list(self._lines()))
        return self._packed

    def _add(self, way: Way, lump: bytes | str | Reply, octets: int) -> None:
        self._packed = None
        item = (self._clock(), way, lump)
        octets += _LUMP_OCTETS
        if self._room > 0:
            self._room -= octets
            self._first.append(item)
            return
        self._last.append((item, octets))
        self._last_room -= octets
        while self._last_room < 0 and len(self._last) > 1:
            _, gone = self._last.popleft()
            self._last_room += gone
            self._missing += 1

    def _lines(self) -> Iterator[DialogueLine]:
        for lump in self._first:
            yield from self._of_lump(lump)
        if self._missing:
            yield DialogueLine(self._last[0][0][0] - self._start, Way.NOTE, "(here more was said than is kept)")
        for lump, _ in self._last:
            yield from self._of_lump(lump)

    def _of_lump(self, lump: Lump) -> Iterator[DialogueLine]:
        at, way, said = lump
        for text in _texts(said):
            yield DialogueLine(at - self._start, way, text)

    def _without_secret(self, data: bytes) -> str:
        # RFC 4954 §4: "AUTH" SP mechanism [SP initial-response], then lines of base64
        words = data.split()
        shown = [clean(word) for word in words[:2]] if words[:1] == [b"AUTH"] else []
        secrets = words[len(shown) :]
        for word in secrets:
            self._secrets.update(text for text in _readings(word) if len(text) >= _LEAST_SECRET)
        return " ".join([*shown, SECRET] if secrets else shown)

    def _reply_without_secret(self, reply: Reply) -> Reply:
        # RFC 4954 §4: 334 carries a challenge
        if reply.code == 334:
            return Reply(reply.code, (SECRET,))
        return Reply(reply.code, tuple(map(self._masked, reply.lines)))

    def _masked(self, line: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            line = line.replace(secret, SECRET)
        return line


def begin_attempt(clock: Callable[[], float]) -> Transcript:
    """From now on what this task's sessions say is recorded here."""
    transcript = Transcript(clock)
    _NOW.set(transcript)
    return transcript


def attempt_transcript() -> Transcript:
    """Of this task's attempt; outside of one, what is said is forgotten."""
    return _NOW.get(None) or Transcript(lambda: 0.0)


def _texts(said: bytes | str | Reply) -> list[str]:
    if isinstance(said, str):
        return [said]
    if isinstance(said, bytes):
        return [clean(line) for line in said.split(b"\r\n") if line]
    last = len(said.lines) - 1
    return [f"{said.code}{'-' if number < last else ' '}{line}" for number, line in enumerate(said.lines)] or [str(said.code)]


def _readings(word: bytes) -> Iterator[str]:
    """What a server could repeat of a word of AUTH: the word, what it stands for, the parts of that."""
    yield clean(word)
    try:
        inner = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        return
    for part in inner.split(b"\0"):
        yield clean(part)
