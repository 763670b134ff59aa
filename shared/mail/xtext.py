"""Values that travel in SMTP parameters: xtext and the ORCPT parameter in its two kinds.

They are kept as they came, since a relay has to pass them on unchanged (RFC 3461 §5.2.1), and are decoded for reports only.

RFC 3461 §4 (xtext), §4.2 (ORCPT); RFC 6533 §3 (utf-8 addresses).
"""

import re
from typing import Final

# RFC 3461 §4: xtext = *( xchar / hexchar ); xchar = %d33-42 / %d44-60 / %d62-126; hexchar = "+" 2(HEXDIG upper case)
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR: Final = re.compile(r"\+([0-9A-F]{2})")
# RFC 6533 §3: utf-8-addr-xtext = 1*(QCHAR / EmbeddedUnicodeChar), utf-8-addr-unitext adds UTF8-non-ascii
_UNITEXT: Final = re.compile(r"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{[0-9A-Fa-f]{1,6}\})+")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
# RFC 3464 §2.1.2: address-type = atom
_KIND: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]{1,64}")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def decode_xtext(text: str) -> str:
    """Printable ASCII out of xtext. Raises ValueError for what is no xtext, or holds other characters (RFC 3461 §4.4)."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("not xtext")
    plain = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    if not _PRINTABLE.fullmatch(plain):
        raise ValueError("not printable")
    return plain


def decode_orcpt(text: str) -> str:
    """``type;address`` in plain text. Raises ValueError."""
    kind, semicolon, address = text.partition(";")
    if not semicolon or not address or not _KIND.fullmatch(kind):
        raise ValueError("no type")
    if kind.lower() != "utf-8":
        return f"{kind};{decode_xtext(address)}"
    if not _UNITEXT.fullmatch(address):
        raise ValueError("not a utf-8 address")
    plain = _EMBEDDED.sub(lambda match: chr(int(match[1], 16)), address)
    if _CONTROL.search(plain):
        raise ValueError("not printable")
    return f"{kind};{plain}"


def ascii_orcpt(text: str) -> str:
    """The value for a server without SMTPUTF8: characters that are not ASCII in their embedded form (RFC 6533 §3)."""
    return "".join(char if char.isascii() else f"\\x{{{ord(char):X}}}" for char in text)
