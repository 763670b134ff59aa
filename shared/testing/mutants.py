"""Bytes that are nearly right: examples with a few edits, as a strategy of hypothesis, for parsers whose happy path is narrow."""

from collections.abc import Sequence

from hypothesis import strategies as st

MOST_EDITS = 5


@st.composite
def mutants(draw: st.DrawFn, examples: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """One of the examples after up to MOST_EDITS edits: a piece taken out, said twice, moved, or a token put in its place."""
    data = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(0, MOST_EDITS))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(
            st.sampled_from([b"", data[start:end] * 2, *tokens]) | st.sampled_from(examples) | st.binary(max_size=3)
        )
        data = data[:start] + piece + data[end:]
    return data
