"""Structured log lines on standard error: for people on a terminal, one JSON object per line elsewhere.

A line is an event in a few plain words and named fields. Values are shortened and control characters escaped, so that no client can
forge or flood the log. Secrets are never passed here.
"""

import functools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from shared.observe.trace import TRACE

MAX_VALUE_CHARACTERS: Final = 1000


class Level(IntEnum):
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_LEVEL_NAMES: Final = {level: level.name.lower() for level in Level}
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


@functools.lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    """Many lines share a second: formatting the date costs more than the rest of the line."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _write_stderr(line: str) -> None:
    try:
        os.write(2, line.encode("utf-8", "replace"))
    except OSError:
        pass  # nobody reads the log any more; the mail goes on


class Logger:
    """``bind`` gives a logger whose lines carry further fields."""

    def __init__(
        self,
        service: str,
        level: Level = Level.INFO,
        as_json: bool | None = None,
        write: Callable[[str], None] = _write_stderr,
        fields: dict[str, Any] | None = None,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        """``write`` may keep lines for a moment (``LogBuffer``); ``flush`` is called behind each warning and error."""
        self._service = service
        self._level = level
        self._as_json = (not sys.stderr.isatty()) if as_json is None else as_json
        self._write = write
        self._fields = fields or {}
        self._flush = flush

    def bind(self, **fields: Any) -> "Logger":
        return Logger(self._service, self._level, self._as_json, self._write, {**self._fields, **fields}, self._flush)

    def debug(self, event: str, **fields: Any) -> None:
        self._log(Level.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._log(Level.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log(Level.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log(Level.ERROR, event, fields)

    def exception(self, event: str, error: BaseException, **fields: Any) -> None:
        """An error that nobody foresaw, with where it happened; its message is left out, it may hold a client's data."""
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        where = " < ".join(
            f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(frames)
        )
        self._log(Level.ERROR, event, {**fields, "error": type(error).__name__, "where": where})

    def _log(self, level: Level, event: str, fields: dict[str, Any]) -> None:
        if level < self._level:
            return
        every = {**self._fields, **fields}
        trace = TRACE.get()
        if trace and "trace" not in every:
            every["trace"] = trace
        self._write(self._json(level, event, every) if self._as_json else self._human(level, event, every))
        if level >= Level.WARNING:
            self._flush()

    def _json(self, level: Level, event: str, fields: dict[str, Any]) -> str:
        now = time.time()
        line = {
            "time": f"{_to_the_second(int(now))}.{int(now * 1000) % 1000:03d}Z",
            "level": _LEVEL_NAMES[level],
            "service": self._service,
            "event": event,
        }
        for name, value in fields.items():
            if value is not None:
                line[name] = _plain(value)
        return _encode(line) + "\n"

    def _human(self, level: Level, event: str, fields: dict[str, Any]) -> str:
        stamp = time.strftime("%H:%M:%S")
        mark = "" if level is Level.INFO else f"{level.name.lower()}: "
        rest = "".join(f" {name}={_quoted(value)}" for name, value in fields.items() if value is not None)
        return f"{stamp} {mark}{event}{rest}\n"


def _plain(value: Any) -> Any:
    if type(value) is str:  # most are
        return value if len(value) <= MAX_VALUE_CHARACTERS else value[:MAX_VALUE_CHARACTERS] + "…"
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value[:50]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[:MAX_VALUE_CHARACTERS] + "…"


def _quoted(value: Any) -> str:
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    if text and text.isprintable() and not any(character in text for character in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)
