"""msgpack-rpc framing, pure.

Request ``[0, id, method, params]``, response ``[1, id, error, result]``, notification ``[2, method, params]``. The first three
parameters of a request are its envelope: operation id (bytes or nil), seconds it may take (float or nil), trace id (str); the rest
are the call's. A response whose result has a blob is ``[3, id, octets, result]``, and the blob's octets follow it as they are. An error
is ``[code, detail]``. msgpack frames itself, so there is no length prefix; a message above
MAX_FRAME_OCTETS, or bytes that are no such message, end the connection with FrameError: the stream cannot be trusted any more.
"""

from collections.abc import Iterator
from typing import Any, Final

import attrs
import msgpack

from shared.model.blob import Blob

MAX_FRAME_OCTETS: Final = 1024 * 1024
READ_OCTETS: Final = 128 * 1024
CANCEL: Final = "$/cancel"


class FrameError(Exception):
    """The peer sent what is not msgpack-rpc, or too much of it."""


@attrs.frozen
class Request:
    id: int
    method: str
    op_id: bytes | None
    timeout_seconds: float | None
    trace: str
    params: list[Any]


@attrs.frozen
class Response:
    id: int
    error: tuple[str, str] | None
    result: Any
    blob: Blob | None = None


@attrs.frozen
class Notification:
    method: str
    params: list[Any]


Message = Request | Response | Notification

_pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def encode_request(
    id_: int, method: str, op_id: bytes | None, timeout_seconds: float | None, trace: str, params: list[Any]
) -> bytes:
    return _bounded(_pack([0, id_, method, [op_id, timeout_seconds, trace, *params]]))


def encode_result(id_: int, result: Any) -> bytes:
    return _bounded(_pack([1, id_, None, result]))


def encode_blob_result(id_: int, result: Any, octets: int) -> bytes:
    """What goes before the blob itself. Raises FrameError."""
    if octets > MAX_FRAME_OCTETS:
        raise FrameError(f"blob of {octets} octets is above {MAX_FRAME_OCTETS}")
    return _bounded(_pack([3, id_, octets, result]))


def encode_error(id_: int, code: str, detail: str) -> bytes:
    return _bounded(_pack([1, id_, [code, detail[:500]], None]))


def encode_notification(method: str, params: list[Any]) -> bytes:
    return _bounded(_pack([2, method, params]))


def _bounded(frame: Any) -> bytes:
    if len(frame) > MAX_FRAME_OCTETS:
        raise FrameError(f"frame of {len(frame)} octets is above {MAX_FRAME_OCTETS}")
    return frame  # type: ignore[no-any-return]  # msgpack is untyped


class FrameReader:
    """Feed bytes, iterate messages. Memory is bounded by one frame, one blob and one read.

    What is missing of a blob may be received straight into ``room``, and is then reported with ``filled``.
    """

    def __init__(self, *, blobs: bool = False) -> None:
        """``blobs``: whether the peer may send some."""
        self._blobs = blobs
        self._response: Response | None = None
        """Which waits for the rest of its blob."""
        self._room = memoryview(b"")
        self._unpacker = msgpack.Unpacker(
            raw=False,
            use_list=True,
            strict_map_key=True,
            max_buffer_size=MAX_FRAME_OCTETS + READ_OCTETS,
            unicode_errors="strict",
        )
        self._end_of_last = 0

    def feed(self, data: bytes) -> None:
        """Take at most READ_OCTETS and then drain ``messages``. Raises FrameError."""
        if self._room:
            taken = min(len(data), len(self._room))
            self._room[:taken] = data[:taken]
            self.filled(taken)
            data = data[taken:]
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise FrameError(f"frame above {MAX_FRAME_OCTETS} octets") from None

    @property
    def room(self) -> memoryview:
        """Where the next octets of the stream belong, empty when that is not a blob."""
        return self._room

    def filled(self, octets: int) -> None:
        """So much was put into ``room``."""
        self._room = self._room[octets:]

    def messages(self) -> Iterator[Message]:
        """All messages that are complete. Raises FrameError."""
        unpacker = self._unpacker
        while True:
            if self._response is not None:
                if self._room:
                    return
                response, self._response = self._response, None
                yield response
            try:
                raw = unpacker.unpack()
            except msgpack.OutOfData:
                return
            except (ValueError, RecursionError, TypeError, msgpack.UnpackException) as error:
                # ValueError has msgpack's FormatError, StackError and ExtraData below it, and UnicodeDecodeError
                raise FrameError(f"not msgpack: {type(error).__name__}") from None
            end = unpacker.tell()
            if end - self._end_of_last > MAX_FRAME_OCTETS:
                raise FrameError(f"frame above {MAX_FRAME_OCTETS} octets")
            self._end_of_last = end
            if self._blobs and type(raw) is list and len(raw) == 4 and raw[0] == 3:
                self._begin_blob(*raw[1:])
                continue
            yield _parse(raw)


    def _begin_blob(self, id_: Any, octets: Any, result: Any) -> None:
        if type(id_) is not int or type(octets) is not int or not 0 <= octets <= MAX_FRAME_OCTETS:
            raise FrameError("not a response with a blob")
        buffer = bytearray(octets)
        there = self._unpacker.read_bytes(octets)
        buffer[: len(there)] = there
        self._room = memoryview(buffer)[len(there) :]
        self._response = Response(id_, None, result, Blob((buffer,)))


def _parse(raw: Any) -> Message:
    # plain type checks instead of a match statement: this runs for every call, and a match costs five times as much
    if type(raw) is list and len(raw) == 4:
        kind, id_, third, fourth = raw
        if type(id_) is int:
            if kind == 0 and type(third) is str and type(fourth) is list and len(fourth) >= 3:
                op_id, timeout, trace = fourth[0], fourth[1], fourth[2]
                if (
                    type(trace) is str
                    and (op_id is None or (type(op_id) is bytes and len(op_id) == 16))
                    and (timeout is None or type(timeout) is float)
                ):
                    return Request(id_, third, op_id, timeout, trace, fourth[3:])
            elif kind == 1:
                if third is None:
                    return Response(id_, None, fourth)
                if type(third) is list and len(third) == 2 and type(third[0]) is str and type(third[1]) is str:
                    return Response(id_, (third[0], third[1]), None)
    elif type(raw) is list and len(raw) == 3 and raw[0] == 2 and type(raw[1]) is str and type(raw[2]) is list:
        return Notification(raw[1], raw[2])
    raise FrameError("not a msgpack-rpc message")
