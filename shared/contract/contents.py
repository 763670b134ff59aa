"""Ranges of contents as they travel: one buffer for all of them."""

from typing import Final

import attrs

from shared.model.blob import Blob

GONE_OCTETS: Final = 2**32 - 1
"""In ``Contents.lengths``: the message is gone."""


@attrs.frozen
class Contents:
    """Ranges of contents behind one another: one buffer on the wire, whatever their number."""

    lengths: bytes
    """u32, of each range; GONE_OCTETS for a message that is gone"""
    data: Blob
