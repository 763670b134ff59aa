"""Answers: tables for people, JSON for scripts.

JSON is one document on stdout with sorted keys and an indent of two; times are ISO 8601 in UTC. Fields are only ever
added. Tables have a header when there is a row to show, and no colours: they are often piped.
"""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

UNITS = ("B", "KB", "MB", "GB", "TB")


def width_of(text: str) -> int:
    """Terminal columns: East Asian wide characters take two, combining ones none."""
    columns = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def printable(value: object) -> str:
    """One line without control characters: what a remote server said must not steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def print_json(document: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """Write one document to stdout."""
    json.dump(document, sys.stdout, indent=2, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns by their widest cell; numbers to the right. Nothing for no rows."""
    if not rows:
        return
    right = [all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    cells = [list(header), *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(width_of(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        padded = []
        for cell, width, to_right in zip(row, widths, right, strict=True):
            space = " " * (width - width_of(cell))
            padded.append(space + cell if to_right else cell + space)
        print("  ".join(padded).rstrip())


def iso_time(seconds: float) -> str:
    """2026-11-23T23:15:00Z"""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_time(seconds: float) -> str:
    """2026-11-23 23:15 in the local zone, for tables."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def size_text(octets: int) -> str:
    """1.4 MB"""
    amount = float(octets)
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError(octets)


def age_text(seconds: float) -> str:
    """45 s, 12 min, 3 h, 2 d"""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(max(seconds, 0))} s"
