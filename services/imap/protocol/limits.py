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
