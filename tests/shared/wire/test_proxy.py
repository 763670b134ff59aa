"""The PROXY header, versions 1 and 2: what is announced, what is left behind it, what is refused, whatever the split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.testing.splits import splits_of
from shared.wire.proxy import MAX_OCTETS, MAX_TEXT_OCTETS, Announced, HeaderReader, ProxyError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (4711).to_bytes(2, "big") + (25).to_bytes(2, "big")
V6 = bytes.fromhex("20010db8" + "00" * 11 + "07" + "20010db8" + "00" * 11 + "01") + b"\x10\x01\x00\x19"
MAPPED = bytes(10) + b"\xff\xff" + V4[:4] + bytes(10) + b"\xff\xff" + V4[4:8] + V4[8:]
TLV = b"\x02\x00\x03abc"


def binary(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


CLIENT4 = Announced("192.0.2.7", 4711, "198.51.100.1", 25)
CLIENT6 = Announced("2001:db8::7", 0x1001, "2001:db8::1", 25)

GOOD: list[tuple[bytes, Announced | None]] = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", CLIENT4),
    (b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 4097 25\r\n", CLIENT6),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 4711 25\r\n", CLIENT4),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", Announced("255.255.255.255", 65535, "255.255.255.255", 0)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (b"PROXY UNKNOWN " + b"x" * (MAX_TEXT_OCTETS - 16) + b"\r\n", None),
    (binary(0x21, 0x11, V4), CLIENT4),
    (binary(0x21, 0x11, V4 + TLV), CLIENT4),
    (binary(0x21, 0x21, V6), CLIENT6),
    (binary(0x21, 0x21, V6 + TLV * 3), CLIENT6),
    (binary(0x21, 0x21, MAPPED), CLIENT4),
    (binary(0x21, 0x11, V4 + bytes(MAX_OCTETS - 16 - len(V4))), CLIENT4),
    (binary(0x21, 0x31, bytes(216)), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x00, b"whatever"), None),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, V4), None),
    (binary(0x20, 0x7F, b"xyz"), None),
]

BAD = [
    b"EHLO client.test\r\n",
    b"\x16\x03\x01\x02\x00",
    b"proxy TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\rMAIL FROM:<>\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 4711 25\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.1 4711 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 25\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 25\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 25\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN " + b"x" * (MAX_TEXT_OCTETS - 15) + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * 5000,
    SIGNATURE[:-1] + b"\r\x21\x11\x00\x00",
    binary(0x11, 0x11, V4),
    binary(0x31, 0x11, V4),
    binary(0x22, 0x11, V4),
    binary(0x21, 0x12, V4),
    binary(0x21, 0x22, V6),
    binary(0x21, 0x32, bytes(216)),
    binary(0x21, 0x41, V4),
    binary(0x21, 0x11, V4[:-1]),
    binary(0x21, 0x11, b""),
    binary(0x21, 0x21, V6[:-1]),
    binary(0x21, 0x31, bytes(215)),
    binary(0x21, 0x11, V4 + bytes(MAX_OCTETS - 15 - len(V4))),
    SIGNATURE + b"\x21\x11\xff\xff",
]


def read(pieces: list[bytes]) -> tuple[Announced | None, bool, bytes]:
    """What is announced, whether the header is complete, what stands behind it."""
    reader = HeaderReader()
    behind = b""
    for piece in pieces:
        if reader.done:
            behind += piece
            continue
        taken = reader.feed(piece)
        assert 0 < taken <= len(piece)
        assert reader.done or taken == len(piece)
        assert len(reader) < MAX_OCTETS
        behind += piece[taken:]
    return reader.announced, reader.done, behind


@pytest.mark.parametrize("behind", [b"", b"\x16\x03\x01", b"EHLO c.test\r\n", SIGNATURE, b"PROXY UNKNOWN\r\n"])
@pytest.mark.parametrize(("header", "announced"), GOOD)
def test_the_header_alone_is_taken_whatever_the_split(header: bytes, announced: Announced | None, behind: bytes) -> None:
    for pieces in splits_of(header + behind):
        assert read(pieces) == (announced, True, behind)


@pytest.mark.parametrize("header", [header for header, _ in GOOD])
def test_an_unfinished_header_is_waited_for(header: bytes) -> None:
    for end in {1, 5, len(header) // 2, len(header) - 1}:
        assert read([header[:end]]) == (None, False, b"")


@pytest.mark.parametrize("data", BAD)
def test_all_else_is_refused_whatever_the_split(data: bytes) -> None:
    for pieces in splits_of(data):
        with pytest.raises(ProxyError):
            read(pieces)


def test_too_long_is_refused_before_it_comes() -> None:
    reader = HeaderReader()
    with pytest.raises(ProxyError, match="more than 4096"):
        reader.feed(SIGNATURE + b"\x21\x11" + (MAX_OCTETS - 15).to_bytes(2, "big"))


def test_a_reader_is_for_one_header() -> None:
    reader = HeaderReader()
    reader.feed(b"PROXY UNKNOWN\r\n")
    with pytest.raises(RuntimeError):
        reader.feed(b"PROXY UNKNOWN\r\n")


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x10"]), st.binary(max_size=300))
def test_any_octets_give_a_header_a_wait_or_the_error(start: bytes, data: bytes) -> None:
    outcomes = []
    for pieces in ([start + data], [bytes([octet]) for octet in start + data]):
        try:
            outcomes.append(read([piece for piece in pieces if piece]))
        except ProxyError:
            outcomes.append((None, False, b"refused"))
    assert outcomes[0] == outcomes[1]


@given(st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 65535))
def test_what_a_proxy_writes_is_what_we_read(four: object, six: object, port: int) -> None:
    for family, address in ((4, four), (6, six)):
        line = f"PROXY TCP{family} {address} {address} {port} 25\r\n".encode()
        announced, done, _ = read([line])
        assert done
        assert announced is not None
        assert announced.port == port
        packed = address.packed  # type: ignore[attr-defined]  # hypothesis gives addresses
        header = binary(0x21, 0x11 if family == 4 else 0x21, packed + packed + port.to_bytes(2, "big") + b"\x00\x19")
        assert read([header])[0] == announced
