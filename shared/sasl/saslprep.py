"""SASLprep (RFC 4013): the one form of a user name or password that two clients with different keyboards agree on.

Law: ASCII text without control characters is itself, and costs nothing. Code points that Unicode 3.2 did not know are let through, as
RFC 3454 §7 allows for queries: a password may hold an emoji. What can fail: Unpreparable.
"""

from __future__ import annotations


class Unpreparable(ValueError):
    """The text holds what SASLprep prohibits. The exception's own text does not quote it."""


def saslprep(text: str) -> str:
    """The prepared form, which may be empty. Raises Unpreparable."""
    if text.isascii() and text.isprintable():
        return text
    return _prepare(text)


def _prepare(text: str) -> str:
    # tables of some hundred KiB, for the few who need them
    import stringprep
    from unicodedata import ucd_3_2_0

    # RFC 4013 §2.1
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    # RFC 4013 §2.2
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    # RFC 4013 §2.3
    prohibited = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    if any(within(character) for character in prepared for within in prohibited):
        raise Unpreparable("a prohibited character")
    # RFC 4013 §2.4, RFC 3454 §6
    if any(map(stringprep.in_table_d1, prepared)) and (
        any(map(stringprep.in_table_d2, prepared))
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise Unpreparable("left-to-right and right-to-left characters are mixed")
    return prepared
