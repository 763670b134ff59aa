"""Everything that can travel comes back as it was, and nothing else is let in."""

from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract import types
from shared.contract.codec import CODECS, decoder, encoder
from shared.contract.contents import Contents
from shared.errors import BadRequest
from shared.model.blob import Blob

CLASSES = [cls for cls in (*vars(types).values(), Contents) if isinstance(cls, type) and attrs.has(cls)]

st.register_type_strategy(int, st.integers(-(2**63), 2**64 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False))


st.register_type_strategy(Blob, st.lists(st.binary(), max_size=3).map(Blob))


def through_the_wire(hint: Any, value: Any) -> Any:
    encode = encoder(hint)
    plain = value if encode is None else encode(value)
    received = msgpack.unpackb(msgpack.packb(plain), raw=False)
    last = attrs.astuple(value, recurse=False)[-1:] if attrs.has(type(value)) else ()
    if last and isinstance(last[0], Blob):
        assert received[-1] is None
        received[-1] = Blob((last[0].joined(),))
    return decoder(hint)(received)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_classes_come_back_as_they_were(cls: type) -> None:
    @settings(max_examples=15)
    @given(st.from_type(cls))
    def check(value: Any) -> None:
        assert through_the_wire(cls, value) == value

    check()


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=12,
)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_arbitrary_parameters_are_decoded_or_refused(name: str) -> None:
    @settings(max_examples=30)
    @given(st.lists(json_like, max_size=8))
    def check(values: list[Any]) -> None:
        try:
            CODECS[name].decode_parameters(values)
        except BadRequest:
            pass

    check()


def test_a_bool_is_no_number() -> None:
    with pytest.raises(BadRequest):
        decoder(int)(True)
