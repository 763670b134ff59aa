"""What the store is told at the end of a session fits into its frames."""

from services.pop3.maildrop import FINISH_OCTETS, MAX_MESSAGES, parts
from shared.model.packed import pack_u32
from shared.rpc.frames import MAX_FRAME_OCTETS

ROOM = 1024
"""For the names and numbers around the UIDs."""


def test_all_at_once_where_it_fits() -> None:
    assert parts(b"", b"") == []
    for fetched, deleted in ((b"1111", b""), (b"", b"1111"), (b"1111", b"22223333")):
        assert parts(fetched, deleted) == [(fetched, deleted)]
    half = bytes(FINISH_OCTETS // 2)
    assert parts(half, half) == [(half, half)]


def test_too_much_is_told_in_two_calls_deletions_last_and_whole() -> None:
    everything = pack_u32(range(2**32 - MAX_MESSAGES, 2**32))
    assert parts(everything, everything) == [(everything, b""), (b"", everything)]
    assert max(len(everything), FINISH_OCTETS) + ROOM < MAX_FRAME_OCTETS
