"""What travels about groups: aliases with several members."""

from enum import StrEnum


class Posting(StrEnum):
    """Who may post to an alias."""

    EVERYBODY = "everybody"
    MEMBERS = "members"
    """Whom it leads to, and its owners."""
    OWNERS = "owners"
