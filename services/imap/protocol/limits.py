"""The bounds of the grammar, in one frozen class."""

import attrs


@attrs.frozen
class GrammarLimits:
    """What one command may hold. Beyond it: BAD."""

    set_ranges: int = 20_000
    """Ranges in a message set: a client that lists the UIDs of a large mailbox one by one still passes."""
    list_items: int = 1000
    """Items in one parenthesized list (header fields, flags, STATUS items, ID fields are fewer)."""
    section_depth: int = 100
    """Numbers in ``BODY[1.2.3]``."""
    search_depth: int = 64
    """Nesting of search keys."""
    search_keys: int = 2000
    """Search keys in one command; OR chains that clients build by machine are long."""
    mailbox_octets: int = 1000
    """A mailbox name on the wire."""
    utf8_names: bool = False
    """Not a bound, but the session's grammar: mailbox names are UTF-8 and ``&`` means itself (RFC 9051 §5.1, RFC 6855 §3); a quoted
    string that is not UTF-8 is BAD."""
    utf8_accept: bool = False
    """After ENABLE UTF8=ACCEPT: SEARCH takes no CHARSET (RFC 6855 §3)."""
    no_recent: bool = False
    """After ENABLE IMAP4rev2: STATUS knows no RECENT (RFC 9051 §6.3.11)."""
