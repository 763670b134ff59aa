"""Large contents come in as uploads, in order, in pieces; they are forgotten when the store restarts or the connection ends."""

from typing import Protocol

from shared.contract.append_types import SmallContent
from shared.contract.registry import Role, call
from shared.model.message_index import MessageIndex

_WRITERS = (Role.SMTP_IN, Role.SMTP_OUT, Role.IMAP, Role.ADMIN)


class ContentApi(Protocol):
    @call(*_WRITERS)
    async def begin_upload(self, octets: int) -> bytes:
        """A handle. ``octets`` is the announced size, -1 when unknown. Raises TooLarge, LimitExceeded, OutOfSpace."""
        ...

    @call(*_WRITERS)
    async def append_upload(self, upload: bytes, offset: int, data: bytes) -> int:
        """Add a piece at an offset (a piece that is there already is taken as repeated); the new length.

        Raises NoSuchUpload, BadRequest where the offset leaves a gap, TooLarge.
        """
        ...

    @call(Role.IMAP)
    async def add_contents(self, upload: bytes, first: int, contents: tuple[SmallContent, ...]) -> int:
        """Add whole contents of at most MAX_INLINE_OCTETS to an upload that holds nothing else; how many it holds then.

        ``first``: how many it held before (those that are there already are taken as repeated). ``ContentSource.part`` counts them.
        Raises NoSuchUpload, BadRequest where there is a gap, TooLarge, LimitExceeded, OutOfSpace.
        """
        ...

    @call(*_WRITERS)
    async def abort_upload(self, upload: bytes) -> None:
        """Forget an upload; unknown ones are no error."""
        ...

    @call(Role.IMAP, Role.ADMIN)
    async def describe_upload(self, upload: bytes, index: MessageIndex) -> None:
        """The index of an upload's message, for ``messages.append_all`` and ``moving.file``.

        Raises NoSuchUpload, LimitExceeded (memory of all).
        """
        ...
