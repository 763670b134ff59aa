"""Octets that travel behind their frame instead of in it: never packed, never copied on the way."""

from collections.abc import Sequence

Buffer = bytes | bytearray | memoryview


class Blob:
    """What is sent may be in many pieces; what was received is in one."""

    __slots__ = ("octets", "pieces")

    def __init__(self, pieces: Sequence[Buffer]) -> None:
        self.pieces = pieces
        self.octets = sum(map(len, pieces))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and self.joined() == other.joined()

    __hash__ = None  # type: ignore[assignment]  # the pieces may be buffers that change

    def joined(self) -> Buffer:
        """All of it in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
