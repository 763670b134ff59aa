"""Line ends that come in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from shared.wire.dots import normalise_newlines
from shared.wire.newlines import NewlineWriter

PIECES = st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"a"])).map(b"".join))


@given(PIECES)
def test_every_split_gives_the_same_lines(pieces: list[bytes]) -> None:
    whole = normalise_newlines(b"".join(pieces))
    writer = NewlineWriter()
    assert b"".join([*map(writer.feed, pieces), writer.flush()]) == whole
    writer = NewlineWriter()
    ended = whole + b"\r\n" if whole and not whole.endswith(b"\n") else whole
    assert b"".join([*map(writer.feed, pieces), writer.finish()]) == ended
    assert writer.finish() == writer.flush() == b""
