"""The compression layer: any split, bounded pieces, where the layer ends."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol.compression import PIECE_OCTETS, Compression, CompressionBroken


def deflater():
    return zlib.compressobj(9, zlib.DEFLATED, -15)


def take_all(layer):
    pieces = []
    while piece := layer.take():
        assert len(piece) <= PIECE_OCTETS
        pieces.append(piece)
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 40), st.integers(0, 9))
def test_any_split_gives_the_same_octets(commands, step, level):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    sent = b"".join(packer.compress(command) + packer.flush(zlib.Z_SYNC_FLUSH) for command in commands)
    layer = Compression()
    got = b""
    for start in range(0, len(sent), step):
        layer.feed(sent[start : start + step])
        got += take_all(layer)
    assert got == b"".join(commands)


@given(st.lists(st.binary(max_size=3000), max_size=6))
def test_the_client_can_read_all_at_once(answers):
    layer, reader = Compression(), zlib.decompressobj(-15)
    for answer in answers:
        assert reader.decompress(layer.compress(answer)) == answer
    assert reader.decompress(layer.finish(b"x OK bye\r\n")) == b"x OK bye\r\n"
    assert reader.eof


def test_a_bomb_comes_out_in_pieces():
    packer = deflater()
    bomb = packer.compress(b"\0" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 60_000
    layer = Compression()
    layer.feed(bomb)
    total = 0
    while piece := layer.take():
        assert len(piece) <= PIECE_OCTETS
        total += len(piece)
    assert total == 50_000_000


@pytest.mark.parametrize("ending", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
def test_what_is_pipelined_behind_the_layer_stays_as_it_was(ending):
    # RFC 8437 §3: UNAUTHENTICATE may be followed by AUTHENTICATE at once
    packer = deflater()
    layer = Compression()
    layer.feed(packer.compress(b"a UNAUTHENTICATE\r\n") + packer.flush(ending) + b"b LOGIN x y\r\n")
    assert layer.take() == b"a UNAUTHENTICATE\r\n"
    assert layer.rest() == b"b LOGIN x y\r\n"


def test_garbage_is_told():
    layer = Compression()
    layer.feed(b"a NOOP\r\n" * 20)
    with pytest.raises(CompressionBroken):
        take_all(layer)
    layer, packer = Compression(), deflater()
    layer.feed(packer.compress(b"x") + packer.flush(zlib.Z_FINISH))
    assert take_all(layer) == b"x"
    layer.feed(b"more")
    with pytest.raises(CompressionBroken):
        layer.take()


@given(st.binary(max_size=200))
def test_arbitrary_octets_raise_nothing_else(data):
    layer = Compression()
    layer.feed(data)
    try:
        take_all(layer)
    except CompressionBroken:
        pass


def test_octets_without_repetition_pass():
    noise = random.Random(7).randbytes(300_000)
    packer, layer = deflater(), Compression()
    layer.feed(packer.compress(noise) + packer.flush(zlib.Z_SYNC_FLUSH))
    assert take_all(layer) == noise
