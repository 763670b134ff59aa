"""What travels about the space that contents take."""

import attrs


@attrs.frozen
class SpaceStatus:
    """Of the packs. What is dead is given back when most of a pack is."""

    packs: int
    octets: int
    dead_octets: int
    """Of contents that no message refers to any more."""
    at_work: int
    """The pack that is being written anew; 0: none."""
    retired: int
    retired_octets: int
    """Packs that nothing needs any more and that are about to be removed; not among the others."""
    moved_octets: int
    given_back_octets: int
    """Since the store started."""
    failure: str
    """Why the last pack could not be written anew; empty when all went well."""
    history_messages: int = 0
    history_octets: int = 0
    """Of contents in the packs that no message refers to and that undo may bring back; not among the dead octets."""
    history_since: float = 0.0
    """Since when everything can be undone (seconds since 1970)."""
