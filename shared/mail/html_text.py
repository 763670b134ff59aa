"""HTML to readable text: for previews and for searching, not for showing. Nothing raises; linear in the input.

Every alternative below that opens something also ends at the end of the input, so that nothing unclosed is scanned twice.
"""

import re
from html import unescape
from typing import Final

_MARKUP: Final = re.compile(
    r"<!--(?:[^-]++|-(?!->))*+(?:-->)?"
    r"|<(?P<skipped>script|style|head|title|template)\b(?:[^<]++|<(?!/(?P=skipped)\b|body\b))*+(?:</[^>]*+>?)?"
    r"|<(?P<block>/?(?:p|div|br|tr|li|h[1-6]|table|blockquote|ul|ol|hr|pre|section|article)\b)[^>]*+>?"
    r"|<(?P<cell>/?t[dh]\b)[^>]*+>?"
    r"|<[a-zA-Z/!?][^>]*+>?",
    re.IGNORECASE,
)
_LINE_ENDS: Final = re.compile(r" ?\n\s*+")
_BLANKS: Final = re.compile(r"[ \t\r\f\v\xa0]++")
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u200b-\u200f\u2060\ufeff]+")


def html_to_text(html: str) -> str:
    """Text with a line per block."""
    text = _MARKUP.sub(_replacement, _BLANKS.sub(" ", html.replace("\n", " ")))
    if "&" in text:
        text = unescape(text)
    text = _INVISIBLE.sub("", text)
    return _LINE_ENDS.sub("\n", _BLANKS.sub(" ", text)).strip()


def _replacement(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "block":
        return "\n"
    return " " if kind == "cell" else ""
