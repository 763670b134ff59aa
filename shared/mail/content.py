"""The bytes of a message as the parsers take them: whole in memory, or mapped from a file.

`bytes` and `mmap` share `find`, slicing and regular expressions, which is all that the parsers need; what cannot do that
(memoryview, bytearray) is copied once.
"""

from mmap import mmap
from typing import Final

Content = bytes | mmap
"""Never changed while a parser looks at it."""
Buffer = bytes | bytearray | memoryview | mmap

_CHUNK_OCTETS: Final = 1024 * 1024


def as_content(buffer: Buffer) -> Content:
    """The same bytes in a form that can be searched."""
    return buffer if isinstance(buffer, bytes | mmap) else bytes(buffer)


def count_lines(content: Content, start: int, end: int) -> int:
    """LFs between the offsets; a mapped file is read in pieces."""
    if isinstance(content, bytes):
        return content.count(b"\n", start, end)
    return sum(content[at : min(at + _CHUNK_OCTETS, end)].count(b"\n") for at in range(start, end, _CHUNK_OCTETS))
