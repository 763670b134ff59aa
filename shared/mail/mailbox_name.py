"""The two halves of an envelope address in their canonical spelling: local parts with no quotes but those they need, domains in A-labels.

Pure and total but for ValueError. RFC 5321 §4.1.2, RFC 5890 §2.3.2.1, RFC 5891 §4 (IDNA 2008, with the mapping of UTS 46: what
people type in upper case, full width or with an ideographic stop is the same name). "ß" is a letter of its own, not "ss".
"""

import re
from typing import Final

import idna

# RFC 5321 §4.1.2, RFC 6531 §3.3
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+"
_DOT_STRING: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR: Final = re.compile(r'(["\\])')


def unquote_local(local: str) -> str:
    """What a local part says, without quotes and backslashes. Raises ValueError for what is neither a Dot-string nor quoted."""
    quoted = _QUOTED.fullmatch(local)
    if quoted is not None:
        return _PAIR.sub(r"\1", quoted[1])
    if not _DOT_STRING.fullmatch(local):
        raise ValueError("not a local part")
    return local


# RFC 5321 §4.1.2: all quoted forms are the same mailbox, the one with the least quoting is to be used
def quote_local(text: str) -> str:
    """The least quoted spelling of what a local part says."""
    return text if _DOT_STRING.fullmatch(text) else '"' + _NEEDS_PAIR.sub(r"\\\1", text) + '"'


def domain_to_a_labels(name: str) -> str:
    """A domain in lower case and in ASCII; ASCII is not looked at further. Raises ValueError."""
    if name.isascii():
        return name.lower()
    return idna.encode(name, uts46=True).decode("ascii")  # IDNAError is a UnicodeError, which is a ValueError
