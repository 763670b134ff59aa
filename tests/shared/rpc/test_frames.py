"""The framing alone: any split of the bytes gives the same messages, and garbage gives FrameError and nothing else."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.blob import Blob
from shared.rpc import frames
from shared.rpc.frames import FrameError, FrameReader, Message, Notification, Request, Response

MESSAGES: list[tuple[bytes, Message]] = [
    (
        frames.encode_request(7, "a.b", b"0123456789abcdef", 1.5, "trace", [1, "x", b"y", None]),
        Request(7, "a.b", b"0123456789abcdef", 1.5, "trace", [1, "x", b"y", None]),
    ),
    (frames.encode_request(8, "a.c", None, None, "", []), Request(8, "a.c", None, None, "", [])),
    (frames.encode_result(7, [1, [2, 3]]), Response(7, None, [1, [2, 3]])),
    (frames.encode_error(8, "NoSuchMailbox", "why"), Response(8, ("NoSuchMailbox", "why"), None)),
    (frames.encode_notification("changed", [1, 2]), Notification("changed", [1, 2])),
]


def read_all(pieces: list[bytes]) -> list[Message]:
    reader = FrameReader()
    found: list[Message] = []
    for piece in pieces:
        reader.feed(piece)
        found.extend(reader.messages())
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_any_split_gives_the_same_messages(size: int) -> None:
    stream = b"".join(frame for frame, _ in MESSAGES) * 3
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert read_all(pieces) == [message for _, message in MESSAGES] * 3


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_arbitrary_bytes_give_messages_or_a_frame_error(data: bytes, size: int) -> None:
    try:
        read_all([data[start : start + size] for start in range(0, len(data), size)])
    except FrameError:
        pass


@pytest.mark.parametrize(
    "raw",
    [
        1,
        [],
        [0, 1, "m"],
        [0, 1, "m", []],
        [0, 1, "m", [b"short", None, ""]],
        [0, 1, "m", [None, 3, ""]],
        [0, "1", "m", [None, None, ""]],
        [1, 1, ["code"], None],
        [1, 1, [1, 2], None],
        [2, 1, []],
        [3, 1, None, None],
        [3, 1, 5, [None]],
        {"a": 1},
        None,
    ],
)
def test_what_is_no_message_is_refused(raw: Any) -> None:
    with pytest.raises(FrameError):
        read_all([msgpack.packb(raw)])


def test_a_frame_above_the_bound_is_neither_sent_nor_taken() -> None:
    with pytest.raises(FrameError):
        frames.encode_result(1, b"x" * frames.MAX_FRAME_OCTETS)
    big = msgpack.packb([1, 1, None, b"x" * frames.MAX_FRAME_OCTETS])
    size = 64 * 1024
    with pytest.raises(FrameError):
        read_all([big[start : start + size] for start in range(0, len(big), size)])


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(FrameError):
        read_all([b"\x91" * 100_000])


@settings(max_examples=100, deadline=None)
@given(
    blobs=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    cuts=st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=20),
)
def test_blobs_come_whole_whatever_the_split(blobs: list[bytes], cuts: list[tuple[int, bool]]) -> None:
    """``straight``: the reader's room is filled as a socket would fill it."""
    stream = b"".join(
        frames.encode_blob_result(number, [number, None], len(blob)) + blob + frames.encode_result(number, "next")
        for number, blob in enumerate(blobs)
    )
    reader, found, at, turn = FrameReader(blobs=True), [], 0, 0
    while at < len(stream):
        size, straight = cuts[turn % len(cuts)]
        turn += 1
        if straight and reader.room:
            piece = stream[at : at + min(size, len(reader.room))]
            reader.room[: len(piece)] = piece
            reader.filled(len(piece))
        else:
            piece = stream[at : at + size]
            reader.feed(piece)
        at += len(piece)
        found.extend(reader.messages())
    expected: list[Message] = []
    for number, blob in enumerate(blobs):
        expected += [Response(number, None, [number, None], Blob((blob,))), Response(number, None, "next")]
    assert found == expected


@pytest.mark.parametrize("octets", [-1, frames.MAX_FRAME_OCTETS + 1, None, True, "x", 1.0])
def test_a_blob_out_of_bounds_is_refused(octets: Any) -> None:
    reader = FrameReader(blobs=True)
    reader.feed(msgpack.packb([3, 1, octets, [None]]))
    with pytest.raises(FrameError):
        list(reader.messages())


def test_a_blob_above_the_bound_is_not_sent() -> None:
    with pytest.raises(FrameError):
        frames.encode_blob_result(1, [None], frames.MAX_FRAME_OCTETS + 1)
